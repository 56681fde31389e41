// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/huff0"

	"github.com/millrace/millrace/internal/schema"
)

// span is bytes [start, end) of some buffer.
type span struct{ start, end uint32 }

func (s span) len() int { return int(s.end - s.start) }

// scratch is what encoding one column needs and leaves behind. It is big, and used for one row group after the other by whoever
// has taken it from the pool.
type scratch struct {
	// Of gather: what is in the column, in the row group's order.
	slots     int      // levels: values, NULLs and empty lists
	values    int      // that are there
	identity  bool     // value i is value i of the vector
	sel       []uint32 // otherwise: value i is value sel[i] of the vector
	def       []byte   // by slot; nil where the column has no levels, or all of them are at the greatest
	rep       []byte   // by slot; nil where not repeated
	rowSlots  []uint32 // of a repeated column, by row: the end of its slots
	rowValues []uint32 // and of its values

	words   []uint64 // the values of at most 8 bytes
	spans   []span   // the others, in text
	text    []byte   // values of 16 bytes, turned round; or texts that were mended
	int32s  []int32  // a page's, for DELTA_BINARY_PACKED
	lengths []int32  // of a page's texts

	ids         []uint32 // the values' places in the dictionary
	wordEntries []uint64 // the dictionary
	textEntries []span
	table       []uint64 // hash table, or bits
	remap       []uint32
	seen        []uint32

	ends       []pageEnd
	pages      []pageInfo
	boundBytes []byte
	page       []byte // encoded
	zipped     []byte // and compressed
	literals   []byte // and compressed the other way
	huffman    huff0.Scratch
	delta      []byte
	hashes     []uint64
	bloom      []byte
	filters    []byte // of all columns of the row group

	defBuffer, repBuffer []byte
}

// pool holds the scratches that nobody uses. A sync.Pool would forget tens of megabytes at every second garbage collection.
var pool = make(chan *scratch, 4)

// outputs holds the buffers of writers that are closed.
var outputs = make(chan []byte, 4)

func takeOutput() []byte {
	select {
	case b := <-outputs:
		return b[:0]
	default:
		return nil
	}
}

func releaseOutput(b []byte) {
	if cap(b)/8 > maxPooled {
		return
	}
	select {
	case outputs <- b:
	default:
	}
}

// maxPooled bounds, in words, what the larger slices of a scratch may hold that is kept.
const maxPooled = 8 << 20

func takeScratch() *scratch {
	select {
	case s := <-pool:
		return s
	default:
		return &scratch{}
	}
}

func (s *scratch) release() {
	if cap(s.words)+cap(s.spans)+cap(s.defBuffer)/8+cap(s.page)/8+cap(s.text)/8 > maxPooled {
		return // of an unusually large row group
	}
	select {
	case pool <- s:
	default:
	}
}

