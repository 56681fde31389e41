// SPDX-License-Identifier: Apache-2.0

// Package oracle computes sessions and windows from scratch, from all events at once, so that what streams have computed can be
// held against it row for row. It shares no code with the engines that it judges, and tries to be obviously right, not fast.
//
// It does so twice, in Go and in ClickHouse's SQL, from the same records: those that a log holds (ReadLog), in the order in which
// they lie there. What counts is decided first, by the documented rule: see Judge. From there on order does not matter but for
// ties.
//
//	records, err := oracle.ReadLog(dir, 4)
//	events := oracle.Judge(records, oracle.Rules{MaxOutOfOrderness: time.Minute})
//	least := oracle.Watermark(records, 4, rules)
//	for _, g := range oracle.Windows(events, oracle.Tumbling(10*time.Second), oracle.EventTime, byBidder) { … }
//	if diff := oracle.Diff(columns, 2, want, got); diff != "" { t.Fatal(diff) }
package oracle
