// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package segmentreceiver receives events over Segment's HTTP tracking API.
package segmentreceiver
