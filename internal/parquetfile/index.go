// SPDX-License-Identifier: Apache-2.0

package parquetfile

// pageInfo is one data page, as the indexes have it.
type pageInfo struct {
	offset   int64 // in the file
	size     int32 // with its header
	firstRow int64
	nulls    int64
	bounded  bool // whether the page has bounds
	empty    bool // of values: there are only NULLs and empty lists
	// The bounds as PLAIN has them, and of values of at most 8 bytes also as words.
	least, greatest         span // of scratch.boundBytes
	leastWord, greatestWord uint64
	// Whether a value is exactly that.
	leastExact, greatestExact bool
}

// Orders of the bounds of a column's pages.
const (
	boundaryUnordered = iota
	boundaryAscending
	boundaryDescending
)

// appendColumnIndex appends the index of a column's pages, or nothing where a page has values but no bounds.
func (s *scratch) appendColumnIndex(dst []byte, l *leaf) []byte {
	for i := range s.pages {
		if p := &s.pages[i]; !p.bounded && !p.empty {
			return dst
		}
	}
	t := thriftWriter{b: dst}
	t.list(1, thriftTrue, len(s.pages))
	for i := range s.pages {
		if s.pages[i].empty {
			t.b = append(t.b, thriftTrue)
		} else {
			t.b = append(t.b, thriftFalse)
		}
	}
	t.list(2, thriftBinary, len(s.pages))
	for i := range s.pages {
		t.element(s.bound(s.pages[i].least))
	}
	t.list(3, thriftBinary, len(s.pages))
	for i := range s.pages {
		t.element(s.bound(s.pages[i].greatest))
	}
	t.i32(4, s.boundaryOrder(l))
	t.list(5, thriftI64, len(s.pages))
	for i := range s.pages {
		t.b = appendZigzag(t.b, s.pages[i].nulls)
	}
	t.b = append(t.b, thriftStop)
	return t.b
}

func (s *scratch) bound(of span) []byte { return s.boundBytes[of.start:of.end] }

func (s *scratch) boundaryOrder(l *leaf) int32 {
	ascending, descending := true, true
	var before *pageInfo
	for i := range s.pages {
		p := &s.pages[i]
		if p.empty {
			continue
		}
		if before != nil {
			var least, greatest int
			if l.fixed() {
				least = compareWords(l.order, before.leastWord, p.leastWord)
				greatest = compareWords(l.order, before.greatestWord, p.greatestWord)
			} else {
				least = compareBytes(l.order, s.bound(before.least), s.bound(p.least))
				greatest = compareBytes(l.order, s.bound(before.greatest), s.bound(p.greatest))
			}
			ascending = ascending && least <= 0 && greatest <= 0
			descending = descending && least >= 0 && greatest >= 0
		}
		before = p
	}
	switch {
	case ascending:
		return boundaryAscending
	case descending:
		return boundaryDescending
	default:
		return boundaryUnordered
	}
}

// pageLocation is where a data page lies.
type pageLocation struct {
	offset   int64
	size     int32
	firstRow int64
}

func appendOffsetIndex(dst []byte, pages []pageLocation) []byte {
	t := thriftWriter{b: dst}
	t.list(1, thriftStruct, len(pages))
	for _, p := range pages {
		outer := t.begin()
		t.i64(1, p.offset)
		t.i32(2, p.size)
		t.i64(3, p.firstRow)
		t.end(outer)
	}
	t.b = append(t.b, thriftStop)
	return t.b
}
