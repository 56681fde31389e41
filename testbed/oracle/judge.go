// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Rules say which events count.
type Rules struct {
	MaxOutOfOrderness time.Duration
	AllowedLateness   time.Duration
	MaxFutureSkew     time.Duration
}

// Verdict of an event.
type Verdict string

// The verdicts.
const (
	OnTime Verdict = "on_time"
	Late   Verdict = "late"
	Future Verdict = "future"
)

// Event is a record that is no tick, with its verdict.
type Event struct {
	Record
	Verdict Verdict
}

// Nothing is the watermark of a partition that has shown nothing.
const Nothing = math.MinInt64

// Judge says of each event whether it is late, by the appends before its own in its partition: it is if its time is before the highest time of
// those, less MaxOutOfOrderness, less AllowedLateness. An event more than MaxFutureSkew ahead of its append time is of the future: it raises
// nothing, and is never late; one that is ahead by less raises to its append time. A tick raises to the time that it recorded. Events come back by partition and position.
func Judge(records []Record, rules Rules) []Event {
	var out []Event
	for _, partition := range byPartition(records) {
		high, next := int64(Nothing), int64(Nothing)
		for _, r := range partition {
			if r.Offset == 0 {
				high = next
			}
			switch {
			case r.Tick:
				if r.Time != 0 {
					next = max(next, r.Time)
				}
			case r.Time > r.Appended+int64(rules.MaxFutureSkew):
				out = append(out, Event{r, Future})
			case high != Nothing && r.Time < high-int64(rules.MaxOutOfOrderness)-int64(rules.AllowedLateness):
				out = append(out, Event{r, Late})
			default:
				out = append(out, Event{r, OnTime})
				next = max(next, r.moves())
			}
		}
	}
	return out
}

// moves is where the record's time moves its partition to: to its append time at most, but for a tick, which says it itself.
func (r *Record) moves() int64 {
	if r.Tick {
		return r.Time
	}
	return min(r.Time, r.Appended)
}

// Watermarks of the partitions when all records have been seen: Nothing of one that has shown nothing.
func Watermarks(records []Record, partitions int, rules Rules) []int64 {
	at := make([]int64, partitions)
	for p := range at {
		at[p] = Nothing
	}
	for _, r := range records {
		future := !r.Tick && r.Time > r.Appended+int64(rules.MaxFutureSkew)
		if !future && (!r.Tick || r.Time != 0) {
			at[r.Partition] = max(at[r.Partition], r.moves()-int64(rules.MaxOutOfOrderness))
		}
	}
	return at
}

// Watermark is the least of Watermarks. What ends at or before it is closed.
func Watermark(records []Record, partitions int, rules Rules) int64 {
	return slices.Min(Watermarks(records, partitions, rules))
}

// ProcessingWatermark is the same for processing time: the least of the partitions' last append times.
func ProcessingWatermark(records []Record, partitions int) int64 {
	highs := make([]int64, partitions)
	for p := range highs {
		highs[p] = Nothing
	}
	for _, r := range records {
		highs[r.Partition] = max(highs[r.Partition], r.Appended)
	}
	return slices.Min(highs)
}

// Counted leaves out the late events.
func Counted(events []Event) []Event {
	var out []Event
	for _, e := range events {
		if e.Verdict != Late {
			out = append(out, e)
		}
	}
	return out
}

// Only leaves the events of these names.
func Only(events []Event, names ...string) []Event {
	var out []Event
	for _, e := range events {
		if slices.Contains(names, e.Name) {
			out = append(out, e)
		}
	}
	return out
}

// byPartition sorts a copy of the records by position, and cuts it by partition.
func byPartition(records []Record) [][]Record {
	sorted := slices.Clone(records)
	slices.SortStableFunc(sorted, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Position, b.Position))
	})
	var out [][]Record
	for i, r := range sorted {
		if i == 0 || r.Partition != sorted[i-1].Partition {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], r)
	}
	return out
}
