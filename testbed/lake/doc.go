// SPDX-License-Identifier: Apache-2.0

// Package lake looks at a lake of Parquet files from outside, as its readers do: it shares no code with what writes the files
// but the names in their footers, and reads with parquet-go.
//
// Watch lists a lake again and again while it is written and opens what appears: a file that cannot be read, that changes, or
// that vanishes is a fault. Read holds the whole of it against its catalogue, row by row, and yields the rows for
// load.Compare.
package lake
