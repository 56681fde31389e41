// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"

	"github.com/parquet-go/parquet-go/format"
)

// values are those of one page, or of a dictionary: those that are not NULL, one after the other.
type values struct {
	n int
	// text i is all[ends[i-1]:ends[i]], of BYTE_ARRAY. ascii says that all of it is.
	all   string
	ends  []uint32
	ascii bool
	// fixed has those of all other types, little-endian, as wide as the type; booleans a byte each. It may lie in the page.
	fixed []byte

	own     []byte // what fixed may lie in
	lengths []byte // of DELTA_LENGTH_BYTE_ARRAY and the like
}

func (v *values) text(i int) string {
	if i == 0 {
		return v.all[:v.ends[0]]
	}
	return v.all[v.ends[i-1]:v.ends[i]]
}

// bytes is the memory that they hold, about.
func (v *values) bytes() int64 {
	return int64(len(v.all)) + 4*int64(cap(v.ends)) + int64(cap(v.own)) + int64(cap(v.lengths))
}

// decode reads n values of a type from b, which has to stay as it is while they are used.
func (v *values) decode(t Type, encoding format.Encoding, b []byte, n int) error {
	v.n, v.all, v.fixed = n, "", nil
	switch {
	case t.Physical == format.ByteArray:
		return v.decodeTexts(encoding, b, n)
	case t.Physical == format.Boolean:
		return v.decodeBools(encoding, b, n)
	}
	switch encoding {
	case format.Plain:
		if n > len(b)/t.Width {
			return corrupt("a page has fewer values than it says")
		}
		v.fixed = b[:n*t.Width]
		return nil
	case format.ByteStreamSplit:
		if n > len(b)/t.Width {
			return corrupt("a page has fewer values than it says")
		}
		v.own = grow(v.own, n*t.Width)
		for i := range n {
			for j := range t.Width {
				v.own[i*t.Width+j] = b[j*n+i]
			}
		}
		v.fixed = v.own
		return nil
	case format.DeltaBinaryPacked:
		if t.Physical == format.Int32 || t.Physical == format.Int64 {
			var err error
			v.own, _, err = delta(v.own, b, n, t.Width)
			v.fixed = v.own
			return err
		}
	case format.DeltaByteArray:
		if t.Physical == format.FixedLenByteArray {
			return v.decodeFixedPrefixes(t.Width, b, n)
		}
	}
	return unsupported("a column of %s is encoded as %s", t.Physical, encoding)
}

func (v *values) decodeBools(encoding format.Encoding, b []byte, n int) (err error) {
	switch encoding {
	case format.Plain:
		if n > 8*len(b) {
			return corrupt("a page has fewer values than it says")
		}
		v.own = grow(v.own, n)
		for i := range v.own {
			v.own[i] = b[i>>3] >> (i & 7) & 1
		}
	case format.RLE:
		if len(b) < 4 {
			return corrupt("a page has fewer values than it says")
		}
		v.own, err = levels(v.own, b[4:], n, 1)
	default:
		return unsupported("a column of booleans is encoded as %s", encoding)
	}
	v.fixed = v.own
	return err
}

func (v *values) decodeTexts(encoding format.Encoding, b []byte, n int) error {
	v.ends = grow(v.ends, n)
	var text []byte
	switch encoding {
	case format.Plain:
		if n > len(b)/4 {
			return corrupt("a page has fewer values than it says")
		}
		text = make([]byte, 0, len(b)-4*n)
		for i := range n {
			if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
				return corrupt("a text is longer than its page")
			}
			size := int(binary.LittleEndian.Uint32(b))
			text = append(text, b[4:4+size]...)
			b = b[4+size:]
			v.ends[i] = uint32(len(text))
		}
	case format.DeltaLengthByteArray:
		var err error
		if v.lengths, b, err = delta(v.lengths, b, n, 4); err != nil {
			return err
		}
		total := 0
		for i := range n {
			size := int(int32(binary.LittleEndian.Uint32(v.lengths[4*i:])))
			if size < 0 || size > len(b)-total {
				return corrupt("a text is longer than its page")
			}
			total += size
			v.ends[i] = uint32(total)
		}
		text = append(text, b[:total]...)
	case format.DeltaByteArray:
		var err error
		if text, err = v.prefixes(b, n); err != nil {
			return err
		}
	default:
		return unsupported("a column of texts is encoded as %s", encoding)
	}
	v.setText(text)
	return nil
}

// setText takes text, which nobody changes any more.
func (v *values) setText(text []byte) {
	v.all = unsafe.String(unsafe.SliceData(text), len(text)) //nolint:gosec // a copy of every page's texts is saved
	v.ascii = true
	for _, c := range text {
		if c >= utf8.RuneSelf {
			v.ascii = false
			break
		}
	}
}

// prefixes reads DELTA_BYTE_ARRAY: each value begins as the one before it.
func (v *values) prefixes(b []byte, n int) ([]byte, error) {
	var shared, own []byte
	var err error
	if shared, b, err = delta(nil, b, n, 4); err != nil {
		return nil, err
	}
	if own, b, err = delta(nil, b, n, 4); err != nil {
		return nil, err
	}
	var text []byte
	last := 0 // where the value before begins
	for i := range n {
		prefix := int(int32(binary.LittleEndian.Uint32(shared[4*i:])))
		size := int(int32(binary.LittleEndian.Uint32(own[4*i:])))
		if prefix < 0 || size < 0 || prefix > len(text)-last || size > len(b) {
			return nil, corrupt("a text is longer than its page")
		}
		if len(text)+prefix+size > maxPageBytes {
			return nil, ErrTooLarge
		}
		at := len(text)
		text = append(text, text[last:last+prefix]...)
		text = append(text, b[:size]...)
		b, last = b[size:], at
		v.ends[i] = uint32(len(text))
	}
	return text, nil
}

func (v *values) decodeFixedPrefixes(width int, b []byte, n int) error {
	v.ends = grow(v.ends, n)
	text, err := v.prefixes(b, n)
	if err != nil {
		return err
	}
	for i := range n {
		if int(v.ends[i]) != (i+1)*width {
			return corrupt("a value is not as wide as its type")
		}
	}
	v.own, v.fixed = text, text
	return nil
}
