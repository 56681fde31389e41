// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"io"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

// File is an open Parquet file. One goroutine at a time.
type File struct {
	r      io.ReaderAt
	size   int64
	meta   *format.FileMetaData
	leaves []Leaf
	rows   int64
}

// Open reads the footer of a file of that size.
func Open(r io.ReaderAt, size int64) (*File, error) {
	meta, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	f := &File{r: r, size: size, meta: meta}
	if f.leaves, err = readSchema(meta.Schema); err != nil {
		return nil, err
	}
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		if len(g.Columns) != len(f.leaves) || g.NumRows < 0 || g.NumRows > math.MaxInt64/2-f.rows {
			return nil, corrupt("row group %d contradicts the schema", i)
		}
		f.rows += g.NumRows
	}
	return f, nil
}

// Leaves are the columns. They are not to be changed.
func (f *File) Leaves() []Leaf { return f.leaves }

// Rows is the number of rows of all row groups.
func (f *File) Rows() int64 { return f.rows }

// RowGroups is the number of row groups.
func (f *File) RowGroups() int { return len(f.meta.RowGroups) }

// GroupRows is the number of rows of row group g.
func (f *File) GroupRows(g int) int64 { return f.meta.RowGroups[g].NumRows }

// Lookup returns a value of the footer's metadata.
func (f *File) Lookup(key string) (string, bool) {
	for _, kv := range f.meta.KeyValueMetadata {
		if kv.Key == key {
			return kv.Value, true
		}
	}
	return "", false
}

// Bounds are the least and the largest value of a column in a row group, as the file's statistics have them: encoded as PLAIN,
// and texts possibly cut. ok is false where there are none.
func (f *File) Bounds(g, leaf int) (low, high []byte, ok bool) {
	s := &f.meta.RowGroups[g].Columns[leaf].MetaData.Statistics
	return s.MinValue, s.MaxValue, s.MinValue != nil && s.MaxValue != nil
}

// AllNull says whether a column has no value in a row group, as far as the statistics tell.
func (f *File) AllNull(g, leaf int) bool {
	m := &f.meta.RowGroups[g].Columns[leaf].MetaData
	return m.NumValues > 0 && m.Statistics.NullCount == m.NumValues && f.leaves[leaf].maxRepetition == 0
}
