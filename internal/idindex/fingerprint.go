// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// Size of a Fingerprint in bytes.
const Size = 16

// Fingerprint stands for an event's ID and what it is unique within, such as its tenant. Two different IDs share one
// with a probability of 2^-128, so an event is taken for a duplicate by mistake with a probability of n/2^128, where
// n is the number of IDs within the horizon. At 10 million that is 3 in 10^32 for each event: at 100,000 events a second,
// once in 10^19 years. The key is secret, so nobody can choose IDs that make it more.
type Fingerprint [Size]byte

// Hasher makes fingerprints by SipHash-2-4 with 128 bits of output. Safe for concurrent use.
type Hasher struct{ k0, k1 uint64 }

// NewHasher takes the key that was made at random with the log. It must be the same as long as the log lives.
func NewHasher(key [16]byte) Hasher {
	return Hasher{binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])}
}

// Sum returns the fingerprint of the fields in their order. ("ab", "c") and ("a", "bc") differ.
func (h Hasher) Sum(fields ...[]byte) Fingerprint {
	var stack [256]byte
	buf := stack[:0]
	for _, f := range fields {
		buf = appendField(buf, f)
	}
	return h.sum(buf)
}

func (h Hasher) sum(b []byte) (fp Fingerprint) {
	lo, hi := siphash.Hash128(h.k0, h.k1, b)
	binary.LittleEndian.PutUint64(fp[:8], lo)
	binary.LittleEndian.PutUint64(fp[8:], hi)
	return fp
}

// Digest is Sum for fields that come one by one, without allocating once it has grown to the size of an ID. Not for
// concurrent use.
type Digest struct {
	h   Hasher
	buf []byte
}

// Digest returns an empty one.
func (h Hasher) Digest() *Digest { return &Digest{h: h} }

// Reset forgets the fields.
func (d *Digest) Reset() { d.buf = d.buf[:0] }

// Add adds a field, which is copied.
func (d *Digest) Add(field []byte) { d.buf = appendField(d.buf, field) }

// AddString adds a field.
func (d *Digest) AddString(field string) { d.buf = appendField(d.buf, field) }

// Sum returns what Hasher.Sum does for the fields that were added.
func (d *Digest) Sum() Fingerprint { return d.h.sum(d.buf) }

func appendField[T []byte | string](buf []byte, f T) []byte {
	return append(binary.LittleEndian.AppendUint64(buf, uint64(len(f))), f...)
}
