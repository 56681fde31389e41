// SPDX-License-Identifier: Apache-2.0

// Package sketch estimates distinct values, quantiles and frequent values of a stream in bounded memory. A sketch is bytes that are edited
// in place; what reads and edits them is told the parameters, which the bytes do not repeat, and may be used by several goroutines.
//
// Add and Merge return the sketch: b itself, edited, or, if they had to lay it out anew, a sketch that they wrote over scratch, which has not to
// overlap b; rebuilt says which. They need bytes that Init, Add or Merge made: what comes from a disk is given to Check first.
//
// Distinct and Quantiles are functions of the set of what was added: the same bytes in whatever order it came and however it was
// split into sketches that were merged. Top is so until it drops a value.
//
//   - Distinct: HyperLogLog (P. Flajolet and others, 2007) with the sparse form of HyperLogLog++ (S. Heule and others, 2013) and the
//     estimator of O. Ertl ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), which needs no tables of corrections.
//   - Quantiles: DDSketch (C. Masson and others, 2019), with the cubic mapping and the collapsing of the lowest buckets that its authors describe.
//   - Top: SpaceSaving (A. Metwally and others, 2005), merged as by M. Cafaro and others ("A parallel space saving algorithm for frequent items", 2016),
//     which keeps the bounds that P. Agarwal and others show for "Mergeable summaries" (2012).
package sketch
