// SPDX-License-Identifier: Apache-2.0

// Package pages reads Parquet files column by column, row after row, without making rows on the way.
//
// Footer, schema and page headers are read with parquet-go's format. Its own readers of pages are not used: they believe
// what a file says of its sizes, and a file of a hundred bytes can make them allocate until the process ends, which no
// recover stops. Here every size is compared with what is there before anything is allocated, and all columns of a file
// share one Budget.
//
// It reads data pages v1 and v2; every physical type but INT96 with statistics; the encodings PLAIN, RLE, both of
// dictionaries, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY and BYTE_STREAM_SPLIT; no compression,
// Snappy, gzip and zstd; and columns that repeat once: lists of values and lists of structs, not lists in lists or maps.
//
// Format: https://parquet.apache.org/docs/file-format/
package pages

import (
	"errors"
	"fmt"
)

// Errors of a file, by what a caller does. All others are of reading it.
var (
	// ErrCorrupt is of a file that is no Parquet file, is cut off, or contradicts itself.
	ErrCorrupt = errors.New("the file is not a whole Parquet file")
	// ErrUnsupported is of what this package does not read, such as an encrypted file.
	ErrUnsupported = errors.New("the file uses what is not supported")
	// ErrTooLarge is of a file that takes more memory than the Budget has.
	ErrTooLarge = errors.New("the file takes too much memory")
)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// Bounds of one page.
const (
	maxPageBytes  = 128 << 20 // compressed, and not
	maxPageValues = 1 << 24
)

// Budget is how many bytes the columns of a file may hold together. One goroutine at a time.
type Budget struct{ left int64 }

// NewBudget returns a Budget of that many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{left: bytes} }

func (b *Budget) take(bytes int64) error {
	if bytes > b.left {
		return fmt.Errorf("%w: %d bytes more than it may", ErrTooLarge, bytes-b.left)
	}
	b.left -= bytes
	return nil
}
