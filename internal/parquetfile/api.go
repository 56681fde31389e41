// SPDX-License-Identifier: Apache-2.0

// Package parquetfile writes Parquet files column by column, from the vectors that package columns builds: no value is
// boxed and no row is made on the way. Reading is parquet-go's.
//
// Format: https://parquet.apache.org/docs/file-format/, of which it writes data pages v1, dictionaries, statistics, the
// page index and split-block bloom filters. Each column of a row group is encoded by what is smallest: a dictionary,
// DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY or PLAIN; see Options.OldReaders. Everything is a zstd frame.
//
// pyarrow, DuckDB and ClickHouse are tested. Spark 3 has no type for UUIDs, and none for nanoseconds unless
// spark.sql.legacy.parquet.nanosAsLong is set.
package parquetfile

import (
	"github.com/millrace/millrace/internal/schema"
)

// Column says what one column of a file is.
type Column struct {
	Name string
	// Type of one value. It becomes the logical type of the same meaning: DateTime64 a UTC timestamp of milliseconds,
	// microseconds or nanoseconds, whichever is the least that holds its scale; UUID and Decimals of more than 18
	// digits fixed 16 bytes. LowCardinality is a hint that the values repeat.
	Type schema.Type
	// Optional says that a value may be NULL. Elements of a list always may.
	Optional bool
	// Repeated says that the column is a LIST of optional elements. A row of it is never NULL, but may be empty.
	Repeated bool
	// JSON says that the texts are JSON documents.
	JSON bool
	// Bloom asks for a bloom filter: for columns that are looked up by value, such as IDs.
	Bloom bool
}

// Vector is the values of one column in one block of rows, in the layout in which package native builds ClickHouse's
// columns. A Vector without any value slice is all NULL, or all empty lists. It is only read.
type Vector struct {
	// Ends, of a Repeated column: the number of elements up to the end of each row.
	Ends []uint64
	// Nulls has a byte for each value, or element of a list: 0 where it is there, 1 where it is NULL. nil: none is NULL.
	Nulls []byte
	// Fixed has the values of all types but String, little-endian, each as wide as native stores the type: Bool, (U)Int8
	// 1 byte; (U)Int16 2; (U)Int32, Float32, Date32 4; (U)Int64, Float64, DateTime64 8; UUID 16 (two little-endian halves,
	// the first half first); Decimal 4, 8 or 16 by its precision (up to 9, 18, 38). A NULL takes its width too.
	Fixed []byte
	// String i is Text[Offsets[i]:Offsets[i+1]]. A NULL takes an entry too, unless Keys is set.
	Text    []byte
	Offsets []uint32
	// Keys, where not nil, makes those strings a dictionary: value i is string Keys[i] of it. The key of a NULL is not read.
	// Strings of the dictionary may be unused or stand twice.
	Keys []uint32
}

// SortingColumn is one column that the rows of every row group are sorted by, ascending, NULLs last.
type SortingColumn struct{ Column int }

// Options of a Writer. The zero value of each field asks for the default.
type Options struct {
	CompressionLevel int     // zstd's, 1 to 22; 3
	PageBytes        int     // encoded bytes of a data page, about; 256 KiB
	BloomFPP         float64 // false positives of a bloom filter; 0.01
	Sorted           []SortingColumn
	// CreatedBy names the program, as "name version 1.2.3": readers take it apart.
	CreatedBy string
	// OldReaders leaves out the DELTA encodings, which Spark has from 3.4 on: only PLAIN and dictionaries, and larger files.
	OldReaders bool
}

// RowGroup says what is in a row group that was written.
type RowGroup struct {
	Rows  int64
	Bytes int64 // compressed
}