// grown returns a slice of n elements of any value, in the memory of s if that is enough.
func grown[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// length returns the number of values of the vector, or -1 where it has none at all.
func (l *leaf) length(v *Vector) (int, error) {
	n := -1
	switch {
	case l.Type.Kind == schema.String:
		switch {
		case v.Fixed != nil:
			return 0, errors.New("it has Fixed values, but is text")
		case v.Offsets == nil && v.Keys == nil && v.Text == nil:
		case len(v.Offsets) == 0 && len(v.Keys) == 0 && len(v.Text) == 0:
			n = 0
		case len(v.Offsets) == 0:
			return 0, errors.New("it has no Offsets")
		case v.Keys != nil:
			n = len(v.Keys)
		default:
			n = len(v.Offsets) - 1
		}
	case v.Offsets != nil || v.Keys != nil || v.Text != nil:
		return 0, errors.New("it has texts, but is not text")
	case v.Fixed != nil:
		if len(v.Fixed)%l.width != 0 {
			return 0, fmt.Errorf("%d bytes are no multiple of a value's %d", len(v.Fixed), l.width)
		}
		n = len(v.Fixed) / l.width
	}
	if n >= 0 && v.Nulls != nil && len(v.Nulls) != n {
		return 0, fmt.Errorf("it has %d values, but Nulls for %d", n, len(v.Nulls))
	}
	if n > math.MaxInt32 {
		return 0, fmt.Errorf("%d values are too many", n)
	}
	return n, nil
}

// gather finds out which values of the vector there are and in which order, and makes the levels.
func (s *scratch) gather(l *leaf, v *Vector, rows int, order []uint32) error {
	n, err := l.length(v)
	if err != nil {
		return err
	}
	s.sel, s.def, s.rep, s.identity = s.sel[:0], nil, nil, false
	if l.Repeated {
		return s.gatherLists(v, n, rows, order)
	}
	if v.Ends != nil {
		return errors.New("it has Ends, but is no list")
	}
	s.slots = rows
	if n < 0 {
		if !l.Optional {
			return errors.New("it has no values, but may not be NULL")
		}
		s.values = 0
		s.defBuffer = grown(s.defBuffer, rows)
		clear(s.defBuffer)
		s.def = s.defBuffer
		return nil
	}
	if order == nil && n != rows {
		return fmt.Errorf("it has %d rows, but the row group %d", n, rows)
	}
	switch {
	case order == nil && v.Nulls == nil:
		s.identity, s.values = true, rows
		return nil
	case v.Nulls == nil:
		for _, at := range order {
			if int(at) >= n {
				return fmt.Errorf("it has %d rows, but the order names row %d", n, at)
			}
		}
		s.sel, s.values = append(s.sel[:0], order...), rows
		return nil
	}
	s.sel, s.defBuffer = grown(s.sel, rows), grown(s.defBuffer, rows)
	k := 0
	if order == nil {
		for i, null := range v.Nulls {
			there := 1 - min(null, 1)
			s.sel[k] = uint32(i)
			s.defBuffer[i] = there
			k += int(there)
		}
	} else {
		for i, at := range order {
			if int(at) >= n {
				return fmt.Errorf("it has %d rows, but the order names row %d", n, at)
			}
			there := 1 - min(v.Nulls[at], 1)
			s.sel[k] = at
			s.defBuffer[i] = there
			k += int(there)
		}
	}
	s.sel, s.values = s.sel[:k], k
	if k == rows {
		s.identity = order == nil
		return nil
	}
	if !l.Optional {
		return errors.New("it has a NULL, but may not be NULL")
	}
	s.def = s.defBuffer
	return nil
}

func (s *scratch) gatherLists(v *Vector, n, rows int, order []uint32) error {
	s.sel, s.defBuffer, s.repBuffer = s.sel[:0], s.defBuffer[:0], s.repBuffer[:0]
	s.rowSlots, s.rowValues = grown(s.rowSlots, rows), grown(s.rowValues, rows)
	if order == nil && v.Ends != nil && len(v.Ends) != rows {
		return fmt.Errorf("it has %d rows, but the row group %d", len(v.Ends), rows)
	}
	elements := uint64(max(n, 0))
	for i := range rows {
		at := i
		if order != nil {
			at = int(order[i])
		}
		var start, end uint64
		if v.Ends != nil {
			if at >= len(v.Ends) {
				return fmt.Errorf("it has %d rows, but the order names row %d", len(v.Ends), at)
			}
			if end = v.Ends[at]; at > 0 {
				start = v.Ends[at-1]
			}
		}
		if start > end || end > elements {
			return fmt.Errorf("it has %d elements, but row %d those from %d to %d", elements, at, start, end)
		}
		if uint64(len(s.defBuffer))+end-start >= math.MaxInt32 {
			return errors.New("its lists have too many elements for one row group")
		}
		for e := start; e < end; e++ {
			s.repBuffer = append(s.repBuffer, 1)
			if v.Nulls != nil && v.Nulls[e] != 0 {
				s.defBuffer = append(s.defBuffer, 1)
				continue
			}
			s.defBuffer = append(s.defBuffer, 2)
			s.sel = append(s.sel, uint32(e))
		}
		if start == end {
			s.defBuffer, s.repBuffer = append(s.defBuffer, 0), append(s.repBuffer, 0)
		} else {
			s.repBuffer[len(s.repBuffer)-int(end-start)] = 0
		}
		s.rowSlots[i], s.rowValues[i] = uint32(len(s.defBuffer)), uint32(len(s.sel))
	}
	s.def, s.rep = s.defBuffer, s.repBuffer
	s.slots, s.values = len(s.def), len(s.sel)
	return nil
}

// maxPageRows bounds what a reader that wants one row must decode.
const maxPageRows = 20_000

// pageEnd is where a page ends.
type pageEnd struct{ row, slot, value int }

// cut divides the column into pages of about so many bytes. A value takes so many bits; where spans are given, they are the values.
func (s *scratch) cut(rows, pageBytes, bits int, spans []span) {
	s.ends = s.ends[:0]
	last := pageEnd{rows, s.slots, s.values}
	if s.values == 0 { // nothing to pass over
		s.ends = append(s.ends, last)
		return
	}
	budget := pageBytes * 8
	if s.def == nil && spans == nil {
		step := min(max(1, budget/max(bits, 1)), maxPageRows)
		for row := step; row < rows; row += step {
			s.ends = append(s.ends, pageEnd{row, row, row})
		}
		s.ends = append(s.ends, last)
		return
	}
	used, value, first := 0, 0, 0
	var slot int
	for row := range rows {
		next, nextSlot := value+1, row+1
		switch {
		case s.rep != nil:
			next, nextSlot = int(s.rowValues[row]), int(s.rowSlots[row])
		case s.def != nil:
			next = value + int(s.def[row])
		}
		cost := (next - value) * bits
		if spans != nil {
			cost = 0
			for _, v := range spans[value:next] {
				cost += v.len() * 8
			}
		}
		if row > first && (used+cost > budget || row-first >= maxPageRows) {
			s.ends = append(s.ends, pageEnd{row, slot, value})
			used, first = 0, row
		}
		used += cost
		value, slot = next, nextSlot
	}
	s.ends = append(s.ends, last)
}
