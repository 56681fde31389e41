// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package piimaskingprocessor finds personal data in events and masks it, before anything is written to a disk.
//
// processor.go is the component; work.go goes through a batch; value.go through an event's values; text.go, jsontext.go and
// query.go through what is in a text; names.go and plan.go say what a key means; holdback.go is what happens to events that
// cannot be masked; tally.go and report.go count and record.
package piimaskingprocessor
