// SPDX-License-Identifier: Apache-2.0

package disksearch

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

func TestATextIsFoundWhateverItIsWrittenIn(t *testing.T) {
	dir := t.TempDir()
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	around := func(needle string) []byte {
		return append(append(bytes.Repeat([]byte("events of an ordinary kind, "), 200), needle...), bytes.Repeat([]byte(" and more of them"), 100)...)
	}
	write := func(name string, content []byte) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	write("plain", []byte("needle-plain"))
	write("a/s2", s2.Encode(nil, around("needle-in-s2")))
	frames := append([]byte("a header"), encoder.EncodeAll(around("needle-first"), nil)...)
	frames = append(append(frames, "a page's header"...), encoder.EncodeAll(around("needle-second"), nil)...)
	write("a/parquet", append(frames, "a footer"...))
	write("needle-as-a-name", nil)
	require.NotContains(t, string(frames), "needle-second", "or there is nothing to decode")

	needles := []string{"needle-plain", "needle-in-s2", "needle-first", "needle-second", "needle-as-a-name", "needle-nowhere", "needle-plaintiff"}
	f, err := Search(dir, needles)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{
		"needle-plain": {"plain"}, "needle-in-s2": {"a/s2"}, "needle-first": {"a/parquet"}, "needle-second": {"a/parquet"}, "needle-as-a-name": {"needle-as-a-name"},
	}, f.In)
	require.EqualValues(t, 4, f.Files)
	require.EqualValues(t, 2, f.Frames)
	require.Equal(t, 3, f.Needles("a/"))
	require.Equal(t, 5, f.Needles(""))

	_, err = Search(dir, []string{"short"})
	require.ErrorContains(t, err, "shorter than 8 bytes")
}
