// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/sketch"
)

// maxFilters is how many bits the mask of Add has.
const maxFilters = 64

// maxColumns is as many as one Fields has.
const maxColumns = 64

// frame is the length in front of a part of variable size.
const frame = 4

// op is what a part does.
type op uint8

const (
	opCount    op = iota // events
	opCountOf            // values that are not empty
	opMoments            // sum, and how many, and squares
	opExtreme            // the least or greatest cell
	opPick               // the value of one event, a cell
	opText               // the least or greatest text
	opPickText           // the value of one event, a text
	opDistinct
	opQuantiles
	opTop
	opRecent
)

var opNames = [...]string{"count", "count_of", "moments", "extreme", "pick", "text", "pick_text", "distinct", "quantiles", "top", "recent"}

// partKey tells parts apart. Functions with the same one share a part.
type partKey struct {
	op                 op
	column, by, filter int
	pick               pick // of extremes the sign and the type, of others the type
	text               int  // where text is cut
	precision, exact   int
	accuracy           float64
	capacity           int
}

type part struct {
	partKey
	needs    uint64 // bits of the mask
	level    int    // of moments
	off      int    // of a part of fixed size
	size     int    // of a part of fixed size
	function int    // the first that reads it

	distinct  *sketch.Distinct
	quantiles *sketch.Quantiles
	top       *sketch.Top
}

// Set is a list of functions over the values of an event: it lays out, fills, merges and reads accumulators. One goroutine at a
// time uses it; Clone makes one for another.
type Set struct {
	specs []Spec
	parts []part // those of fixed size first
	fixed int    // how many they are
	size  int    // and their bytes
	reads []int  // the part of each function

	// What follows is a goroutine's own.
	skipped    [][reasons]uint32 // by part
	anySkipped bool
	out, spare []byte // accumulators of another length
	body       []byte // of one part
	text       []byte
}

// NewSet compiles the functions, which read values of the given number of columns and bits of the given number of filters.
func NewSet(specs []Spec, columns, filters int) (*Set, error) {
	s := &Set{reads: make([]int, len(specs))}
	if columns > maxColumns {
		return nil, fmt.Errorf("%d fields are more than %d: use fewer", columns, maxColumns)
	}
	var parts []part
	for i := range specs {
		if err := specs[i].Validate(); err != nil {
			return nil, err
		}
		spec := specs[i].withDefaults()
		if spec.Column >= columns || spec.arg() && spec.By >= columns || spec.Filter >= filters {
			return nil, fmt.Errorf("%s: column %d, by %d, filter %d, of %d columns and %d filters", spec.Function, spec.Column, spec.By, spec.Filter, columns, filters)
		}
		s.specs = append(s.specs, spec)
		p := partFor(&spec)
		p.function = i
		at := 0
		for at < len(parts) && parts[at].partKey != p.partKey {
			at++
		}
		if at == len(parts) {
			parts = append(parts, p)
		}
		parts[at].level = max(parts[at].level, p.level)
		s.reads[i] = at
	}
	s.lay(parts)
	return s, nil
}

// lay puts parts of fixed size first and gives them their places.
func (s *Set) lay(parts []part) {
	place := make([]int, len(parts))
	for _, fixed := range []bool{true, false} {
		for i := range parts {
			p := &parts[i]
			if p.size = p.fixedSize(); p.size > 0 != fixed {
				continue
			}
			if fixed {
				p.off = s.size
				s.size += p.size
				s.fixed++
			}
			place[i] = len(s.parts)
			s.parts = append(s.parts, *p)
		}
	}
	for i, r := range s.reads {
		s.reads[i] = place[r]
	}
	s.skipped = make([][reasons]uint32, len(s.parts))
}

func partFor(spec *Spec) part {
	p := part{partKey: partKey{column: spec.Column, by: None, filter: max(spec.Filter, None)}}
	if p.filter >= 0 {
		p.needs = 1 << p.filter
	}
	text := spec.Type == String
	switch spec.Function {
	case Count:
		p.op = opCountOf
		if p.column < 0 {
			p.op, p.column = opCount, None
		}
	case Sum, Avg, SumSquares, Variance, Stddev:
		p.op, p.pick.typ = opMoments, spec.Type
		p.level = map[string]int{Sum: levelSum, Avg: levelCount}[spec.Function]
		if p.level == 0 {
			p.level = levelSquares
		}
	case Min, Max:
		p.op, p.pick = opExtreme, pick{typ: spec.Type, sign: -1}
		if spec.Function == Max {
			p.pick.sign = 1
		}
		if text {
			p.op, p.text = opText, spec.MaxBytes
		}
	case First, Last, ArgMax, ArgMin:
		p.op, p.pick = opPick, pick{typ: spec.Type, sign: -1, arg: spec.arg()}
		if spec.Function == Last || spec.Function == ArgMax {
			p.pick.sign = 1
		}
		if p.pick.arg {
			p.by, p.pick.by = spec.By, spec.ByType
		}
		if text {
			p.op, p.text = opPickText, spec.MaxBytes
		}
	case CountDistinct:
		p.op, p.precision, p.exact = opDistinct, spec.Precision, spec.Exact
		p.distinct = sketch.NewDistinct(spec.Precision, spec.Exact)
	case Quantile:
		p.op, p.pick.typ, p.accuracy = opQuantiles, spec.Type, spec.Accuracy
		p.quantiles = sketch.NewQuantiles(spec.Accuracy)
	case TopK:
		p.op, p.capacity = opTop, spec.Capacity
		p.top = sketch.NewTop(spec.Capacity)
	case LastK:
		p.op, p.capacity, p.text = opRecent, spec.K, spec.MaxBytes
	}
	return p
}

