// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package archivereceiver reads Parquet files back into the pipelines: those that the parquet exporter wrote, and any flat
// Parquet by a mapping.
//
// A job is one reading of what the configuration selects. It reads each file row group by row group and each row group
// column by column (package pages), puts rows together as events again (fileMap, event.Restorer), and passes them on in
// batches. The position, which is a row in a file, is committed once the pipeline has taken the batch: after a crash the
// batch that was under way is built again, of the same rows, and goes out a second time.
package archivereceiver
