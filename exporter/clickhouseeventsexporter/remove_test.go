// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// remove deletes a directory of an engine that is down.
func remove(t *testing.T, dir string) {
	t.Helper()
	require.True(t, filepath.IsAbs(dir) && strings.Contains(dir, os.TempDir()), dir)
	require.DirExists(t, dir)
	require.NoError(t, os.RemoveAll(dir))
}
