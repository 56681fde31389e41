// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/binary"
	"errors"
)

// A session's bytes, little endian:
//
//	 0 start     int64, Unix nanoseconds
//	 8 last      int64
//	16 id        16 bytes
//	32 events    uint32
//	36 size      uint32, of all of this session
//	40 flags     uint8
//	41 names     uint8, how many names are counted
//	42 absorbed  uint8, how many IDs follow
//	43 previous  16 bytes, if flagged; absorbed IDs; counts of 2 bytes for the name and 4 for how often; the accumulator
type view []byte

// ID of a session.
type ID [16]byte

const (
	headSize  = 43
	idSize    = 16
	countSize = 6

	maxAbsorbed = 255
	maxNames    = 255
)

const (
	isCut       = 1 << iota // what came before its start does not belong to it
	isClosed                // only its ID and its times are left
	hasPrevious             // the ID of the session before
	isClient                // the producer's own: its ID is that of the key
)

func (v view) start() int64     { return int64(binary.LittleEndian.Uint64(v)) }
func (v view) setStart(t int64) { binary.LittleEndian.PutUint64(v, uint64(t)) }
func (v view) last() int64      { return int64(binary.LittleEndian.Uint64(v[8:])) }
func (v view) setLast(t int64)  { binary.LittleEndian.PutUint64(v[8:], uint64(t)) }
func (v view) id() ID           { return ID(v[16:32]) }
func (v view) events() uint32   { return binary.LittleEndian.Uint32(v[32:]) }
func (v view) setEvents(n uint32) {
	binary.LittleEndian.PutUint32(v[32:], n)
}
func (v view) size() int         { return int(binary.LittleEndian.Uint32(v[36:])) }
func (v view) setSize(n int)     { binary.LittleEndian.PutUint32(v[36:], uint32(n)) }
func (v view) is(flag byte) bool { return v[40]&flag != 0 }
func (v view) names() int        { return int(v[41]) }
func (v view) absorbed() int     { return int(v[42]) }
func (v view) previous() (ID, bool) {
	if !v.is(hasPrevious) {
		return ID{}, false
	}
	return ID(v[headSize : headSize+idSize]), true
}

func (v view) absorbedAt() int {
	if v.is(hasPrevious) {
		return headSize + idSize
	}
	return headSize
}
func (v view) absorbedIDs() []byte { return v[v.absorbedAt() : v.absorbedAt()+idSize*v.absorbed()] }
func (v view) countsAt() int       { return v.absorbedAt() + idSize*v.absorbed() }
func (v view) counts() []byte      { return v[v.countsAt() : v.countsAt()+countSize*v.names()] }
func (v view) accumulatorAt() int  { return v.countsAt() + countSize*v.names() }
func (v view) accumulator() []byte { return v[v.accumulatorAt():] }

// count adds one to a name's count in place; false if the name is not counted yet.
func (v view) count(name uint16) bool {
	c := v.counts()
	for i := 0; i < len(c); i += countSize {
		if binary.LittleEndian.Uint16(c[i:]) == name {
			binary.LittleEndian.PutUint32(c[i+2:], binary.LittleEndian.Uint32(c[i+2:])+1)
			return true
		}
	}
	return false
}

// sessionsOf cuts a key's value into its sessions, oldest first.
func sessionsOf(value []byte, into []view) []view {
	for len(value) > 0 {
		v := view(value)
		v = v[:v.size()]
		into = append(into, v)
		value = value[len(v):]
	}
	return into
}

var errValue = errors.New("a key's sessions are not readable")

// check says whether the bytes are sessions: what a store gives back is not trusted.
func check(value []byte, accumulator func([]byte) error) error {
	for len(value) > 0 {
		if len(value) < headSize {
			return errValue
		}
		v := view(value)
		n := v.size()
		if n < headSize || n > len(value) {
			return errValue
		}
		v = v[:n]
		if v.accumulatorAt() > n {
			return errValue
		}
		if !v.is(isClosed) {
			if err := accumulator(v.accumulator()); err != nil {
				return err
			}
		}
		value = value[n:]
	}
	return nil
}

// draft is a session taken apart, to be changed in shape.
type draft struct {
	start, last int64
	id          ID
	events      uint32
	flags       byte
	previous    ID
	absorbed    []byte // IDs
	counts      []byte
	accumulator []byte
}

// open takes a session apart. The parts are views.
func (v view) open() draft {
	d := draft{start: v.start(), last: v.last(), id: v.id(), events: v.events(), flags: v[40],
		absorbed: v.absorbedIDs(), counts: v.counts(), accumulator: v.accumulator()}
	d.previous, _ = v.previous()
	return d
}

// closed is what is left of a session that is over.
func (d *draft) closed() draft {
	return draft{start: d.start, last: d.last, id: d.id, flags: d.flags&isClient | isClosed}
}

func (d *draft) append(b []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(d.start))
	b = binary.LittleEndian.AppendUint64(b, uint64(d.last))
	b = append(b, d.id[:]...)
	b = binary.LittleEndian.AppendUint32(b, d.events)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = append(b, d.flags, byte(len(d.counts)/countSize), byte(len(d.absorbed)/idSize))
	if d.flags&hasPrevious != 0 {
		b = append(b, d.previous[:]...)
	}
	b = append(b, d.absorbed...)
	b = append(b, d.counts...)
	b = append(b, d.accumulator...)
	view(b[at:]).setSize(len(b) - at)
	return b
}

// addCounts adds the counts of another session. What is more than maxNames is counted under name 0, the others.
func addCounts(counts, other []byte) []byte {
	counts = append([]byte(nil), counts...)
	for i := 0; i < len(other); i += countSize {
		counts = addCount(counts, binary.LittleEndian.Uint16(other[i:]), binary.LittleEndian.Uint32(other[i+2:]))
	}
	return counts
}

func addCount(counts []byte, name uint16, n uint32) []byte {
	for i := 0; i < len(counts); i += countSize {
		if binary.LittleEndian.Uint16(counts[i:]) == name {
			binary.LittleEndian.PutUint32(counts[i+2:], binary.LittleEndian.Uint32(counts[i+2:])+n)
			return counts
		}
	}
	if name != otherNames && len(counts)/countSize >= maxNames-1 {
		return addCount(counts, otherNames, n)
	}
	counts = binary.LittleEndian.AppendUint16(counts, name)
	return binary.LittleEndian.AppendUint32(counts, n)
}

// otherNames is what a session counts the names under that are too many.
const otherNames = 0
