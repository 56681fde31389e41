// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package sessionizationprocessor finds the sessions of each key, annotates events with theirs as they pass, and emits a summary of each
// session when it has closed.
//
// processor.go is the component; participant.go is its side of checkpoints; summary.go is the table of summaries. The
// sessions themselves are internal/session's.
package sessionizationprocessor
