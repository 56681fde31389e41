// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package clickhouseeventsexporter writes business events as typed rows into ClickHouse.
//
// The way of a batch: exporter.go takes it, rows.go and properties.go turn its events into columns by the plan that layout.go
// made of the schemas, tables.go has created and extended the tables by then, insert.go sends one INSERT a
// table. A value that its column does not hold makes its event a failed one; errors.go tells which of the
// server's errors a retry can mend.
//
// Behind an event log a batch has an identity, and deliver.go takes it: plan.go is what is bound to the identity before
// anything is sent, layoutcodec.go the columns that it maps by, run.go and settle.go carry it out, facts.go tells what the tables
// remember, ledger.go and partitions.go keep within that.
package clickhouseeventsexporter
