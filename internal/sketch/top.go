// SPDX-License-Identifier: Apache-2.0

package sketch

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// MaxValue is how long a value of a Top can be, in bytes.
const MaxValue = 128

// Top follows the most frequent values: as many as its capacity. When another one comes, the least frequent gives way, and the new one takes
// its count over as its error. So a count is never too small, and too large by at most its error, which is at most n/capacity
// after n values; every value that occurred more often than that is among those followed.
//
//	values (2), room (1: log2 of the slots, or 255 if they are the capacity), log2 of a slot's bytes for the value (1), where the next least one is looked for (2)
//	by slot: hash (4) …, count (8) …, error (8) …, length (1) …, value …
type Top struct{ capacity int }

const (
	topHeader = 6
	minSlots  = 2 // log2
	allSlots  = 255
	minStride = 4 // log2
	maxStride = 7
)

// NewTop makes a sketch that follows so many values, from 1 to 4,096.
func NewTop(capacity int) *Top { return &Top{min(max(capacity, 1), 4096)} }

// Frequent is a value and its count.
type Frequent struct {
	Value        string
	Count, Error uint64
}

// table is a Top's bytes, apart.
type table struct {
	n, slots, stride             int
	hashes, counts, errors, lens []byte
	values                       []byte
}

func (t *Top) slots(code byte) int {
	if code == allSlots {
		return t.capacity
	}
	return 1 << code
}

// slotsFor n values: a code and a number.
func (t *Top) slotsFor(n int) (byte, int) {
	code := max(minSlots, bits.Len(uint(max(n, 1)-1)))
	if 1<<code >= t.capacity {
		return allSlots, t.capacity
	}
	return byte(code), 1 << code
}

func strideFor(n int) byte { return byte(max(minStride, bits.Len(uint(max(n, 1)-1)))) }

func topSize(slots int, stride byte) int { return topHeader + slots*(4+8+8+1+1<<stride) }

func (t *Top) open(b []byte) (v table) {
	v.n, v.slots, v.stride = int(le.Uint16(b)), t.slots(b[2]), 1<<b[3]
	b = b[topHeader:]
	v.hashes, b = b[:4*v.slots], b[4*v.slots:]
	v.counts, b = b[:8*v.slots], b[8*v.slots:]
	v.errors, b = b[:8*v.slots], b[8*v.slots:]
	v.lens, v.values = b[:v.slots], b[v.slots:]
	return v
}

func (v *table) hash(i int) uint32    { return le.Uint32(v.hashes[4*i:]) }
func (v *table) count(i int) uint64   { return le.Uint64(v.counts[8*i:]) }
func (v *table) errorOf(i int) uint64 { return le.Uint64(v.errors[8*i:]) }
func (v *table) value(i int) []byte   { return v.values[i*v.stride:][:v.lens[i]] }

func (v *table) put(i int, hash uint32, count, err uint64, value []byte) {
	le.PutUint32(v.hashes[4*i:], hash)
	le.PutUint64(v.counts[8*i:], count)
	le.PutUint64(v.errors[8*i:], err)
	v.lens[i] = byte(len(value))
	slot := v.values[i*v.stride:][:v.stride]
	clear(slot[copy(slot, value):])
}

// find returns the slot of a value, or -1.
func (v *table) find(hash uint32, value []byte) int {
	hashes := v.hashes[:4*v.n]
	for i := 0; i+4 <= len(hashes); i += 4 {
		if le.Uint32(hashes[i:]) == hash && bytes.Equal(v.value(i/4), value) {
			return i / 4
		}
	}
	return -1
}

// MaxSize is what no sketch is longer than.
func (t *Top) MaxSize() int { return topSize(t.capacity, maxStride) }

// Init appends an empty sketch.
func (t *Top) Init(dst []byte) []byte {
	return append(dst, 0, 0, 0, minStride, 0, 0)
}

func hashOf(value []byte) uint32 { return uint32(xxhash.Sum64(value)) }

// Add counts a value of at most MaxValue bytes.
func (t *Top) Add(b, value, scratch []byte) (out []byte, rebuilt bool) {
	value = value[:min(len(value), MaxValue)]
	hash := hashOf(value)
	return t.add(b, hash, value, scratch)
}

func (t *Top) add(b []byte, hash uint32, value, scratch []byte) (out []byte, rebuilt bool) {
	n := int(le.Uint16(b))
	var v table
	if n > 0 {
		v = t.open(b)
		if i := v.find(hash, value); i >= 0 {
			le.PutUint64(v.counts[8*i:], v.count(i)+1)
			return b, false
		}
	}
	stride := max(b[3], strideFor(len(value)))
	if n < t.capacity {
		if n == v.slots || stride > b[3] {
			b, rebuilt = t.resize(b, n+1, stride, scratch), true
			v = t.open(b)
		}
		le.PutUint16(b, uint16(n+1))
		v.put(n, hash, 1, 0, value)
		return b, rebuilt
	}
	if stride > b[3] {
		b, rebuilt = t.resize(b, n, stride, scratch), true
		v = t.open(b)
	}
	i := v.least(int(le.Uint16(b[4:])))
	le.PutUint16(b[4:], uint16(i))
	least := v.count(i)
	v.put(i, hash, least+1, least, value)
	return b, rebuilt
}

// least is the slot of the least count, looked for from behind where the last one was found. No error is above the least count, so that one that is as small as any
// error is the least: while there are several, the next is found without looking at all.
func (v *table) least(from int) int {
	if from >= v.n {
		from = 0
	}
	enough := v.errorOf(from)
	at, least := from, v.count(from)
	for i := from + 1; i < v.n; i++ {
		if c := v.count(i); c < least {
			if at, least = i, c; c <= enough {
				return at
			}
		}
	}
	for i := range from {
		if c := v.count(i); c < least {
			if at, least = i, c; c <= enough {
				return at
			}
		}
	}
	return at
}

