// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package clickhouseengineextension runs a real ClickHouse as a supervised child process of the collector.
package clickhouseengineextension
