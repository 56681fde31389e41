// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/hpke"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/millrace/millrace/internal/keyring"
)

// MaxPlaintext bounds what is sealed and what opening makes of a text, in bytes.
const MaxPlaintext = 64 << 20

// Errors of Open.
var (
	ErrNotSealed = errors.New("it is not sealed")
	ErrNoKey     = errors.New("there is no such repair key")
	ErrDamaged   = errors.New("it was changed, or sealed to another key of that ID")
)

// What is encrypted begins with a byte that says how the rest is written.
const (
	asIs       = 0
	compressed = 1

	// compressFrom is the size from which zstd gains something.
	compressFrom = 128
)

const encapsulated = 32 // an X25519 public key

var (
	info       = []byte("millrace sealed v1")
	base64Text = base64.RawStdEncoding.Strict()
)

// Nothing that is encrypted can be compressed later, so it is compressed before. The length then says a little of the content: of
// one event, whose sender knows it.
var (
	encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	})
	decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxPlaintext), zstd.WithDecoderMaxWindow(MaxPlaintext), zstd.WithDecoderConcurrency(1))
	})
)

// Seal appends plaintext, encrypted, to dst: Prefix, the key's ID, ":" and base64. Only the private key opens it. It takes about a
// tenth of a millisecond, so that what belongs together is sealed at once.
func (k *PublicKey) Seal(dst, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return dst, fmt.Errorf("sealing to repair key %s: %d bytes are more than %d", k.id, len(plaintext), MaxPlaintext)
	}
	content := make([]byte, 1, 1+len(plaintext))
	if len(plaintext) >= compressFrom {
		e, err := encoder()
		if err != nil {
			return dst, fmt.Errorf("sealing to repair key %s: %w", k.id, err)
		}
		content[0] = compressed
		content = e.EncodeAll(plaintext, content)
	}
	if content[0] == asIs || len(content) > len(plaintext) {
		content = append(append(content[:0], asIs), plaintext...)
	}
	_, kdf, aead := suite()
	enc, sender, err := hpke.NewSender(k.key, kdf, aead, info)
	if err != nil {
		return dst, fmt.Errorf("sealing to repair key %s: %w", k.id, err)
	}
	prefix := Prefix + k.id + ":"
	ciphertext, err := sender.Seal([]byte(prefix), content)
	clear(content)
	if err != nil {
		return dst, fmt.Errorf("sealing to repair key %s: %w", k.id, err)
	}
	dst = append(dst, prefix...)
	return base64Text.AppendEncode(dst, append(enc, ciphertext...)), nil
}

// KeyID returns the ID of the key that a text is sealed to. It says so of any text of that form.
func KeyID(text string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(text, Prefix)
	if !ok {
		return "", false
	}
	id, _, ok = strings.Cut(rest, ":")
	return id, ok && keyring.ValidID(id)
}

// IsSealed says whether a text has the form of what Seal makes, to its end. Whoever has no private key can say no more of it: it goes by
// form, and base64 can spell anything.
func IsSealed(text string) bool {
	id, ok := KeyID(text)
	if !ok {
		return false
	}
	encoded := text[len(Prefix)+len(id)+1:]
	if len(text) > maxSealed || len(encoded) < minEncoded || len(encoded)%4 == 1 {
		return false
	}
	for i := range len(encoded) {
		if c := encoded[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// minEncoded is how long the shortest text's base64 is: of a key, the byte before an empty plaintext, and a tag.
var minEncoded = base64Text.EncodedLen(encapsulated + 1 + 16)

// maxSealed is the length of the longest text that Seal makes.
var maxSealed = len(Prefix) + 17 + base64Text.EncodedLen(encapsulated+1+MaxPlaintext+16)

// Open returns what text was made of. The error wraps ErrNotSealed, ErrNoKey or ErrDamaged, and holds nothing of it.
func (k *PrivateKey) Open(text string) ([]byte, error) {
	id, ok := KeyID(text)
	if !ok || len(text) > maxSealed {
		return nil, ErrNotSealed
	}
	if id != k.id {
		return nil, fmt.Errorf("opening sealed value: %w: %s", ErrNoKey, id)
	}
	prefix := text[:len(Prefix)+len(id)+1]
	sealed, err := base64Text.DecodeString(text[len(prefix):])
	if err != nil || len(sealed) < encapsulated || strings.ContainsAny(text, "\r\n") { // which base64 passes over
		return nil, fmt.Errorf("opening sealed value: %w", ErrDamaged)
	}
	_, kdf, aead := suite()
	recipient, err := hpke.NewRecipient(sealed[:encapsulated], k.hidden(), kdf, aead, info)
	if err != nil {
		return nil, fmt.Errorf("opening sealed value: %w", ErrDamaged)
	}
	content, err := recipient.Open([]byte(prefix), sealed[encapsulated:])
	if err != nil || len(content) == 0 {
		return nil, fmt.Errorf("opening sealed value: %w", ErrDamaged)
	}
	switch content[0] {
	case asIs:
		return content[1:], nil
	case compressed:
		d, err := decoder()
		if err != nil {
			return nil, fmt.Errorf("opening sealed value: %w", err)
		}
		plaintext, err := d.DecodeAll(content[1:], nil)
		if err != nil || len(plaintext) > MaxPlaintext {
			return nil, fmt.Errorf("opening sealed value: %w", ErrDamaged) // whoever has the public key can seal anything
		}
		return plaintext, nil
	}
	return nil, fmt.Errorf("opening sealed value: %w", ErrDamaged)
}

// Keys opens what was sealed to any of several keys, for as long as what was sealed to older ones is kept.
type Keys struct{ keys []*PrivateKey }

// NewKeys returns the keys, which must have different IDs.
func NewKeys(keys ...*PrivateKey) (*Keys, error) {
	for i, k := range keys {
		if slices.ContainsFunc(keys[:i], func(other *PrivateKey) bool { return other.id == k.id }) {
			return nil, fmt.Errorf("repair key %s is given twice: give each once", k.id)
		}
	}
	return &Keys{keys: slices.Clone(keys)}, nil
}

// LoadKeys reads private keys' files.
func LoadKeys(paths ...string) (*Keys, error) {
	var keys []*PrivateKey
	for _, path := range paths {
		k, err := LoadPrivate(path)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return NewKeys(keys...)
}

// IDs are those of the keys, in order.
func (k *Keys) IDs() []string {
	var ids []string
	for _, key := range k.keys {
		ids = append(ids, key.id)
	}
	return ids
}

// Open returns what text was made of, by the key that it names. The errors are PrivateKey.Open's.
func (k *Keys) Open(text string) ([]byte, error) {
	id, ok := KeyID(text)
	if !ok {
		return nil, ErrNotSealed
	}
	for _, key := range k.keys {
		if key.id == id {
			return key.Open(text)
		}
	}
	return nil, fmt.Errorf("opening sealed value: %w: %s", ErrNoKey, id)
}