// resize makes a sketch with slots for n values.
func (t *Top) resize(b []byte, n int, stride byte, scratch []byte) []byte {
	code, slots := t.slotsFor(n)
	out := scratch[:0]
	out = append(out, make([]byte, topSize(slots, stride))...)
	copy(out, b[:topHeader])
	out[2], out[3] = code, stride
	if le.Uint16(b) > 0 {
		v, w := t.open(b), t.open(out)
		copy(w.hashes, v.hashes)
		copy(w.counts, v.counts)
		copy(w.errors, v.errors)
		copy(w.lens, v.lens)
		for i := range v.n {
			copy(w.values[i*w.stride:], v.value(i))
		}
	}
	return out
}

// Top appends the k most frequent values, of equal ones the lesser first.
func (t *Top) Top(b []byte, k int) []Frequent {
	if le.Uint16(b) == 0 {
		return nil
	}
	v := t.open(b)
	all := make([]Frequent, v.n)
	for i := range all {
		all[i] = Frequent{string(v.value(i)), v.count(i), v.errorOf(i)}
	}
	slices.SortFunc(all, func(x, y Frequent) int { return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Value, y.Value)) })
	return all[:min(k, len(all))]
}

// minimum is what a value that is not followed may have occurred: the least count if the sketch is full.
func (t *Top) minimum(b []byte) uint64 {
	if int(le.Uint16(b)) < t.capacity {
		return 0
	}
	v := t.open(b)
	return v.count(v.least(0))
}

// Merge counts what other counted: the counts and errors of a value add up, where a sketch that does not follow it stands for with its minimum; of all of these the
// greatest are kept. What a count is too large by is then at most min1 + min2 <= n1/capacity + n2/capacity. And the kept counts add up to at most
// n1 + n2, as those of one sketch do: of c that are kept, i are not followed by the first, which gives them i*min1 and loses at least i
// of its own, of min1 each or more. So the least of them stays below n/capacity, and the bound holds for what is added or merged later.
func (t *Top) Merge(b, other, scratch []byte) (out []byte, rebuilt bool) {
	if le.Uint16(other) == 0 {
		return b, false
	}
	if le.Uint16(b) == 0 {
		return append(scratch[:0], other...), true
	}
	v, w := t.open(b), t.open(other)
	less, more := t.minimum(b), t.minimum(other)
	all := make([]followed, 0, v.n+w.n)
	for i := range v.n {
		f := followed{v.value(i), v.hash(i), v.count(i) + more, v.errorOf(i) + more}
		if j := w.find(f.hash, f.value); j >= 0 {
			f.count, f.err = v.count(i)+w.count(j), v.errorOf(i)+w.errorOf(j)
		}
		all = append(all, f)
	}
	for j := range w.n {
		if v.find(w.hash(j), w.value(j)) < 0 {
			all = append(all, followed{w.value(j), w.hash(j), w.count(j) + less, w.errorOf(j) + less})
		}
	}
	slices.SortFunc(all, func(x, y followed) int { return cmp.Or(cmp.Compare(y.count, x.count), bytes.Compare(x.value, y.value)) })
	return t.build(all[:min(len(all), t.capacity)], max(b[3], other[3]), scratch), true
}

// followed is a slot.
type followed struct {
	value      []byte
	hash       uint32
	count, err uint64
}

func (t *Top) build(all []followed, stride byte, scratch []byte) []byte {
	code, slots := t.slotsFor(len(all))
	out := scratch[:0]
	out = append(out, make([]byte, topSize(slots, stride))...)
	le.PutUint16(out, uint16(len(all)))
	out[2], out[3] = code, stride
	v := t.open(out)
	for i, f := range all {
		v.put(i, f.hash, f.count, f.err, f.value)
	}
	return out
}

// Check says whether the bytes are a sketch.
func (t *Top) Check(b []byte) error {
	if len(b) < topHeader {
		return fmt.Errorf("%d bytes are no frequent values", len(b))
	}
	n, code, stride, from := int(le.Uint16(b)), b[2], b[3], int(le.Uint16(b[4:]))
	if n == 0 {
		if code != 0 || stride != minStride || from != 0 || len(b) != topHeader {
			return fmt.Errorf("no frequent values in %d bytes", len(b))
		}
		return nil
	}
	if wanted, slots := t.slotsFor(n); n > t.capacity || code != wanted || stride < minStride || stride > maxStride || len(b) != topSize(slots, stride) {
		return fmt.Errorf("%d frequent values in %d bytes, by codes %d and %d", n, len(b), code, stride)
	}
	if from >= t.capacity {
		return fmt.Errorf("the least of %d frequent values is number %d", n, from)
	}
	v := t.open(b)
	for i := range v.n {
		if int(v.lens[i]) > v.stride {
			return fmt.Errorf("value %d has %d bytes of %d", i, v.lens[i], v.stride)
		}
		value := v.value(i)
		switch {
		case v.hash(i) != hashOf(value):
			return fmt.Errorf("value %d does not have its hash", i)
		case v.count(i) == 0 || v.errorOf(i) >= v.count(i):
			return fmt.Errorf("value %d has count %d and error %d", i, v.count(i), v.errorOf(i))
		case v.find(v.hash(i), value) != i:
			return fmt.Errorf("value %d is there twice", i)
		}
		if err := checkZero(v.values[i*v.stride+len(value) : (i+1)*v.stride]); err != nil {
			return err
		}
	}
	return checkZero(v.values[v.n*v.stride:])
}
