// SPDX-License-Identifier: Apache-2.0

package window

import "time"

// assigner says which slice and which windows a time falls into. It is for tumbling and hopping windows, and a function of the
// time alone. Times are Unix nanoseconds.
type assigner struct {
	size, slide, offset int64
	short               int64 // size mod slide: a slice ends there too
	calendar            *calendar
}

func newAssigner(w *Window) (*assigner, error) {
	a := &assigner{size: int64(w.Size), slide: int64(w.Slide), offset: int64(w.Offset)}
	if w.Type == Tumbling {
		a.slide = a.size
	}
	a.short = a.size % a.slide
	a.offset %= a.slide
	if w.TimeZone != "" && w.TimeZone != "UTC" {
		loc, err := time.LoadLocation(w.TimeZone)
		if err != nil {
			return nil, err
		}
		a.calendar = newCalendar(loc, int64(w.Size), int64(w.Offset))
	}
	return a, nil
}

// floor is the greatest start of a window that is not after t.
func (a *assigner) floor(t int64) int64 {
	d := (t - a.offset) % a.slide
	if d < 0 {
		d += a.slide
	}
	return t - d
}

// slice that holds t: from start, inclusive, to end, exclusive.
func (a *assigner) slice(t int64) (start, end int64) {
	if a.calendar != nil {
		return a.calendar.window(t)
	}
	start = a.floor(t)
	switch {
	case a.short == 0:
		return start, start + a.slide
	case t < start+a.short:
		return start, start + a.short
	}
	return start + a.short, start + a.slide
}

// windows that the slice belongs to begin from first to last, each slide after the one before.
func (a *assigner) windows(slice int64) (first, last int64) {
	if a.calendar != nil {
		return slice, slice
	}
	last = a.floor(slice)
	return a.floor(slice-a.size) + a.slide, last
}

// end of the window that begins at start.
func (a *assigner) end(start int64) int64 {
	if a.calendar != nil {
		_, end := a.calendar.window(start)
		return end
	}
	return start + a.size
}

// lastEnd is the end of the last window that the slice belongs to: then it is not needed any more.
func (a *assigner) lastEnd(slice int64) int64 {
	_, last := a.windows(slice)
	return a.end(last)
}
