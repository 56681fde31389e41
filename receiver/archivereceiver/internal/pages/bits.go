// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/binary"
	"math/bits"
)

// hybrid is a stream of Parquet's mix of run lengths and bit packing, of values of some bits each.
type hybrid struct {
	b     []byte
	width uint
}

// run is a piece of it: count values, which are either all `value` or stand packed in `packed`.
type run struct {
	count  int
	value  uint32
	packed []byte // nil of a repeated value
}

// next returns a run of at most left values.
func (h *hybrid) next(left int) (run, error) {
	header, n := binary.Uvarint(h.b)
	if n <= 0 {
		return run{}, corrupt("levels or indexes end early")
	}
	h.b = h.b[n:]
	count := header >> 1
	if header&1 == 0 {
		size := int(h.width+7) / 8
		if len(h.b) < size || count == 0 {
			return run{}, corrupt("a run of levels or indexes is cut off")
		}
		var value uint32
		for i := range size {
			value |= uint32(h.b[i]) << (8 * i)
		}
		if h.width < 32 && value>>h.width != 0 {
			return run{}, corrupt("a level or index is out of range")
		}
		h.b = h.b[size:]
		return run{count: int(min(count, uint64(left))), value: value}, nil
	}
	if count == 0 || count > maxPageValues/8 {
		return run{}, corrupt("a run of levels or indexes is cut off")
	}
	size := int(count) * int(h.width)
	values := min(int(count)*8, left)
	if size > len(h.b) { // some writers cut off the padding of the last run
		if size = len(h.b); size*8 < values*int(h.width) {
			return run{}, corrupt("a run of levels or indexes is cut off")
		}
	}
	r := run{count: values, packed: h.b[:size]}
	h.b = h.b[size:]
	return r, nil
}

// levels reads n levels of at most `most` into dst, which is made long enough.
func levels(dst, b []byte, n, most int) ([]byte, error) {
	h := hybrid{b: b, width: uint(bits.Len(uint(most)))}
	dst = grow(dst, n)
	for i := 0; i < n; {
		r, err := h.next(n - i)
		if err != nil {
			return dst, err
		}
		to := dst[i : i+r.count]
		switch {
		case r.packed == nil:
			for j := range to {
				to[j] = byte(r.value)
			}
		case h.width == 1:
			for j := range to {
				to[j] = r.packed[j>>3] >> (j & 7) & 1
			}
		default:
			unpack(r.packed, h.width, r.count, func(j int, v uint32) { to[j] = byte(v) })
		}
		i += r.count
	}
	for _, l := range dst {
		if int(l) > most {
			return dst, corrupt("a level is out of range")
		}
	}
	return dst, nil
}

// indexes reads n indexes into a dictionary of that length.
func indexes(dst []uint32, b []byte, n, dictionary int) ([]uint32, error) {
	dst = grow(dst, n)
	if n == 0 {
		return dst, nil
	}
	if len(b) == 0 || b[0] > 32 {
		return dst, corrupt("indexes cannot be read")
	}
	h := hybrid{b: b[1:], width: uint(b[0])}
	for i := 0; i < n; {
		r, err := h.next(n - i)
		if err != nil {
			return dst, err
		}
		to := dst[i : i+r.count]
		if r.packed == nil {
			for j := range to {
				to[j] = r.value
			}
		} else {
			unpack(r.packed, h.width, r.count, func(j int, v uint32) { to[j] = v })
		}
		i += r.count
	}
	for _, x := range dst {
		if uint64(x) >= uint64(dictionary) {
			return dst, corrupt("an index leads out of its dictionary")
		}
	}
	return dst, nil
}

// unpack calls put for n values of the same width, least significant bit first. They are known to be there.
func unpack(b []byte, width uint, n int, put func(int, uint32)) {
	if width == 0 {
		for i := range n {
			put(i, 0)
		}
		return
	}
	mask := uint64(1)<<width - 1
	var have uint64
	var count uint
	for i := range n {
		for count < width {
			have |= uint64(b[0]) << count
			b, count = b[1:], count+8
		}
		put(i, uint32(have&mask))
		have >>= width
		count -= width
	}
}

// delta reads n values of DELTA_BINARY_PACKED, each in the bytes of width, and returns what follows them.
func delta(dst, b []byte, n, width int) (values, rest []byte, err error) {
	d := deltaReader{b: b}
	block, minis, count, first := d.uvarint(), d.uvarint(), d.uvarint(), d.varint()
	switch {
	case d.failed, count != uint64(n), block == 0, block%128 != 0, block > 1<<20, minis == 0, minis > block/8, block%minis != 0, block/minis%8 != 0:
		return dst, nil, corrupt("a page of differences cannot be read")
	}
	dst = grow(dst, n*width)
	each := int(block / minis)
	value := uint64(first)
	for i := 0; i < n; {
		if i == 0 {
			put(dst, 0, width, value)
			i++
			if i == n {
				break
			}
		}
		least := uint64(d.varint())
		widths := d.take(int(minis))
		if d.failed {
			return dst, nil, corrupt("a page of differences is cut off")
		}
		for m := 0; m < int(minis) && i < n; m++ {
			w := uint(widths[m])
			if w > 64 {
				return dst, nil, corrupt("a page of differences cannot be read")
			}
			here := min(each, n-i)
			size := each * int(w) / 8
			if size > len(d.b) { // some writers cut off the padding of the last one
				if size = len(d.b); size*8 < here*int(w) {
					return dst, nil, corrupt("a page of differences is cut off")
				}
			}
			packed := d.take(size)
			at := uint(0)
			for range here {
				value += least + bitsAt(packed, at, w)
				at += w
				put(dst, i, width, value)
				i++
			}
		}
	}
	return dst, d.b, nil
}

// bitsAt returns the w bits of b that begin at bit `at`. They are known to be there.
func bitsAt(b []byte, at, w uint) uint64 {
	var v uint64
	for got := uint(0); got < w; {
		bit := (at + got) & 7
		n := min(8-bit, w-got)
		v |= uint64(b[(at+got)>>3]>>bit&(1<<n-1)) << got
		got += n
	}
	return v
}

func put(dst []byte, i, width int, value uint64) {
	if width == 4 {
		binary.LittleEndian.PutUint32(dst[4*i:], uint32(value))
		return
	}
	binary.LittleEndian.PutUint64(dst[8*i:], value)
}

type deltaReader struct {
	b      []byte
	failed bool
}

func (d *deltaReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.failed = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *deltaReader) varint() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (d *deltaReader) take(n int) []byte {
	if n > len(d.b) {
		d.failed = true
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
