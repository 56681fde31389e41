// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package parquetexporter writes business events as typed, partitioned Parquet files, each event once.
//
// The way of a batch: exporter.go takes it, batch.go reads it, route.go says into which file each event belongs, package columns
// makes typed columns of it, staging.go puts them into a segment and note.go notes them in the state store (index.go): then it is
// acknowledged.
// What is staged for one file is a lot (lot.go). Behind the sender's back, worker.go has seal.go encode row groups of a lot
// that has enough rows, and, when the lot is large or old enough, publish.go bind its plan, copy the row groups into one file
// and put it into the store; catalogue.go tells readers, retention.go removes what is too old.
package parquetexporter
