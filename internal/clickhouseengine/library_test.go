// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckLibrarySaysWhatIsWrongAndHowToMendIt(t *testing.T) {
	dir := t.TempDir()
	f := func(name string, content []byte, want string) {
		path := filepath.Join(dir, name)
		if content != nil {
			require.NoError(t, os.WriteFile(path, content, 0o600))
		}
		err := CheckLibrary(path)
		var bad *LibraryError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, path, bad.Path)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "make engine")
	}
	other := "arm64"
	if runtime.GOARCH == "arm64" {
		other = "amd64"
	}
	foreign, err := launcherELF("/x", other, false)
	require.NoError(t, err)
	unrelated, err := launcherELF("/x", runtime.GOARCH, false)
	require.NoError(t, err)

	f("missing.so", nil, "is missing")
	f("text.so", []byte("not a library"), "is not a shared library")
	f("empty.so", []byte{}, "is not a shared library")
	f("foreign.so", foreign, "is built for")
	f("unrelated.so", unrelated, "does not export chdb_query_cmdline")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir.so"), 0o700))
	f("dir.so", nil, "is not a file")

	require.ErrorIs(t, CheckLibrary(filepath.Join(dir, "missing.so")), fs.ErrNotExist)
}

func TestDefaultLibraryPathIsWhereTheScriptPutsIt(t *testing.T) {
	script, err := os.ReadFile("../../scripts/engine.sh")
	require.NoError(t, err)
	require.Contains(t, string(script), "\nversion="+Version+"\n")

	f := func(cache, xdg, home, want string) {
		t.Setenv("MILLRACE_CACHE", cache)
		t.Setenv("XDG_CACHE_HOME", xdg)
		t.Setenv("HOME", home)
		got, err := DefaultLibraryPath()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	f("/a", "/b", "/c", "/a/clickhouse-"+Version+"/libchdb.so")
	f("", "/b", "/c", "/b/millrace/clickhouse-"+Version+"/libchdb.so")
	f("", "", "/c", "/c/.cache/millrace/clickhouse-"+Version+"/libchdb.so")
}
