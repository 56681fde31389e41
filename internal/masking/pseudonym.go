// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/keyring"
)

// pseudonymAction makes "pn_KEY_BITS": 128 bits of an HMAC-SHA-256 over the class and the value in its normal form. Of e-mail
// addresses it makes addresses, and of what must be a UUID, UUIDs of version 8.
type pseudonymAction struct {
	ring      keyring.Ring
	perTenant bool
}

func (*pseudonymAction) Kind() Kind { return Pseudonym }

// mac is a keyed HMAC with what it works in.
type mac struct {
	hash hash.Hash
	buf  []byte
	sum  [sha256.Size]byte
}

// maxKept bounds what a pooled buffer may hold on to.
const maxKept = 64 << 10

func newMACs(secret []byte) (*sync.Pool, error) {
	return &sync.Pool{New: func() any { return &mac{hash: hmac.New(sha256.New, secret)} }}, nil
}

func (a *pseudonymAction) Mask(v Value, t *Target) (Value, error) {
	switch t.Form {
	case Any, Text, EmailAddress, UUID:
	default:
		return Value{}, ErrDrop
	}
	if empty(v, t) || masked(v, t) {
		return v, nil
	}
	key, err := a.ring.Current()
	if err != nil {
		return Value{}, fmt.Errorf("%w: making a pseudonym: %w", ErrCannotMask, err)
	}
	tenant := ""
	if a.perTenant {
		tenant = t.Tenant
	}
	macs, err := keyring.Derived(key, keyring.Pseudonyms, tenant, "", sha256.Size, newMACs)
	if err != nil {
		return Value{}, fmt.Errorf("%w: making a pseudonym: %w", ErrCannotMask, err)
	}
	m := macs.Get().(*mac)
	// The class is part of it, so that what is one person's phone and another's card number does not meet.
	m.buf = binary.BigEndian.AppendUint32(m.buf[:0], uint32(len(t.Class)))
	m.buf = append(m.buf, t.Class...)
	m.buf = appendNormal(m.buf, v, t.Class)
	m.hash.Reset()
	_, _ = m.hash.Write(m.buf) // never fails
	sum := m.hash.Sum(m.sum[:0])
	var made Value
	if t.Form == UUID {
		made.Text = uuidOf(sum)
	} else {
		made.Text = pseudonymOf(key.ID(), sum, t.Form == EmailAddress || t.Class == string(detector.Email))
	}
	clear(m.buf) // the value
	if cap(m.buf) > maxKept {
		m.buf = nil
	}
	macs.Put(m)
	return made, nil
}

func pseudonymOf(keyID string, sum []byte, address bool) string {
	out := make([]byte, 0, len(pseudonymPrefix)+maxKeyID+1+bits128+len(pseudonymDomain))
	out = append(out, pseudonymPrefix...)
	out = append(out, keyID...)
	out = append(out, '_')
	out = base32Text.AppendEncode(out, sum[:16])
	if address {
		out = append(out, pseudonymDomain...)
	}
	return string(out)
}

// uuidOf makes a UUID of 90 bits of sum. The rest of it tells that it is a pseudonym: it has no mark that one can read, and without any what
// an agent has made would be masked again, and be another one in the table.
func uuidOf(sum []byte) string {
	var b [16]byte
	copy(b[:uuidBytes], sum)
	b[6] = b[6]&0x0f | 0x80 // version 8: RFC 9562, 5.8
	b[8] = b[8]&0x3f | 0x80
	check := uuidCheck(b[:uuidBytes])
	copy(b[uuidBytes:], check[:])
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

const uuidBytes = 12

func uuidCheck(b []byte) [4]byte {
	sum := sha256.Sum256(append([]byte("millrace pseudonym as UUID v1"), b...))
	return [4]byte(sum[:4])
}

// MaskedUUID says whether text is a pseudonym in the form of a UUID. As Masked, it goes by form only; four bytes of it are chance.
func MaskedUUID(text string) bool {
	if len(text) != 36 || text[14] != '8' || !isUUID(text) {
		return false
	}
	var b [16]byte
	if _, err := hex.Decode(b[:], []byte(text[0:8]+text[9:13]+text[14:18]+text[19:23]+text[24:])); err != nil {
		return false
	}
	return uuidCheck(b[:uuidBytes]) == [4]byte(b[uuidBytes:])
}
