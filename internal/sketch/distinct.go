// SPDX-License-Identifier: Apache-2.0

package sketch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

var le = binary.LittleEndian

// Distinct counts distinct hashes of 64 bits.
//
//	form (1), number of entries (2), then by form:
//	exact:  hashes in order, 8 bytes each
//	sparse: 26 bits of the hash and the rank of the rest, 4 bytes each, in order: one for each of 2^26 registers that is not zero
//	dense:  no number; 2^precision registers of 6 bits, and a byte of zeros
//
// Entries have room that is a function of their number, filled with zeros. The form is a function of the set of hashes: exact up
// to a number of them; sparse while that takes no more memory than dense would.
type Distinct struct {
	precision uint
	exact     int // hashes
	sparse    int // entries
}

// Forms.
const (
	formExact  = 0
	formSparse = 1
	formDense  = 2
)

const (
	distinctHeader = 3
	sparseBits     = 26
	rankBits       = 6 // of a sparse entry, and of a register
	rankMask       = 1<<rankBits - 1
	sparseRankMax  = 64 - sparseBits + 1
)

// NewDistinct makes a sketch with 2^precision registers (10 to 16) that is exact up to the given number of hashes (at most 32,768).
func NewDistinct(precision, exact int) *Distinct {
	precision = min(max(precision, 10), 16)
	return &Distinct{precision: uint(precision), exact: min(max(exact, 0), 32768), sparse: 6 << precision / 8 / 4}
}

// room is how many entries there is memory for: at most a quarter more than there are.
func room(n, most int) int {
	if n == 0 {
		return 0
	}
	step := max(2, 1<<bits.Len(uint(n))/8)
	return min((n+step-1)/step*step, most)
}

func (d *Distinct) denseSize() int { return 1 + 6<<d.precision/8 + 1 }

// MaxSize is what no sketch is longer than.
func (d *Distinct) MaxSize() int {
	return max(distinctHeader+8*d.exact, distinctHeader+4*d.sparse, d.denseSize())
}

// Init appends an empty sketch.
func (d *Distinct) Init(dst []byte) []byte { return append(dst, formExact, 0, 0) }

func count(b []byte) int { return int(le.Uint16(b[1:])) }

func hashAt(b []byte, i int) uint64  { return le.Uint64(b[distinctHeader+8*i:]) }
func entryAt(b []byte, i int) uint32 { return le.Uint32(b[distinctHeader+4*i:]) }

// entryOf a hash: the register by its upper bits, and the rank of the rest, which is one more than the zeros it begins with.
func entryOf(h uint64) uint32 {
	rank := bits.LeadingZeros64(h<<sparseBits|1<<(sparseBits-1)) + 1
	return uint32(h>>(64-sparseBits))<<rankBits | uint32(rank)
}

// register of a hash and its rank in a dense sketch.
func (d *Distinct) register(h uint64) (i uint32, rank uint8) {
	return uint32(h >> (64 - d.precision)), uint8(bits.LeadingZeros64(h<<d.precision|1<<(d.precision-1)) + 1)
}

// registerOf an entry: what register would have said of its hash.
func (d *Distinct) registerOf(e uint32) (i uint32, rank uint8) {
	between := sparseBits - d.precision // bits of the entry's register that belong to the rank here
	register := e >> rankBits
	if rest := register << (32 - between); rest != 0 {
		return register >> between, uint8(bits.LeadingZeros32(rest) + 1)
	}
	return register >> between, uint8(e&rankMask) + uint8(between)
}

// raise sets a register to at least the rank.
func raise(b []byte, i uint32, rank uint8) {
	at := 1 + i*6/8
	shift := i * 6 % 8
	w := le.Uint16(b[at:])
	if was := uint8(w >> shift & rankMask); rank > was {
		le.PutUint16(b[at:], w&^(rankMask<<shift)|uint16(rank)<<shift)
	}
}

// Add counts a hash.
func (d *Distinct) Add(b []byte, h uint64, scratch []byte) (out []byte, rebuilt bool) {
	switch b[0] {
	case formDense:
		i, rank := d.register(h)
		raise(b, i, rank)
		return b, false
	case formSparse:
		return d.addEntry(b, entryOf(h), scratch)
	}
	n := count(b)
	at, found := searchHash(b, n, h)
	switch {
	case found:
		return b, false
	case n == d.exact:
		var one [distinctHeader + 8]byte
		one[1] = 1
		le.PutUint64(one[distinctHeader:], h)
		return d.mergeEntries(b, one[:], scratch), true
	}
	if size := distinctHeader + 8*room(n+1, d.exact); size > len(b) {
		b, rebuilt = longer(b, size, scratch), true
	}
	list := b[distinctHeader : distinctHeader+8*(n+1)]
	copy(list[8*(at+1):], list[8*at:])
	le.PutUint64(list[8*at:], h)
	le.PutUint16(b[1:], uint16(n+1))
	return b, rebuilt
}

