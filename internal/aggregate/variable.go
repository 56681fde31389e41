// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"encoding/hex"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/sketch"
)

// addVariable adds to the parts behind the fixed ones.
func (s *Set) addVariable(acc []byte, values []event.Scalar, mask uint64, at Point) []byte {
	given := acc
	off := s.size
	for i := s.fixed; i < len(s.parts); i++ {
		p := &s.parts[i]
		n := int(le.Uint32(acc[off:]))
		if p.needs&^mask == 0 && !values[p.column].IsEmpty() && (p.by < 0 || !values[p.by].IsEmpty()) {
			out, rebuilt, reason := s.addPart(p, acc[off+frame:off+frame+n], &values[p.column], p.byOf(values), at)
			switch {
			case reason != Added:
				s.skip(i, reason)
			case rebuilt:
				acc = s.splice(acc, off, n, out)
				n = len(out)
			}
		}
		off += frame + n
	}
	return giveBack(given, acc)
}

// giveBack returns the memory of the caller's if the accumulator is as long as before.
func giveBack(given, acc []byte) []byte {
	if len(acc) == len(given) {
		copy(given, acc)
		return given
	}
	return acc
}

// splice returns acc with the n bytes of a part's body replaced, in memory of the Set's.
func (s *Set) splice(acc []byte, off, n int, body []byte) []byte {
	if cap(s.out) > 0 && &acc[0] == &s.out[:1][0] {
		s.out, s.spare = s.spare, s.out // acc lies in the one, and is written to the other
	}
	s.out = append(s.out[:0], acc[:off+frame]...)
	le.PutUint32(s.out[off:], uint32(len(body)))
	s.out = append(s.out, body...)
	s.out = append(s.out, acc[off+frame+n:]...)
	s.body = body[:0]
	return s.out
}

// addPart returns the body, rebuilt in s.body if it takes another length.
func (s *Set) addPart(p *part, b []byte, v, by *event.Scalar, at Point) (out []byte, rebuilt bool, reason Reason) {
	switch p.op {
	case opText, opPickText:
		var c cell
		if p.pick.arg {
			if c, reason = read(by, p.pick.by); reason != Added {
				return b, false, reason
			}
		}
		if s.text, reason = appendText(s.text[:0], v); reason != Added {
			return b, false, reason
		}
		text := cut(s.text, p.text)
		b, rebuilt = s.widen(p, b, roomFor(len(text)))
		p.putText(b, text, at, c)
		return b, rebuilt, Added
	case opDistinct:
		h, reason := hashOf(v)
		if reason != Added {
			return b, false, reason
		}
		out, rebuilt = p.distinct.Add(b, h, s.body)
	case opQuantiles:
		f, reason := readNumber(v, p.pick.typ)
		if reason != Added {
			return b, false, reason
		}
		out, rebuilt = p.quantiles.Add(b, f, s.body)
	case opTop:
		if s.text, reason = s.topText(v); reason != Added {
			return b, false, reason
		}
		out, rebuilt = p.top.Add(b, s.text, s.body)
	case opRecent:
		if s.text, reason = appendText(recentOne(s.text[:0], at), v); reason != Added {
			return b, false, reason
		}
		out, rebuilt = s.mergeRecent(p, b, endRecentOne(s.text, p.text))
	}
	return out, rebuilt, Added
}

func readNumber(v *event.Scalar, t Type) (float64, Reason) {
	switch {
	case v.Kind == event.KindInt:
		return float64(int64(v.Bits)), Added
	case v.Kind == event.KindDouble && t == Number:
		f := math.Float64frombits(v.Bits)
		if f-f != 0 {
			return 0, notFinite(f)
		}
		return f, Added
	}
	c, reason := read(v, t)
	return c.float(), reason
}

// headOf is the size of what is before the text.
func (p *part) headOf() int {
	if p.op == opPickText {
		return p.pick.head()
	}
	return 0
}

// widen gives the text of a part at least as much room.
func (s *Set) widen(p *part, b []byte, room int) ([]byte, bool) {
	n := p.headOf() + textHeader + room
	if n <= len(b) {
		return b, false
	}
	s.body = append(s.body[:0], b...)
	s.body = append(s.body, make([]byte, n-len(b))...)
	return s.body, true
}

func (p *part) putText(b, text []byte, at Point, by cell) {
	if p.op == opText {
		putExtreme(b, text, p.pick.sign)
	} else {
		p.pick.putText(b, text, at, by)
	}
}

