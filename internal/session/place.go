// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/binary"
	"time"

	"github.com/millrace/millrace/internal/event"
)

// place of an event among the sessions of its key.
type placing uint8

const (
	begin  placing = iota // a session of its own, before the one at pos
	inside                // the one at pos, whose times it may stretch
	bridge                // between the ones at pos and pos+1
)

func (e *Engine) place(ss []view, t int64, name string, values []event.Scalar) (pos int, how placing) {
	pos = len(ss)
	for pos > 0 && ss[pos-1].start() > t {
		pos--
	}
	left, right := pos > 0 && e.takesLater(ss[pos-1], t, name, values), pos < len(ss) && e.takesEarlier(ss[pos], t)
	switch {
	case left && right && t > ss[pos-1].last() && e.fits(ss[pos-1].start(), ss[pos].last()):
		return pos - 1, bridge
	case left:
		return pos - 1, inside
	case right:
		return pos, inside
	}
	return pos, begin
}

// takesLater says whether an event that is not before the session's start belongs to it.
func (e *Engine) takesLater(v view, t int64, name string, values []event.Scalar) bool {
	if v.is(isClosed) {
		return false
	}
	if t < v.last() {
		return true
	}
	return t-v.last() <= int64(e.cfg.Gap) && e.fits(v.start(), t) && !e.names[name] && !e.cutsField(v, t, values)
}

// takesEarlier says whether an event before the session's start belongs to it.
func (e *Engine) takesEarlier(v view, t int64) bool {
	return !v.is(isClosed|isCut) && v.start()-t <= int64(e.cfg.Gap) && e.fits(t, v.last())
}

// fits says whether one session may reach from one time to the other.
func (e *Engine) fits(from, to int64) bool {
	if e.cfg.MaxDuration > 0 && to-from >= int64(e.cfg.MaxDuration) {
		return false
	}
	return e.cfg.CutDay == nil || e.day(from) == e.day(to)
}

func (e *Engine) day(t int64) int {
	y, m, d := time.Unix(0, t).In(e.cfg.CutDay).Date()
	return (y*13+int(m))*32 + d
}

// cutsField says whether the event brings a new value of a field that begins a session.
func (e *Engine) cutsField(v view, t int64, values []event.Scalar) bool {
	if len(e.plan.cuts) == 0 || v.is(isClosed) || t < v.last() {
		return false
	}
	acc := v.accumulator()
	var text []byte
	for n, c := range e.plan.cuts {
		was := binary.LittleEndian.Uint64(acc[8*n:])
		if h := hashOf(values[c], &text); h != 0 && was != 0 && h != was {
			return true
		}
	}
	return false
}