func searchHash(b []byte, n int, h uint64) (int, bool) {
	low, high := 0, n
	for low < high {
		mid := int(uint(low+high) / 2)
		if hashAt(b, mid) < h {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < n && hashAt(b, low) == h
}

func searchEntry(b []byte, n int, register uint32) int {
	low, high := 0, n
	for low < high {
		mid := int(uint(low+high) / 2)
		if entryAt(b, mid)>>rankBits < register {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

func (d *Distinct) addEntry(b []byte, e uint32, scratch []byte) (out []byte, rebuilt bool) {
	n := count(b)
	at := searchEntry(b, n, e>>rankBits)
	if at < n && entryAt(b, at)>>rankBits == e>>rankBits {
		le.PutUint32(b[distinctHeader+4*at:], max(e, entryAt(b, at)))
		return b, false
	}
	if n == d.sparse {
		out = d.newDense(scratch)
		d.raiseAll(out, b)
		i, rank := d.registerOf(e)
		raise(out, i, rank)
		return out, true
	}
	if size := distinctHeader + 4*room(n+1, d.sparse); size > len(b) {
		b, rebuilt = longer(b, size, scratch), true
	}
	list := b[distinctHeader : distinctHeader+4*(n+1)]
	copy(list[4*(at+1):], list[4*at:])
	le.PutUint32(list[4*at:], e)
	le.PutUint16(b[1:], uint16(n+1))
	return b, rebuilt
}

// entry i of an exact or sparse sketch. Those of an exact one may be several for a register, in any order of rank.
func entry(b []byte, i int) uint32 {
	if b[0] == formSparse {
		return entryAt(b, i)
	}
	return entryOf(hashAt(b, i))
}

// mergeEntries makes a sparse or dense sketch of what two hold that are not dense.
func (d *Distinct) mergeEntries(b, other, scratch []byte) []byte {
	n, out := 0, scratch[:0]
	out = append(out, formSparse, 0, 0)
	for i, j := 0, 0; i < count(b) || j < count(other); {
		var e uint32
		if j == count(other) || i < count(b) && entry(b, i) <= entry(other, j) {
			e = entry(b, i)
			i++
		} else {
			e = entry(other, j)
			j++
		}
		if n > 0 {
			if last := out[len(out)-4:]; le.Uint32(last)>>rankBits == e>>rankBits {
				le.PutUint32(last, max(e, le.Uint32(last)))
				continue
			}
		}
		out = le.AppendUint32(out, e)
		n++
	}
	if n <= d.sparse {
		le.PutUint16(out[1:], uint16(n))
		return append(out, make([]byte, 4*(room(n, d.sparse)-n))...)
	}
	out = d.newDense(out)
	d.raiseAll(out, b)
	d.raiseAll(out, other)
	return out
}

func (d *Distinct) newDense(scratch []byte) []byte {
	out := scratch[:0]
	out = append(out, make([]byte, d.denseSize())...)
	out[0] = formDense
	return out
}

// longer is a copy of b with zeros up to the size.
func longer(b []byte, size int, scratch []byte) []byte {
	out := scratch[:0]
	out = append(out, b...)
	return append(out, make([]byte, size-len(b))...)
}

// raiseAll counts in a dense sketch what one that is not dense counted.
func (d *Distinct) raiseAll(dense, b []byte) {
	for i := range count(b) {
		r, rank := d.registerOf(entry(b, i))
		raise(dense, r, rank)
	}
}

// Merge counts what other counted.
func (d *Distinct) Merge(b, other, scratch []byte) (out []byte, rebuilt bool) {
	switch {
	case other[0] == formDense && b[0] == formDense:
		for at := 1; at < len(b)-1; at += 6 {
			store8(b[at:], greatest8(load8(b[at:]), load8(other[at:])))
		}
		return b, false
	case b[0] == formDense:
		d.raiseAll(b, other)
		return b, false
	case other[0] == formDense:
		out = scratch[:0]
		out = append(out, other...)
		d.raiseAll(out, b)
		return out, true
	case count(other) == 0:
		return b, false
	case b[0] == formExact && other[0] == formExact:
		if out, ok := d.mergeExact(b, other, scratch); ok {
			return out, true
		}
	}
	return d.mergeEntries(b, other, scratch), true
}

// mergeExact makes an exact sketch of what two hold, if that is not too many.
func (d *Distinct) mergeExact(b, other, scratch []byte) ([]byte, bool) {
	n, out := 0, scratch[:0]
	out = append(out, formExact, 0, 0)
	for i, j := 0, 0; i < count(b) || j < count(other); n++ {
		if n == d.exact {
			return nil, false
		}
		var h uint64
		switch {
		case j == count(other) || i < count(b) && hashAt(b, i) < hashAt(other, j):
			h = hashAt(b, i)
			i++
		case i < count(b) && hashAt(b, i) == hashAt(other, j):
			i++
			fallthrough
		default:
			h = hashAt(other, j)
			j++
		}
		out = le.AppendUint64(out, h)
	}
	le.PutUint16(out[1:], uint16(n))
	return append(out, make([]byte, 8*(room(n, d.exact)-n))...), true
}

// load8 returns 8 registers, which lie in 6 bytes.
func load8(b []byte) uint64 { return uint64(le.Uint32(b)) | uint64(le.Uint16(b[4:]))<<32 }

func store8(b []byte, x uint64) {
	le.PutUint32(b, uint32(x))
	le.PutUint16(b[4:], uint16(x>>32))
}

// greatest8 is the greater of each pair of registers. Every other one is compared at a time: the bit above it, which then is free, is
// borrowed from where the first is less.
func greatest8(x, y uint64) uint64 {
	const (
		lanes = 0x03f03f03f03f // bits of registers 0, 2, 4 and 6
		above = 0x040040040040 // the bit above each of them
	)
	greatest := func(x, y uint64) uint64 {
		free := (x | above) - y&lanes
		is := free & above
		is -= is >> rankBits
		return x&is | y&^is
	}
	return greatest(x&lanes, y&lanes) | greatest(x>>rankBits&lanes, y>>rankBits&lanes)<<rankBits
}

func registerAt(b []byte, i uint32) uint8 {
	return uint8(le.Uint16(b[1+i*6/8:]) >> (i * 6 % 8) & rankMask)
}

// Estimate is how many distinct hashes were counted.
func (d *Distinct) Estimate(b []byte) uint64 {
	n := count(b)
	switch b[0] {
	case formExact:
		return uint64(n)
	case formSparse:
		// Linear counting: so many registers are not zero, of 2^26. Above this by 0.02 % at most.
		const m = 1 << sparseBits
		return max(uint64(d.exact)+1, uint64(math.Round(-m*math.Log1p(-float64(n)/m))))
	}
	var histogram [66]uint32
	for at := 1; at < len(b)-1; at += 6 {
		for x, i := load8(b[at:]), 0; i < 8; i++ {
			histogram[x&rankMask]++
			x >>= rankBits
		}
	}
	return d.ertl(&histogram)
}

// ertl is algorithm 6 of Ertl's paper: histogram[k] registers have rank k, of which q+1 is the greatest.
func (d *Distinct) ertl(histogram *[66]uint32) uint64 {
	m := float64(uint32(1) << d.precision)
	q := 64 - int(d.precision)
	z := float64(m * tau(1-float64(histogram[q+1])/m))
	for k := q; k >= 1; k-- {
		z = 0.5 * (z + float64(histogram[k])) // a product with a power of two is exact, fused or not
	}
	z += float64(m * sigma(float64(histogram[0])/m))
	const alpha = 0.5 / math.Ln2
	if n := math.Round(alpha * m * m / z); n < math.MaxInt64 {
		return uint64(n)
	}
	return math.MaxInt64 // all registers are full, or it is no sketch
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		was := z
		y *= 0.5
		d := 1 - x
		if z -= float64(float64(d*d) * y); z == was {
			return z / 3
		}
	}
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x = float64(x * x)
		was := z
		if z += float64(x * y); z == was {
			return z
		}
		y += y
	}
}

// Check says whether the bytes are a sketch.
func (d *Distinct) Check(b []byte) error {
	if len(b) < distinctHeader {
		return fmt.Errorf("%d bytes are no count of distinct values", len(b))
	}
	n := count(b)
	switch b[0] {
	case formExact:
		if n > d.exact || len(b) != distinctHeader+8*room(n, d.exact) {
			return fmt.Errorf("%d hashes in %d bytes", n, len(b))
		}
		for i := 1; i < n; i++ {
			if hashAt(b, i-1) >= hashAt(b, i) {
				return fmt.Errorf("hash %d is out of order", i)
			}
		}
		return checkZero(b[distinctHeader+8*n:])
	case formSparse:
		if n == 0 || n > d.sparse || len(b) != distinctHeader+4*room(n, d.sparse) {
			return fmt.Errorf("%d registers in %d bytes", n, len(b))
		}
		for i := range n {
			e := entryAt(b, i)
			if rank := e & rankMask; rank < 1 || rank > sparseRankMax {
				return fmt.Errorf("register %d has rank %d", i, rank)
			}
			if i > 0 && entryAt(b, i-1)>>rankBits >= e>>rankBits {
				return fmt.Errorf("register %d is out of order", i)
			}
		}
		return checkZero(b[distinctHeader+4*n:])
	case formDense:
		if len(b) != d.denseSize() {
			return fmt.Errorf("%d bytes of registers", len(b))
		}
		for i := range uint32(1) << d.precision {
			if rank := registerAt(b, i); uint(rank) > 64-d.precision+1 {
				return fmt.Errorf("register %d has rank %d", i, rank)
			}
		}
		return checkZero(b[len(b)-1:])
	}
	return fmt.Errorf("form %d is not known", b[0])
}

func checkZero(b []byte) error {
	for _, c := range b {
		if c != 0 {
			return errors.New("something where nothing is kept")
		}
	}
	return nil
}
