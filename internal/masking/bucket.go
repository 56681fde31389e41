// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"math"
	"sort"
	"strconv"
	"strings"
)

// bucketAction puts the range that a number lies in in its place: "30-39" as text, 30 as a number. What is no number it redacts.
type bucketAction struct {
	bounds []float64
	width  float64
	whole  bool // all bounds are whole numbers: a range ends at the one before the next begins
}

func newBucket(s *Spec) *bucketAction {
	a := &bucketAction{bounds: append([]float64(nil), s.Bounds...), width: s.Width, whole: s.Width == math.Trunc(s.Width)}
	for _, b := range a.bounds {
		a.whole = a.whole && b == math.Trunc(b)
	}
	return a
}

func (*bucketAction) Kind() Kind { return Bucket }

func (a *bucketAction) Mask(v Value, t *Target) (Value, error) {
	if empty(v, t) || masked(v, t) {
		return v, nil
	}
	number, ok := v.Double, true
	switch v.Kind {
	case IntValue:
		number = float64(v.Int)
	case TextValue:
		if (t.Form == Any || t.Form == Text) && a.isLabel(v.Text) {
			return v, nil // an agent's work
		}
		number, ok = decimalNumber(strings.TrimSpace(v.Text))
	}
	if !ok || math.IsNaN(number) || math.IsInf(number, 0) {
		return redacted(t)
	}
	low, high := a.find(number)
	switch t.Form {
	case Any, Text:
		return Value{Text: a.label(low, high)}, nil
	case Digits, Integer, Number:
		if math.IsInf(low, 0) {
			return Value{}, ErrDrop // below the first bound there is no lower one
		}
		return inForm(Value{Kind: DoubleValue, Double: low}, t)
	}
	return Value{}, ErrDrop
}

// find returns the range [low, high) that n lies in; infinite where it has no end.
func (a *bucketAction) find(n float64) (low, high float64) {
	if a.width > 0 {
		low = math.Floor(n/a.width) * a.width
		return low, low + a.width
	}
	low, high = math.Inf(-1), math.Inf(1)
	i := sort.SearchFloat64s(a.bounds, n)
	if i < len(a.bounds) && a.bounds[i] == n {
		i++
	}
	if i > 0 {
		low = a.bounds[i-1]
	}
	if i < len(a.bounds) {
		high = a.bounds[i]
	}
	return low, high
}

// label writes a range: "30-39" of whole numbers, "0.5-1" of others, "<18", "65+".
func (a *bucketAction) label(low, high float64) string {
	switch {
	case math.IsInf(low, 0):
		return "<" + short(high)
	case math.IsInf(high, 0):
		return short(low) + "+"
	}
	if a.whole {
		high--
	}
	if low == high {
		return short(low)
	}
	if low < 0 {
		return short(low) + ".." + short(high)
	}
	return short(low) + "-" + short(high)
}

// isLabel says whether s is a range of this bucket.
func (a *bucketAction) isLabel(s string) bool {
	if len(a.bounds) > 0 && s == a.label(math.Inf(-1), a.bounds[0]) {
		return true
	}
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '-' && end == 0 || s[end] == '.' && !strings.HasPrefix(s[end:], "..")) {
		end++
	}
	low, ok := decimalNumber(s[:end])
	return ok && s == a.label(a.find(low))
}

func short(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
