// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// ID is an event's ID: a random-looking UUID that follows from the seed and the event's number.
type ID [16]byte

// String returns the usual 36 characters.
func (id ID) String() string {
	var b [36]byte
	id.put(b[:])
	return string(b[:])
}

func (id ID) put(dst []byte) {
	hex.Encode(dst[0:8], id[0:4])
	dst[8] = '-'
	hex.Encode(dst[9:13], id[4:6])
	dst[13] = '-'
	hex.Encode(dst[14:18], id[6:8])
	dst[18] = '-'
	hex.Encode(dst[19:23], id[8:10])
	dst[23] = '-'
	hex.Encode(dst[24:36], id[10:16])
}

// parseID reads the 36 characters, in lower or upper case.
func parseID(s string) (id ID, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	var h [32]byte
	n := copy(h[:], s[0:8])
	n += copy(h[n:], s[9:13])
	n += copy(h[n:], s[14:18])
	n += copy(h[n:], s[19:23])
	copy(h[n:], s[24:36])
	_, err := hex.Decode(id[:], h[:])
	return id, err == nil
}

// What a deterministic ID is for: different uses of one number must not meet.
const (
	saltEvent uint64 = iota + 1
	saltAnonymous
	saltCart
	saltOrder
	saltRefund
	saltReview
	saltSession
	saltTrace
	saltPerson
)

// mix is splitmix64's finalizer: a bijection whose output looks random.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// uuid returns number n of one use and seed as a UUID of version 4.
func uuid(seed, salt, n uint64) (id ID) {
	s := mix(seed ^ mix(salt))
	binary.BigEndian.PutUint64(id[0:], mix(s^n))
	binary.BigEndian.PutUint64(id[8:], mix(n+mix(s+1)))
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// userID returns a known user's ID.
func userID(user uint32) string {
	b := append(make([]byte, 0, 9), "u-"...)
	d := strconv.AppendUint(nil, uint64(user), 10)
	for range max(0, 7-len(d)) {
		b = append(b, '0')
	}
	return string(append(b, d...))
}

// Path is a way into the collector.
type Path uint8

// The paths.
const (
	OTLPGRPC Path = iota
	OTLPHTTP
	Segment
	numPaths
)

// String returns the path's name in flags and in the manifest.
func (p Path) String() string { return [...]string{"otlp_grpc", "otlp_http", "segment"}[p] }

// simEvent is one event of the simulation. The generator's current one is overwritten by the next; kept ones
// are clones. Property values are shared and immutable.
type simEvent struct {
	id        ID
	name      name
	path      Path
	tenant    uint8
	known     bool // carries the user ID
	anonymous bool // carries the anonymous ID
	traced    bool
	bad       BadKind
	user      uint32
	entry     uint32 // in the manifest, where there is one
	total     int64  // what a valid order's typed column total must hold, in hundredths; 0 is nothing to look for
	time      int64  // nanoseconds since the epoch
	trace     [16]byte
	span      [8]byte
	userID    string // set where known
	anonID    string // set where anonymous
	session   string // "" where the producer sends none
	props     []prop
}

func (e *simEvent) clone() *simEvent {
	c := *e
	c.props = append([]prop(nil), e.props...)
	return &c
}

func (e *simEvent) put(k *key, v value) { e.props = append(e.props, prop{k, v}) }
