// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package windowaggregationprocessor aggregates events over windows of time and emits the results as events, which are rows of a
// table each. What counts where, and when a window closes, is in internal/window; this is the component around it.
package windowaggregationprocessor
