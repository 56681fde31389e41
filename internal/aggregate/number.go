// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/millrace/millrace/internal/event"
)

var le = binary.LittleEndian

// Kinds of a number in a cell, and of a sum.
const (
	kindNone   = 0
	kindInt    = 1
	kindDouble = 2
)

// cell is a number, a time or a boolean: 9 bytes, kind and bits. Equal numbers are equal bytes: a double that is an integer of 64 bits is kept as that.
type cell struct {
	kind byte
	bits uint64
}

const cellSize = 9

func loadCell(b []byte) cell { return cell{b[0], le.Uint64(b[1:])} }

func (c cell) store(b []byte) {
	b[0] = c.kind
	le.PutUint64(b[1:], c.bits)
}

func intCell(i int64) cell { return cell{kindInt, uint64(i)} }

func doubleCell(f float64) cell {
	if i, ok := whole(f); ok {
		return intCell(i)
	}
	return cell{kindDouble, math.Float64bits(f)}
}

// whole returns the integer that f is. -0 is 0.
func whole(f float64) (int64, bool) {
	if f >= -1<<63 && f < 1<<63 {
		if i := int64(f); float64(i) == f {
			return i, true
		}
	}
	return 0, false
}

func (c cell) float() float64 {
	if c.kind == kindInt {
		return float64(int64(c.bits))
	}
	return math.Float64frombits(c.bits)
}

// compare orders numbers exactly: an integer is not rounded to be compared with a double.
func (c cell) compare(d cell) int {
	switch {
	case c.kind == kindInt && d.kind == kindInt:
		return compareInts(int64(c.bits), int64(d.bits))
	case c.kind == kindInt:
		return -compareDouble(math.Float64frombits(d.bits), int64(c.bits))
	case d.kind == kindInt:
		return compareDouble(math.Float64frombits(c.bits), int64(d.bits))
	}
	x, y := math.Float64frombits(c.bits), math.Float64frombits(d.bits)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareDouble compares a double that is no integer of 64 bits with one.
func compareDouble(x float64, i int64) int {
	switch {
	case x >= 1<<63:
		return 1
	case x < -1<<63:
		return -1
	}
	floor := math.Floor(x)
	if c := compareInts(int64(floor), i); c != 0 {
		return c
	}
	return 1 // there is something behind the point
}

func checkCell(b []byte, t Type) error {
	c := loadCell(b)
	switch {
	case c.kind == kindNone && c.bits == 0:
	case c.kind == kindInt && (t != Boolean || c.bits <= 1):
	case c.kind == kindDouble && t == Number:
		f := math.Float64frombits(c.bits)
		if _, ok := whole(f); ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("the double %x is not kept as such", c.bits)
		}
	default:
		return fmt.Errorf("a value of kind %d with bits %x is no %s", c.kind, c.bits, t)
	}
	return nil
}

// read takes a value as a cell of the type, or says why not.
func read(v *event.Scalar, t Type) (cell, Reason) {
	switch v.Kind {
	case event.KindInt:
		if t == Boolean {
			return cell{}, ReasonWrongType
		}
		return cell{kindInt, v.Bits}, Added
	case event.KindDouble:
		f := math.Float64frombits(v.Bits)
		switch {
		case t != Number && t != Integer:
			return cell{}, ReasonWrongType
		case f-f != 0:
			return cell{}, notFinite(f)
		}
		c := doubleCell(f)
		if c.kind != kindInt && t == Integer {
			return cell{}, ReasonWrongType
		}
		return c, Added
	case event.KindBool:
		if t == Boolean {
			return cell{kindInt, v.Bits & 1}, Added
		}
	case event.KindString:
		if t == Time {
			return readTime(v.Text)
		}
	}
	return cell{}, ReasonWrongType
}

func notFinite(f float64) Reason {
	if math.IsNaN(f) {
		return ReasonNotANumber
	}
	return ReasonInfinite
}

