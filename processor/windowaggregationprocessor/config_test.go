// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func TestDefaultConfigNeedsAnAggregation(t *testing.T) {
	require.EqualError(t, createDefaultConfig().(*Config).Validate(), "aggregations: is empty: give at least one")
}

// TestAConfigurationErrorIsOneLineWithFieldAndMend reads testdata/invalid.yaml: configurations behind the error that each has.
func TestAConfigurationErrorIsOneLineWithFieldAndMend(t *testing.T) {
	path := filepath.Join("testdata", "invalid.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []string
	for _, part := range strings.Split(string(text), "---\n")[1:] {
		body := part
		for strings.HasPrefix(body, "#") {
			_, body, _ = strings.Cut(body, "\n")
		}
		file := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(file, []byte(body), 0o600))
		conf, err := confmaptest.LoadConf(file)
		require.NoError(t, err, body)
		cfg := createDefaultConfig().(*Config)
		if err = conf.Unmarshal(cfg); err == nil {
			err = cfg.Validate()
		}
		require.Error(t, err, body)
		message := err.Error()
		if i := strings.Index(message, "; functions are"); i >= 0 {
			message = message[:i]
		}
		out = append(out, "# "+strings.ReplaceAll(message, "\n", "\n# ")+"\n"+body)
	}
	got := "---\n" + strings.Join(out, "---\n")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
		return
	}
	require.Equal(t, string(text), got)
}
