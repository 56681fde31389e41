// SPDX-License-Identifier: Apache-2.0

package syncedfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFileIsMadeOnceAndWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	require.NoError(t, Create(path, "first", 0o600))
	require.ErrorIs(t, Create(path, "second", 0o644), fs.ErrExist)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "first", string(content))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	require.NoError(t, Sync(path))
	require.NoError(t, Sync(dir))
	require.ErrorIs(t, Create(filepath.Join(dir, "none", "key"), "", 0o600), fs.ErrNotExist)
	require.ErrorIs(t, Sync(filepath.Join(dir, "none")), fs.ErrNotExist)
}
