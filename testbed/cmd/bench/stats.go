// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/testbed/term"
)

// series is one figure over the rounds, in their order.
type series []float64

// median returns the middle value, of an even number the mean of the two in the middle; NaN of none.
func (s series) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

func (s series) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

// over returns s/other, round by round: what disturbs the machine in a round disturbs both.
func (s series) over(other series) series {
	out := make(series, min(len(s), len(other)))
	for i := range out {
		out[i] = s[i] / other[i]
	}
	return out
}

// spread writes the median and, of more than one value, the least and the greatest.
func (s series) spread(decimals int) string {
	if len(s) == 0 {
		return "–"
	}
	if len(s) == 1 {
		return fixed(s[0], decimals)
	}
	return fmt.Sprintf("%s (%s to %s)", fixed(s.median(), decimals), fixed(slices.Min(s), decimals), fixed(slices.Max(s), decimals))
}

// all writes every value, which are ratios.
func (s series) all() string {
	texts := make([]string, len(s))
	for i, v := range s {
		texts[i] = fixed(v, 2)
	}
	return strings.Join(texts, ", ")
}

// fixed writes a number with that many decimals and its thousands separated.
func fixed(v float64, decimals int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	whole, frac, dot := strings.Cut(strconv.FormatFloat(math.Abs(v), 'f', decimals, 64), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil { // beyond int64: as it is
		return strconv.FormatFloat(v, 'f', decimals, 64)
	}
	out := term.Number(n)
	if dot {
		out += "." + frac
	}
	if v < 0 {
		out = "-" + out
	}
	return out
}

// tenths returns the mean of each tenth of the values, in their order; fewer than ten values give fewer.
func tenths(values series) series {
	n := min(10, len(values))
	out := make(series, n)
	for i := range out {
		out[i] = values[len(values)*i/n : len(values)*(i+1)/n].mean()
	}
	return out
}