// fixedSize is 0 for a part of variable size.
func (p *part) fixedSize() int {
	switch p.op {
	case opCount, opCountOf:
		return 8
	case opMoments:
		return momentsSize[p.level]
	case opExtreme:
		return cellSize
	case opPick:
		return p.pick.head() + cellSize
	}
	return 0
}

// Clone returns a Set for another goroutine, with nothing skipped.
func (s *Set) Clone() *Set {
	c := *s
	c.skipped = make([][reasons]uint32, len(s.parts))
	c.anySkipped = false
	c.out, c.spare, c.body, c.text = nil, nil, nil, nil
	return &c
}

// Len is the number of functions.
func (s *Set) Len() int { return len(s.specs) }

// FixedSize is the size of every accumulator, if it is one: then all are edited in place, and an empty one is all zeros.
func (s *Set) FixedSize() (int, bool) { return s.size, s.fixed == len(s.parts) }

// MinSize is the size of an empty accumulator.
func (s *Set) MinSize() int { return len(s.Init(nil)) }

// MaxSize is what no accumulator is longer than.
func (s *Set) MaxSize() int {
	n := s.size
	for i := s.fixed; i < len(s.parts); i++ {
		p := &s.parts[i]
		n += frame
		switch p.op {
		case opText:
			n += textHeader + roomFor(p.text)
		case opPickText:
			n += p.pick.head() + textHeader + roomFor(p.text)
		case opDistinct:
			n += p.distinct.MaxSize()
		case opQuantiles:
			n += p.quantiles.MaxSize()
		case opTop:
			n += p.top.MaxSize()
		case opRecent:
			n += p.capacity * (recentHead + p.text)
		}
	}
	return n
}

// Layout describes the accumulators: Sets with equal ones read each other's. It names columns and filters by number, so that a caller who
// compares it with what a checkpoint was written under compares those too.
func (s *Set) Layout() string {
	var b strings.Builder
	b.WriteString("1") // raised when a part's bytes change
	for i := range s.parts {
		p := &s.parts[i]
		fmt.Fprintf(&b, ";%s column=%d", opNames[p.op], p.column)
		if p.filter >= 0 {
			fmt.Fprintf(&b, " filter=%d", p.filter)
		}
		if p.pick.typ != "" {
			fmt.Fprintf(&b, " type=%s", p.pick.typ)
		}
		switch p.op {
		case opMoments:
			fmt.Fprintf(&b, " level=%d", p.level)
		case opExtreme, opText, opPick, opPickText:
			fmt.Fprintf(&b, " sign=%d", p.pick.sign)
			if p.pick.arg {
				fmt.Fprintf(&b, " by=%d by_type=%s", p.by, p.pick.by)
			}
			if p.text > 0 {
				fmt.Fprintf(&b, " max=%d", p.text)
			}
		case opDistinct:
			fmt.Fprintf(&b, " precision=%d exact=%d", p.precision, p.exact)
		case opQuantiles:
			fmt.Fprintf(&b, " accuracy=%v", p.accuracy)
		case opTop:
			fmt.Fprintf(&b, " capacity=%d", p.capacity)
		case opRecent:
			fmt.Fprintf(&b, " capacity=%d max=%d", p.capacity, p.text)
		}
	}
	return b.String()
}

// TakeSkips calls f for each reason for which values were not added since the last call, with the index of the function (the first of those that share
// what they know), and forgets them. Values are counted when they are tried: those of a delivery that failed and came again are counted twice.
func (s *Set) TakeSkips(f func(function int, reason Reason, n uint32)) {
	if !s.anySkipped {
		return
	}
	s.anySkipped = false
	for i := range s.skipped {
		for r, n := range s.skipped[i] {
			if n > 0 {
				f(s.parts[i].function, Reason(r), n)
			}
		}
		s.skipped[i] = [reasons]uint32{}
	}
}

func (s *Set) skip(i int, r Reason) {
	s.skipped[i][r]++
	s.anySkipped = true
}

