// SPDX-License-Identifier: Apache-2.0

// Package load makes and sends the events of a simulated shop, and keeps a manifest of them with which any
// sink can be compared.
//
// A Generator simulates visitors: who they are (Zipf-distributed), what they do (a funnel from the first page
// to the order), when (a simulated clock), and what goes wrong on the way (late, repeated and bad events).
// Everything follows from the seed and the configuration: the same ones give the same bytes.
//
// Run sends what a Generator makes over OTLP/gRPC, OTLP/HTTP and Segment's batch API. A Manifest records what
// was sent and acknowledged; Compare reads a sink's rows against it. Benchmarks take batches from a Generator
// directly, by Next.
package load
