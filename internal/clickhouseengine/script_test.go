// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEngineScriptSaysWhatWentWrongAndKeepsNothing(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the engine is pinned for linux/amd64")
	}
	script, err := filepath.Abs("../../scripts/engine.sh")
	require.NoError(t, err)
	// run runs the script with these programs before the system's, or, if only, with few others.
	run := func(cache string, only bool, programs map[string]string) (stdout, stderr string, err error) {
		bin := t.TempDir()
		for name, text := range programs {
			require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700))
		}
		path := bin + ":" + os.Getenv("PATH")
		if only {
			path = bin
			for _, name := range []string{"uname", "sh"} {
				real, err := exec.LookPath(name)
				require.NoError(t, err)
				require.NoError(t, os.Symlink(real, filepath.Join(bin, name)))
			}
		}
		var out, said bytes.Buffer
		cmd := exec.Command(script)
		cmd.Env = []string{"PATH=" + path, "MILLRACE_CACHE=" + cache}
		cmd.Stdout, cmd.Stderr = &out, &said
		err = cmd.Run()
		return out.String(), said.String(), err
	}
	f := func(only bool, programs map[string]string, want ...string) {
		t.Helper()
		cache := t.TempDir()
		stdout, stderr, err := run(cache, only, programs)
		require.Error(t, err)
		require.Empty(t, stdout)
		for _, w := range want {
			require.Contains(t, stderr, w)
		}
		left, err := filepath.Glob(filepath.Join(cache, "*", "*"))
		require.NoError(t, err)
		for _, path := range left {
			require.Equal(t, ".lock", filepath.Base(path))
		}
	}
	f(true, nil, "npm is missing: install Node.js with npm")
	f(false, map[string]string{"npm": "echo E404 >&2; exit 1"}, "E404", "npm could not fetch @chdb/lib-linux-x64-gnu@"+Version)
	f(false, map[string]string{"npm": "echo something else > engine.tgz"}, "the SHA-512 of @chdb/lib-linux-x64-gnu@"+Version+" is ", "not the pinned ", "nothing was kept")
	f(false, map[string]string{"npm": "true"}, "left no single package file")
	f(false, map[string]string{"uname": "echo Darwin"}, "there is no pinned ClickHouse engine for Darwin/Darwin")

	// What is cached is found without npm, at once.
	cache := t.TempDir()
	library := filepath.Join(cache, "clickhouse-"+Version, "libchdb.so")
	require.NoError(t, os.MkdirAll(filepath.Dir(library), 0o700))
	require.NoError(t, os.WriteFile(library, nil, 0o600))
	stdout, stderr, err := run(cache, true, nil)
	require.NoError(t, err, stderr)
	require.Equal(t, library+"\n", stdout)
	require.Empty(t, stderr)
}