// hashOf is equal for equal values: numbers are equal whatever their type. It is kept in state, so it may not change; integers are spread by a
// bijection and never collide among themselves.
func hashOf(v *event.Scalar) (uint64, Reason) {
	switch v.Kind {
	case event.KindString:
		return xxhash.Sum64String(v.Text), Added
	case event.KindInt, event.KindDouble:
		c, reason := read(v, Number)
		if c.kind == kindDouble {
			return spread(c.bits ^ 0x9fb21c651e98df25), reason
		}
		return spread(c.bits), reason
	case event.KindBool:
		return spread(v.Bits&1 ^ 0xe7037ed1a0b428db), Added
	}
	return 0, ReasonWrongType
}

// spread is the finalizer of SplitMix64, after an odd constant so that 0 is not kept.
func spread(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// topText is the value as top_k tells it. One longer than sketch.MaxValue is cut and ends in a hash of all of it, so that two with one beginning remain two.
func (s *Set) topText(v *event.Scalar) ([]byte, Reason) {
	b, reason := appendText(s.text[:0], v)
	if reason != Added || len(b) <= sketch.MaxValue {
		return b, reason
	}
	const mark = "…#"
	h := uint32(xxhash.Sum64(b))
	b = append(cut(b, sketch.MaxValue-len(mark)-8), mark...)
	return hex.AppendEncode(b, []byte{byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)}), Added
}

func (s *Set) mergeVariable(acc, other []byte) []byte {
	given := acc
	off, oth := s.size, s.size
	for i := s.fixed; i < len(s.parts); i++ {
		p := &s.parts[i]
		n, m := int(le.Uint32(acc[off:])), int(le.Uint32(other[oth:]))
		out, rebuilt := s.mergePart(p, acc[off+frame:off+frame+n], other[oth+frame:oth+frame+m])
		if rebuilt {
			acc = s.splice(acc, off, n, out)
			n = len(out)
		}
		off += frame + n
		oth += frame + m
	}
	return giveBack(given, acc)
}

func (s *Set) mergePart(p *part, b, o []byte) (out []byte, rebuilt bool) {
	switch p.op {
	case opText, opPickText:
		head := p.headOf()
		text, ok := loadText(o[head:])
		if !ok {
			return b, false
		}
		var at Point
		var c cell
		if p.op == opPickText {
			at, c = loadPoint(o), loadCellIf(o, p.pick.arg)
		}
		out, rebuilt = s.widen(p, b, len(o)-head-textHeader)
		p.putText(out, text, at, c)
		return out, rebuilt
	case opDistinct:
		return p.distinct.Merge(b, o, s.body)
	case opQuantiles:
		return p.quantiles.Merge(b, o, s.body)
	case opRecent:
		return s.mergeRecent(p, b, o)
	}
	return p.top.Merge(b, o, s.body)
}

func (s *Set) mergeRecent(p *part, b, o []byte) (out []byte, rebuilt bool) {
	if len(o) == 0 {
		return b, false
	}
	s.body = mergeRecent(s.body[:0], b, o, p.capacity)
	return s.body, true
}

func (p *part) variableValue(b []byte, spec *Spec) Value {
	switch p.op {
	case opText, opPickText:
		text, ok := loadText(b[p.headOf():])
		if !ok {
			return Value{}
		}
		return Value{Type: String, Text: string(text)}
	case opDistinct:
		return Value{Type: Integer, Int: int64(p.distinct.Estimate(b))}
	case opQuantiles:
		f, ok := p.quantiles.Quantile(b, spec.Quantile)
		if !ok {
			return Value{}
		}
		return Value{Type: Number, Float: f}
	case opRecent:
		return recentValue(b)
	}
	v := Value{Type: Ranked}
	for _, e := range p.top.Top(b, spec.K) {
		v.List = append(v.List, Entry{Value: e.Value, Count: int64(e.Count), Error: int64(e.Error)})
	}
	return v
}

func (s *Set) checkVariable(b []byte) error {
	for i := s.fixed; i < len(s.parts); i++ {
		p := &s.parts[i]
		if len(b) < frame || uint64(le.Uint32(b)) > uint64(len(b)-frame) {
			return fmt.Errorf("checking %s: its length is cut off", s.specs[p.function].Function)
		}
		n := int(le.Uint32(b))
		body := b[frame : frame+n]
		b = b[frame+n:]
		var err error
		switch p.op {
		case opText:
			err = checkText(body, p.text)
		case opPickText:
			err = p.pick.check(body, p.text)
		case opDistinct:
			err = p.distinct.Check(body)
		case opQuantiles:
			err = p.quantiles.Check(body)
		case opTop:
			err = p.top.Check(body)
		case opRecent:
			err = checkRecent(body, p.capacity, p.text)
		}
		if err != nil {
			return fmt.Errorf("checking %s: %w", s.specs[p.function].Function, err)
		}
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes behind an accumulator", len(b))
	}
	return nil
}
