// SPDX-License-Identifier: Apache-2.0

// Package aggregate counts, sums, finds extremes and sketches over the values of a group of events. What is known of a group is an
// accumulator: bytes, laid out by a Set. State in memory, state on disk and what is merged are these bytes; there are no Go objects for a group.
//
// # Layout
//
// A Set is a list of functions. Functions over the same values share what they know: avg, sum, variance and sum_squares of one field are one
// part, and so are all quantiles of one field. Parts of fixed size come first, at fixed offsets, and are edited in place; an empty one is all zeros.
// Behind them are the parts whose size depends on what was added, each behind its length (4 bytes). All numbers are little endian.
//
// # Which results depend on order
//
// The bytes of count, of sums of integers, min, max, first, last, arg_max, arg_min, count_distinct, quantile and last_k are a function of the set of
// values (and Points) that were added, however they were permuted and split into partials. Sums of doubles and of squares keep 106 bits: where an
// exact sum needs more, the order may decide about the last bit of the result. top_k depends on order once it has dropped a value. All
// are functions of the order, so that a replay gives the same bytes.
//
// # What is not added
//
// An absent value is passed over without a word: null, "" and no bytes, as event.Scalar has it. A value of another type than the function's, NaN and the infinities are not
// added, and counted by Reason (see Set.TakeSkips). No value makes a call fail.
//
//   - number: integers and doubles, never text that looks like a number. A mixture counts as numbers: 1 and 1.0 are equal.
//   - integer: integers, and doubles that are whole and fit 64 bits.
//   - string: text; integers, doubles and booleans as their JSON text. Longer text than Spec.MaxBytes is cut.
//   - boolean: booleans.
//   - time: integers as Unix nanoseconds, and text in RFC 3339.
//   - count_distinct, top_k and last_k take text, numbers and booleans.
//
// # Overflow
//
// Integers are summed in 128 bits, so that no order of additions overflows. The result of a sum of type integer that does not fit 64 bits is the nearest
// that fits, marked Saturated; of type number it is the nearest double. A sum of doubles beyond the largest double is Null from then on, and each
// addition to it is counted as ReasonOverflow.
package aggregate
