// SPDX-License-Identifier: Apache-2.0

//go:generate go run go.opentelemetry.io/collector/cmd/mdatagen@v0.158.0 metadata.yaml

// Package segmentreceiver receives events over Segment's HTTP tracking API.
package segmentreceiver