func (c cell) value(t Type) Value {
	switch {
	case c.kind == kindNone:
		return Value{}
	case t == Number:
		return Value{Type: Number, Float: c.float()}
	case t == Boolean:
		return Value{Type: Boolean, Bool: c.bits != 0}
	}
	return Value{Type: t, Int: int64(c.bits)}
}

// moments is the part that sum, avg, variance and sum_squares read:
//
//	kind of the sum (1), the sum (16), how many values (8, level 2), sum of squares (16, level 3)
//
// The sum is an integer of 128 bits until a double comes, and a pair from then on.
const (
	momentsSum     = 1
	momentsCount   = 17
	momentsSquares = 25
)

// Levels of a moments part.
const (
	levelSum     = 1
	levelCount   = 2
	levelSquares = 3
)

var momentsSize = [...]int{levelSum: 17, levelCount: 25, levelSquares: 41}

// Flags beside the kind.
const (
	kindMask        = 3
	sumOverflow     = 4
	squaresOverflow = 8
)

func loadPair(b []byte) pair {
	return pair{math.Float64frombits(le.Uint64(b)), math.Float64frombits(le.Uint64(b[8:]))}
}

func (p pair) store(b []byte) {
	le.PutUint64(b, math.Float64bits(p.hi))
	le.PutUint64(b[8:], math.Float64bits(p.lo))
}

func loadWide(b []byte) wide { return wide{int64(le.Uint64(b)), le.Uint64(b[8:])} }

func (w wide) store(b []byte) {
	le.PutUint64(b, uint64(w.hi))
	le.PutUint64(b[8:], w.lo)
}

func addMoments(b []byte, v *event.Scalar, t Type) Reason {
	var reason Reason
	kind := b[0]
	switch {
	case v.Kind == event.KindInt && kind&kindMask != kindDouble:
		b[0] |= kindInt
		loadWide(b[momentsSum:]).add(int64(v.Bits)).store(b[momentsSum:])
	case v.Kind == event.KindDouble && t == Number:
		f := math.Float64frombits(v.Bits)
		if f-f != 0 {
			return notFinite(f)
		}
		reason = addPair(b, pair{f, 0})
	default:
		c, r := read(v, t)
		if r != Added {
			return r
		}
		i := int64(c.bits) // a double goes the way above
		if kind&kindMask == kindDouble {
			reason = addPair(b, pairOfInt(i))
		} else {
			b[0] |= kindInt
			loadWide(b[momentsSum:]).add(i).store(b[momentsSum:])
		}
	}
	if len(b) >= momentsSquares {
		le.PutUint64(b[momentsCount:], le.Uint64(b[momentsCount:])+1)
		if len(b) > momentsSquares {
			var sq pair
			if v.Kind == event.KindInt {
				sq = squareOf(int64(v.Bits))
			} else {
				sq = square(math.Float64frombits(v.Bits))
			}
			if !addSquares(b, sq) {
				reason = ReasonOverflow
			}
		}
	}
	return reason
}

// addPair adds to a sum that is a pair from here on.
func addPair(b []byte, p pair) Reason {
	var sum pair
	switch b[0] & kindMask {
	case kindInt:
		sum = loadWide(b[momentsSum:]).pair()
	case kindDouble:
		sum = loadPair(b[momentsSum:])
	}
	b[0] = b[0]&^kindMask | kindDouble
	if b[0]&sumOverflow == 0 {
		if p.lo == 0 {
			sum = sum.add(p.hi)
		} else {
			sum = sum.plus(p)
		}
		if sum.finite() {
			sum.store(b[momentsSum:])
			return Added
		}
	}
	b[0] |= sumOverflow
	clear(b[momentsSum:momentsCount])
	return ReasonOverflow
}

func addSquares(b []byte, p pair) bool {
	if b[0]&squaresOverflow == 0 {
		if p = loadPair(b[momentsSquares:]).plus(p); p.finite() {
			p.store(b[momentsSquares:])
			return true
		}
	}
	b[0] |= squaresOverflow
	clear(b[momentsSquares:])
	return false
}

