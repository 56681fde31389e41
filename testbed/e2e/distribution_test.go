// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func readText(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{root()}, parts...)...))
	require.NoError(t, err)
	return string(b)
}

// The build uses go.mod's versions whatever builder-config.yaml says, so the two must say the same.
func TestBuilderConfigHasTheVersionsOfGoMod(t *testing.T) {
	required := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:require )?(\S+\.\S+/\S+) (v\S+)`).FindAllStringSubmatch(readText(t, "go.mod"), -1) {
		required[m[1]] = m[2]
	}
	own := regexp.MustCompile(`(?m)^module (\S+)`).FindStringSubmatch(readText(t, "go.mod"))[1]
	config := readText(t, "builder-config.yaml")
	version := regexp.MustCompile(`(?m)^  version: (\S+)`).FindStringSubmatch(config)
	require.NotNil(t, version)
	required[own] = "v" + version[1]

	modules := regexp.MustCompile(`(?m)^  - gomod: (\S+) (\S+)$`).FindAllStringSubmatch(config, -1)
	require.Len(t, modules, strings.Count(config, "gomod:"))
	require.Greater(t, len(modules), 10)
	for _, m := range modules {
		require.Equal(t, required[m[1]], m[2], "%s in builder-config.yaml (expected) and go.mod (actual)", m[1])
	}
}

func TestDistributionIsWhatTheBuilderMakesOfItsConfig(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	config := strings.Replace(readText(t, "builder-config.yaml"), "output_path: ./distribution", "output_path: "+out, 1)
	require.Contains(t, config, out)
	path := filepath.Join(t.TempDir(), "builder-config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	builder := exec.Command("go", "tool", "-modfile=tools.mod", "builder", "--config", path, "--skip-get-modules", "--skip-compilation")
	builder.Dir = root()
	said, err := builder.CombinedOutput()
	require.NoError(t, err, "%s", said)

	made, err := filepath.Glob(filepath.Join(out, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, made)
	have, err := filepath.Glob(filepath.Join(root(), "distribution", "*.go"))
	require.NoError(t, err)
	// commands.go is written by hand (docs/decisions/014).
	require.Len(t, have, len(made)+1)
	require.Contains(t, have, filepath.Join(root(), "distribution", "commands.go"))
	require.NotContains(t, made, filepath.Join(out, "commands.go"))
	for _, file := range made {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		name := filepath.Base(file)
		require.Equal(t, string(text), readText(t, "distribution", name), "distribution/%s is not what builder-config.yaml makes: run make build and commit it", name)
	}
}
