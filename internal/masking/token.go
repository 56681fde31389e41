// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/subjectkey"
)

// tokenAction makes "tk_KEY_BITS": AES-SIV (RFC 5297) of the value as it is written, under a key of the tenant. The class is no part of
// it, since it could not be told from a token when that is read.
type tokenAction struct{ ring keyring.Ring }

func (*tokenAction) Kind() Kind { return Token }

// Associated data. It keeps a token from being read as something else that the same key may encrypt one day.
var (
	tokenData    = []byte("millrace token v1")
	erasableData = []byte("millrace erasable v1")
)

// siv hides tink's object, whose fields are the key, from what prints values by reflection.
type siv func() *subtle.AESSIV

func tokenCipher(key *keyring.Key, tenant string) (siv, error) {
	return keyring.Derived(key, keyring.Tokens, tenant, "", subtle.AESSIVKeySize, func(secret []byte) (siv, error) {
		c, err := subtle.NewAESSIV(secret)
		if err != nil {
			return nil, err
		}
		return func() *subtle.AESSIV { return c }, nil
	})
}

func (a *tokenAction) Mask(v Value, t *Target) (Value, error) {
	if t.Form != Any && t.Form != Text && t.Form != EmailAddress {
		return Value{}, ErrDrop
	}
	if empty(v, t) || masked(v, t) {
		return v, nil
	}
	key, err := a.ring.Current()
	if err != nil {
		return Value{}, fmt.Errorf("%w: making a token: %w", ErrCannotMask, err)
	}
	c, err := tokenCipher(key, t.Tenant)
	if err != nil {
		return Value{}, fmt.Errorf("%w: making a token: %w", ErrCannotMask, err)
	}
	plain := text(v)
	if plain == "" {
		return Value{}, ErrDrop
	}
	sealed, err := c().EncryptDeterministically([]byte(plain), tokenData)
	if err != nil {
		return Value{}, fmt.Errorf("%w: making a token", ErrCannotMask)
	}
	return spell(tokenPrefix+key.ID()+"_", sealed, tokenDomain, t)
}

// erasableAction makes "er_HANDLE_BITS": the value encrypted under its subject's key, another text each time. Where the event names no
// subject it redacts. Where the subject was erased it drops.
type erasableAction struct{}

func (erasableAction) Kind() Kind { return Erasable }

func (erasableAction) Mask(v Value, t *Target) (Value, error) {
	if t.Form != Any && t.Form != Text && t.Form != EmailAddress {
		return Value{}, ErrDrop
	}
	if empty(v, t) || masked(v, t) {
		return v, nil
	}
	if t.Subject == nil {
		return redacted(t)
	}
	plain := text(v)
	if plain == "" {
		return Value{}, ErrDrop
	}
	sealed, err := t.Subject.Seal(nil, []byte(plain), erasableData)
	if errors.Is(err, subjectkey.ErrErased) {
		return Value{}, ErrDrop // whoever is forgotten is not written down again
	}
	if err != nil {
		return Value{}, fmt.Errorf("%w: encrypting under the subject's key: %w", ErrCannotMask, err)
	}
	handle := t.Subject.Handle()
	return spell(erasablePrefix+base32Text.EncodeToString(handle[:])+"_", sealed, erasableDomain, t)
}

// The domains of what must be an e-mail address.
const (
	tokenDomain    = "token.invalid"
	erasableDomain = "erasable.invalid"

	maxLocal   = 64  // RFC 5321, 4.5.3.1.1
	maxLabel   = 60  // of 63
	maxAddress = 254 // of the path's 256
)

// spell writes prefix and bits: as one word, or as an address, whose local part takes as many of the bits as it may and whose domain's
// labels take the rest.
func spell(prefix string, sealed []byte, domain string, t *Target) (Value, error) {
	size := base32Text.EncodedLen(len(sealed))
	if t.Form != EmailAddress {
		out := make([]byte, 0, len(prefix)+size)
		return Value{Text: string(base32Text.AppendEncode(append(out, prefix...), sealed))}, nil
	}
	made := spellAddress(prefix, base32Text.EncodeToString(sealed), domain)
	if len(made) > maxAddress {
		return Value{}, ErrDrop
	}
	return Value{Text: made}, nil
}

func spellAddress(prefix, bits, domain string) string {
	var b strings.Builder
	b.Grow(len(prefix) + len(bits) + len(domain) + 8)
	b.WriteString(prefix)
	n := min(len(bits), maxLocal-len(prefix))
	b.WriteString(bits[:n])
	b.WriteByte('@')
	for bits = bits[n:]; bits != ""; bits = bits[n:] {
		n = min(len(bits), maxLabel)
		b.WriteString(bits[:n])
		b.WriteByte('.')
	}
	b.WriteString(domain)
	return b.String()
}

// parseAddress reads the bits of what spellAddress wrote at the beginning of text: prefix is how long the prefix is. It returns where
// the address ends; 0 where it is none, or is not spelled as it would be.
func parseAddress(text string, prefix int, domain string) (bits string, end int) {
	at := prefix + base32Run(text[prefix:])
	if at >= len(text) || text[at] != '@' {
		return "", 0
	}
	end = at + 1
	for end < len(text) && end <= maxAddress && (text[end] == '.' || text[end] == '-' || alphanumeric(text[end])) {
		end++
	}
	for text[end-1] == '.' { // a sentence's
		end--
	}
	labels, ok := strings.CutSuffix(text[at+1:end], domain)
	if !ok || len(text[:end]) > maxAddress {
		return "", 0
	}
	bits = text[prefix:at] + strings.ReplaceAll(labels, ".", "")
	if base32Run(bits) != len(bits) || spellAddress(text[:prefix], bits, domain) != text[:end] {
		return "", 0
	}
	return bits, end
}
