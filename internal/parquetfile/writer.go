// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"errors"
	"io"
)

// Errors of CopyRowGroups, wrapped.
var (
	// ErrOtherColumns says that a file has other columns than the writer.
	ErrOtherColumns = errors.New("the file has other columns")
	// ErrDamaged says that a file is cut off, damaged, or none that this package wrote.
	ErrDamaged = errors.New("the file is damaged, or was written by something else")
)

// FileStats says what is in a file that was written.
type FileStats struct {
	Rows      int64
	Bytes     int64 // of the whole file
	RowGroups int
}

// Writer writes one file. It is owned by one goroutine at a time. After an error of the underlying writer every call
// returns that error; any other error leaves the file as it was before the call.
type Writer struct{}

// NewWriter returns a writer of a file with these columns to w. Equal calls write equal bytes.
func NewWriter(w io.Writer, columns []Column, o Options) (*Writer, error) {
	return nil, errors.ErrUnsupported
}

// WriteRowGroup writes one row group of so many rows, vectors by column. Row i of it is row order[i] of the vectors; a nil
// order leaves them as they stand.
func (w *Writer) WriteRowGroup(rows int, vectors []Vector, order []uint32) (RowGroup, error) {
	return RowGroup{}, errors.ErrUnsupported
}

// CopyRowGroups appends all row groups of a file that this package wrote with the same columns, as they are encoded.
func (w *Writer) CopyRowGroups(r io.ReaderAt, size int64) (rows int64, err error) {
	return 0, errors.ErrUnsupported
}

// Close writes the footer. It does not close the underlying writer.
func (w *Writer) Close(metadata map[string]string) (FileStats, error) {
	return FileStats{}, errors.ErrUnsupported
}