func mergeMoments(b, o []byte) {
	switch {
	case o[0]&kindMask == kindNone:
		return
	case o[0]&kindMask == kindDouble:
		addPair(b, loadPair(o[momentsSum:]))
	case b[0]&kindMask == kindDouble:
		addPair(b, loadWide(o[momentsSum:]).pair())
	default:
		b[0] |= kindInt
		loadWide(b[momentsSum:]).plus(loadWide(o[momentsSum:])).store(b[momentsSum:])
	}
	if o[0]&sumOverflow != 0 {
		b[0] |= sumOverflow
		clear(b[momentsSum:momentsCount])
	}
	if len(b) >= momentsSquares {
		le.PutUint64(b[momentsCount:], le.Uint64(b[momentsCount:])+le.Uint64(o[momentsCount:]))
	}
	if len(b) > momentsSquares {
		addSquares(b, loadPair(o[momentsSquares:]))
		if o[0]&squaresOverflow != 0 {
			b[0] |= squaresOverflow
			clear(b[momentsSquares:])
		}
	}
}

func sumOf(b []byte) (pair, bool) {
	switch {
	case b[0]&kindMask == kindNone || b[0]&sumOverflow != 0:
		return pair{}, false
	case b[0]&kindMask == kindInt:
		return loadWide(b[momentsSum:]).pair(), true
	}
	return loadPair(b[momentsSum:]), true
}

// momentsValue is the result of the function.
func momentsValue(b []byte, function string, t Type) Value {
	sum, ok := sumOf(b)
	if function == Sum {
		switch {
		case !ok:
			return Value{}
		case t == Integer:
			i, same := loadWide(b[momentsSum:]).int64()
			return Value{Type: Integer, Int: i, Saturated: !same}
		}
		return Value{Type: Number, Float: sum.hi}
	}
	n := float64(le.Uint64(b[momentsCount:]))
	if function == Avg {
		if !ok {
			return Value{}
		}
		return Value{Type: Number, Float: sum.over(n).hi}
	}
	if b[0]&kindMask == kindNone || b[0]&squaresOverflow != 0 {
		return Value{}
	}
	squares := loadPair(b[momentsSquares:])
	if function == SumSquares {
		return Value{Type: Number, Float: squares.hi}
	}
	if n < 2 || !ok {
		return Value{}
	}
	// The mean times the sum is at most the sum of squares, so that it does not overflow. What is left of 106 bits after the
	// subtraction is as much as a double has, unless the mean is beyond 2^26 standard deviations.
	v := max(0, squares.minus(sum.over(n).times(sum)).over(n-1).hi)
	if function == Stddev {
		v = math.Sqrt(v)
	}
	return Value{Type: Number, Float: v}
}

func checkMoments(b []byte, t Type) error {
	kind, flags := b[0]&kindMask, b[0]&^kindMask
	switch {
	case flags&^(sumOverflow|squaresOverflow) != 0 || kind > kindDouble || kind == kindDouble && t != Number,
		flags != 0 && kind == kindNone, flags&sumOverflow != 0 && kind != kindDouble, flags&squaresOverflow != 0 && len(b) <= momentsSquares:
		return fmt.Errorf("a sum of kind %x", b[0])
	case kind == kindNone && !isZero(b), flags&sumOverflow != 0 && !isZero(b[momentsSum:momentsCount]), flags&squaresOverflow != 0 && !isZero(b[momentsSquares:]):
		return fmt.Errorf("a sum of kind %x that is not empty", b[0])
	case kind == kindDouble && !normal(loadPair(b[momentsSum:])), len(b) > momentsSquares && !normal(loadPair(b[momentsSquares:])):
		return errors.New("a sum that is no number")
	}
	return nil
}

// normal says whether the lower half is what the higher cannot tell.
func normal(p pair) bool { return p.finite() && p.hi+p.lo == p.hi }

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
