// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"cmp"
	"slices"
	"time"
)

// Span is a window: from Start to before End, Unix nanoseconds.
type Span struct{ Start, End int64 }

// Window says which spans a time is in.
type Window struct {
	Size   time.Duration
	Slide  time.Duration // Size, for a tumbling one
	Offset time.Duration // of a span's start from a multiple of Slide
	// Days, if not nil, makes the window whole days of this time zone in place of Size and Slide, of 23 to 25 hours.
	Days *time.Location
}

// Tumbling window of a size.
func Tumbling(size time.Duration) Window { return Window{Size: size, Slide: size} }

// Hopping window of a size that begins anew with each slide.
func Hopping(size, slide time.Duration) Window { return Window{Size: size, Slide: slide} }

// Spans that the time is in, the earliest first.
func (w Window) Spans(at int64) []Span {
	if w.Days != nil {
		y, m, d := time.Unix(0, at).In(w.Days).Date()
		return []Span{{time.Date(y, m, d, 0, 0, 0, 0, w.Days).UnixNano(), time.Date(y, m, d+1, 0, 0, 0, 0, w.Days).UnixNano()}}
	}
	size, slide := int64(w.Size), int64(w.Slide)
	last := at - int64(w.Offset)
	last -= ((last % slide) + slide) % slide // round down, below zero too
	last += int64(w.Offset)
	var out []Span
	for start := last; start+size > at; start -= slide {
		out = append(out, Span{start, start + size})
	}
	slices.Reverse(out)
	return out
}

// EventTime and AppendTime are what windows may go by.
func EventTime(e *Event) int64 { return e.Time }

// AppendTime is processing time.
func AppendTime(e *Event) int64 { return e.Appended }

// Group is the events of one key in one span, by partition and position.
type Group struct {
	Span
	Key    string
	Events []Event
}

// Windows groups events by span and key. Groups come sorted by start, end and key.
func Windows(events []Event, w Window, at func(*Event) int64, key func(*Event) string) []Group {
	type place struct {
		Span
		key string
	}
	groups := map[place][]Event{}
	for _, e := range events {
		for _, s := range w.Spans(at(&e)) {
			p := place{s, key(&e)}
			groups[p] = append(groups[p], e)
		}
	}
	var out []Group
	for p, of := range groups {
		slices.SortFunc(of, byPosition)
		out = append(out, Group{p.Span, p.key, of})
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), cmp.Compare(a.Key, b.Key))
	})
	return out
}

// Closed leaves the groups that a watermark has closed.
func Closed(groups []Group, watermark int64) []Group {
	var out []Group
	for _, g := range groups {
		if g.End <= watermark {
			out = append(out, g)
		}
	}
	return out
}

func byPosition(a, b Event) int {
	return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Position, b.Position))
}
