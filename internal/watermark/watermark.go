// SPDX-License-Identifier: Apache-2.0

// Package watermark is event time: how far each input has come, which event is late, and when what spans inputs closes.
//
// An input is a partition of the log, or the results of a stage. Its watermark is the highest event time that it has
// shown, less what events may be out of order by; it never goes back. It moves append by append: the events of one append came at once, and
// their order within is that of their resources, not of their times. Lateness looks at the event's own input alone, so
// that it does not depend on how inputs interleave. What is shared closes by the least watermark of all inputs: an event
// that is not late in its input can then never meet something that is closed.
//
// There is no wall clock here. Processing time is the append time that the log recorded, and an idle partition is
// raised by what a tick recorded.
package watermark

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// Min is the watermark of an input that has shown nothing.
const Min = math.MinInt64

// Config says how events are ordered. All durations are of event time.
type Config struct {
	// MaxOutOfOrderness is by how much an event may come after one that is younger.
	MaxOutOfOrderness time.Duration
	// AllowedLateness is how far behind the watermark an event still counts.
	AllowedLateness time.Duration
	// MaxFutureSkew is by how much an event's time may be ahead of its append time and still move the watermark, to its append time.
	MaxFutureSkew time.Duration
}

// Input is one input's event time. Its zero value is not ready: see New. One goroutine at a time.
type Input struct {
	// High is the highest event time that counted up to the last append that is complete, in Unix nanoseconds; Min if none did.
	High int64
	// Next is the same with the append that is not.
	Next int64
	// Appended is the processing time of the input: the highest append time, in Unix nanoseconds.
	Appended int64
}

// New input, which has shown nothing.
func New() Input { return Input{High: Min, Next: Min, Appended: Min} }

// Verdict of an event's time.
type Verdict uint8

// The verdicts.
const (
	OnTime Verdict = iota
	Late           // behind the watermark by more than the allowed lateness
	Future         // ahead of its append time by more than the allowed skew: it counts, but moves nothing
)

// See judges an event by the appends before its own, then counts it in. Times are Unix nanoseconds.
func (in *Input) See(c *Config, eventTime, appended int64) Verdict {
	v := in.Judge(c, eventTime, appended)
	if v == OnTime { // a clock that is ahead does not make others late: it moves to the present at most
		in.Next = max(in.Next, min(eventTime, in.Appended))
	}
	return v
}

// EndAppend lets the watermark move: the append's events have all been seen.
func (in *Input) EndAppend() { in.High = max(in.High, in.Next) }

// Judge is See of an event that moves nothing.
func (in *Input) Judge(c *Config, eventTime, appended int64) Verdict {
	in.Appended = max(in.Appended, appended)
	if eventTime > add(in.Appended, c.MaxFutureSkew) {
		return Future
	}
	if eventTime < in.LateBefore(c) {
		return Late
	}
	return OnTime
}

// Tick raises an idle input to what the tick recorded: eventTime is 0 if no partition was active.
func (in *Input) Tick(appended, eventTime int64) {
	in.Appended = max(in.Appended, appended)
	if eventTime != 0 {
		in.Next = max(in.Next, eventTime)
	}
	in.EndAppend()
}

// Raise sets the watermark of a stage's results: it is what the stage says.
func (in *Input) Raise(c *Config, watermark int64) {
	if watermark != Min {
		in.Next = max(in.Next, add(watermark, c.MaxOutOfOrderness))
		in.EndAppend()
	}
}

// Watermark is Min until the input has shown an event. Unix nanoseconds.
func (in *Input) Watermark(c *Config) int64 {
	if in.High == Min {
		return Min
	}
	return sub(in.High, c.MaxOutOfOrderness)
}

// LateBefore is the time before which an event of the input is late: Min until the input has shown an event. Unix nanoseconds.
func (in *Input) LateBefore(c *Config) int64 {
	if in.High == Min {
		return Min
	}
	return sub(in.Watermark(c), c.AllowedLateness)
}

// Least is the least of watermarks: Min if there are none.
func Least(of ...int64) int64 {
	if len(of) == 0 {
		return Min
	}
	least := of[0]
	for _, w := range of[1:] {
		least = min(least, w)
	}
	return least
}

// Append writes the input for a checkpoint.
func (in Input) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(in.High))
	b = binary.BigEndian.AppendUint64(b, uint64(in.Next))
	return binary.BigEndian.AppendUint64(b, uint64(in.Appended))
}

// Size is how many bytes Append writes.
const Size = 24

var errShort = errors.New("a watermark has 24 bytes")

// Parse reads what Append wrote, and returns the rest.
func Parse(b []byte) (in Input, rest []byte, err error) {
	if len(b) < Size {
		return Input{}, nil, errShort
	}
	n := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	return Input{High: n(0), Next: n(1), Appended: n(2)}, b[Size:], nil
}

// add and sub keep to the range of int64: a time at its end must not come out at the other.
func add(t int64, d time.Duration) int64 {
	if s := t + int64(d); s >= t {
		return s
	}
	return math.MaxInt64
}

func sub(t int64, d time.Duration) int64 {
	if s := t - int64(d); s <= t {
		return s
	}
	return math.MinInt64 + 1 // not Min, which says that nothing was seen
}
