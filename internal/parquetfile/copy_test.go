// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// copyRandom writes a file of the row groups of others, with one of its own among them.
func copyRandom(t testing.TB, columns []Column, seeds ...uint64) (file []byte, want [][]string) {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, columns, Options{})
	require.NoError(t, err)
	want = make([][]string, len(columns))
	for i, seed := range seeds {
		part, said := writeRandom(t, seed, columns, Options{PageBytes: 4096})
		rows, err := w.CopyRowGroups(bytes.NewReader(part), int64(len(part)))
		require.NoError(t, err)
		require.EqualValues(t, len(said[0]), rows)
		if i == 0 {
			b := randomBlock(rand.New(rand.NewPCG(seed, 3)), columns, 50)
			_, err := w.WriteRowGroup(b.rows, b.vectors, nil)
			require.NoError(t, err)
			for j := range said {
				said[j] = append(said[j], b.want[j]...)
			}
		}
		for j := range said {
			want[j] = append(want[j], said[j]...)
		}
	}
	stats, err := w.Close(nil)
	require.NoError(t, err)
	require.EqualValues(t, out.Len(), stats.Bytes)
	require.EqualValues(t, len(want[0]), stats.Rows)
	return out.Bytes(), want
}

func TestParquetGoReadsCopiedRowGroups(t *testing.T) {
	columns := allColumns()
	for seed := range uint64(5) {
		file, want := copyRandom(t, columns, 3*seed, 3*seed+1, 3*seed+2)
		requireSame(t, columns, want, readGo(t, file, columns))
	}
}