// Init appends an empty accumulator.
func (s *Set) Init(dst []byte) []byte {
	dst = append(dst, make([]byte, s.size)...)
	for i := s.fixed; i < len(s.parts); i++ {
		p := &s.parts[i]
		at := len(dst)
		dst = append(dst, make([]byte, frame)...)
		switch p.op {
		case opText:
			dst = append(dst, make([]byte, textHeader)...)
		case opPickText:
			dst = append(dst, make([]byte, p.pick.head()+textHeader)...)
		case opDistinct:
			dst = p.distinct.Init(dst)
		case opQuantiles:
			dst = p.quantiles.Init(dst)
		case opTop:
			dst = p.top.Init(dst)
		}
		le.PutUint32(dst[at:], uint32(len(dst)-at-frame))
	}
	return dst
}

// Add counts an event whose values are by column, and whose filters that hold are bits of the mask. It edits acc in place and returns it, unless that changes its
// length: then it returns the accumulator in memory of the Set's, for the caller to copy to where there is room, and acc is to be given up. That
// memory is valid until the next Add or Merge of the Set, to which it may be given.
func (s *Set) Add(acc []byte, values []event.Scalar, mask uint64, at Point) []byte {
	for i := range s.parts[:s.fixed] {
		p := &s.parts[i]
		if p.needs&^mask != 0 {
			continue
		}
		b := acc[p.off : p.off+p.size]
		if p.op == opCount {
			le.PutUint64(b, le.Uint64(b)+1)
			continue
		}
		v := &values[p.column]
		if v.IsEmpty() {
			continue
		}
		var reason Reason
		switch p.op {
		case opCountOf:
			le.PutUint64(b, le.Uint64(b)+1)
		case opMoments:
			reason = addMoments(b, v, p.pick.typ)
		case opExtreme:
			var c cell
			if c, reason = read(v, p.pick.typ); reason == Added {
				putCell(b, c, p.pick.sign)
			}
		case opPick:
			if p.pick.arg && values[p.by].IsEmpty() {
				continue
			}
			reason = p.pick.addCell(b, v, p.byOf(values), at)
		}
		if reason != Added {
			s.skip(i, reason)
		}
	}
	if s.fixed == len(s.parts) {
		return acc
	}
	return s.addVariable(acc, values, mask, at)
}

func (p *part) byOf(values []event.Scalar) *event.Scalar {
	if p.by < 0 {
		return nil
	}
	return &values[p.by]
}

// putCell keeps the least or the greatest.
func putCell(b []byte, c cell, sign int) {
	if b[0] == kindNone || c.compare(loadCell(b)) == sign {
		c.store(b)
	}
}

// Merge adds what other counted, and returns what Add returns. Other is left alone, and does not lie in memory of the Set's.
func (s *Set) Merge(acc, other []byte) []byte {
	for i := range s.parts[:s.fixed] {
		p := &s.parts[i]
		b, o := acc[p.off:p.off+p.size], other[p.off:p.off+p.size]
		switch p.op {
		case opCount, opCountOf:
			le.PutUint64(b, le.Uint64(b)+le.Uint64(o))
		case opMoments:
			mergeMoments(b, o)
		case opExtreme:
			if o[0] != kindNone {
				putCell(b, loadCell(o), p.pick.sign)
			}
		case opPick:
			p.pick.mergeCell(b, o)
		}
	}
	if s.fixed == len(s.parts) {
		return acc
	}
	return s.mergeVariable(acc, other)
}

// Results appends the value of each function, in the order of the specs.
func (s *Set) Results(acc []byte, dst []Value) []Value {
	for i := range s.specs {
		dst = append(dst, s.result(acc, i))
	}
	return dst
}

func (s *Set) result(acc []byte, i int) Value {
	spec, at := &s.specs[i], s.reads[i]
	p := &s.parts[at]
	if at >= s.fixed {
		off := s.size
		for j := s.fixed; j < at; j++ {
			off += frame + int(le.Uint32(acc[off:]))
		}
		return p.variableValue(acc[off+frame:off+frame+int(le.Uint32(acc[off:]))], spec)
	}
	b := acc[p.off : p.off+p.size]
	switch p.op {
	case opCount, opCountOf:
		return Value{Type: Integer, Int: int64(le.Uint64(b))}
	case opMoments:
		return momentsValue(b, spec.Function, spec.Type)
	case opExtreme:
		return loadCell(b).value(spec.Type)
	}
	return loadCell(b[p.pick.head():]).value(spec.Type)
}

// Check says whether the bytes are an accumulator of the Set. Those that were restored from a disk are checked before they are given to the other methods,
// which may panic on what Check refuses.
func (s *Set) Check(acc []byte) error {
	if len(acc) < s.size {
		return fmt.Errorf("an accumulator of %d bytes: at least %d are its fixed part", len(acc), s.size)
	}
	for i := range s.parts[:s.fixed] {
		p := &s.parts[i]
		b := acc[p.off : p.off+p.size]
		var err error
		switch p.op {
		case opMoments:
			err = checkMoments(b, p.pick.typ)
		case opExtreme:
			err = checkCell(b, p.pick.typ)
		case opPick:
			err = p.pick.check(b, 0)
		}
		if err != nil {
			return fmt.Errorf("checking %s: %w", s.specs[p.function].Function, err)
		}
	}
	return s.checkVariable(acc[s.size:])
}
