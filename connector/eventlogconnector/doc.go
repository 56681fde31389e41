// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package eventlogconnector is the durable step between the door and the sinks.
//
// The way of a batch in: append.go knows duplicates and writes what is new, partition.go tells which partition an event
// goes to, source.go recognises what Kafka delivers again. The way out: reader.go shows the log to the consumers of
// internal/delivery, tail.go spares them from reading what was just written. consumers.go restores, renames and
// resets consumers; retention.go and ticks.go work beside them; admin.go is for operators.
package eventlogconnector
