// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/subjectkey"
)

// Errors of a Reader. Others wrap keyring.ErrNoKey, subjectkey.ErrErased and subjectkey.ErrUnknown.
var (
	ErrNotMasked    = errors.New("it is no token: tokens begin with tk_ or er_")
	ErrIrreversible = errors.New("it is a pseudonym, which nothing can turn back")
	ErrForged       = errors.New("it was not made with this key for this tenant, or was changed")
)

// Meta says what a value was masked with.
type Meta struct {
	Kind   Kind
	KeyID  string            // of a token
	Handle subjectkey.Handle // of an erasable value
}

// Reader turns back what can be turned back, for those who hold the keys. Its errors never hold a value. Callable by any goroutine.
type Reader struct {
	Ring keyring.Ring
	// Find returns the key of a subject. May be nil: then erasable values cannot be read.
	Find func(subjectkey.Handle) (*subjectkey.Key, error)
}

// Detokenize returns the value that text, a token or erasable value and nothing else, was made of.
func (r Reader) Detokenize(text, tenant string) (string, Meta, error) {
	if n := Masked(text); n == 0 || n != len(text) {
		return "", Meta{}, ErrNotMasked
	}
	switch text[:len(tokenPrefix)] {
	case tokenPrefix:
		return r.token(text, tenant)
	case erasablePrefix:
		return r.erasable(text)
	}
	at := keyIDEnd(text)
	return "", Meta{Kind: Pseudonym, KeyID: text[len(pseudonymPrefix) : at-1]}, ErrIrreversible
}

func (r Reader) token(text, tenant string) (string, Meta, error) {
	meta := Meta{Kind: Token, KeyID: text[len(tokenPrefix) : keyIDEnd(text)-1]}
	key, err := r.Ring.Find(meta.KeyID)
	if err != nil {
		return "", meta, fmt.Errorf("reading token: %w", err)
	}
	c, err := tokenCipher(key, tenant)
	if err != nil {
		return "", meta, fmt.Errorf("reading token: %w", err)
	}
	bits, _ := tokenBits(text)
	sealed, err := base32Text.DecodeString(bits)
	if err != nil {
		return "", meta, ErrForged
	}
	plain, err := c().DecryptDeterministically(sealed, tokenData)
	if err != nil {
		return "", meta, fmt.Errorf("reading token: key %s: %w", meta.KeyID, ErrForged)
	}
	return string(plain), meta, nil
}

// HandleOf returns the handle of the person whose key text, an erasable value and nothing else, was made with.
func HandleOf(text string) (h subjectkey.Handle, ok bool) {
	const at = len(erasablePrefix)
	if n := Masked(text); n == 0 || n != len(text) || text[:at] != erasablePrefix {
		return h, false
	}
	_, err := base32Text.Decode(h[:], []byte(text[at:at+bits128]))
	return h, err == nil
}

func (r Reader) erasable(text string) (string, Meta, error) {
	meta := Meta{Kind: Erasable}
	var ok bool
	if meta.Handle, ok = HandleOf(text); !ok {
		return "", meta, ErrForged
	}
	if r.Find == nil {
		return "", meta, fmt.Errorf("reading erasable value: %w", subjectkey.ErrUnknown)
	}
	key, err := r.Find(meta.Handle)
	if err != nil {
		return "", meta, fmt.Errorf("reading erasable value: %w", err)
	}
	bits, _ := erasableBits(text)
	sealed, err := base32Text.DecodeString(bits)
	if err != nil {
		return "", meta, ErrForged
	}
	plain, err := key.Open(nil, sealed, erasableData)
	if errors.Is(err, subjectkey.ErrErased) {
		return "", meta, fmt.Errorf("reading erasable value: %w", err)
	}
	if err != nil {
		return "", meta, fmt.Errorf("reading erasable value: %w", ErrForged)
	}
	return string(plain), meta, nil
}

// Decrypt returns the value that action fpe made text of. A text does not say which key, tenant and class that was, nor whether it
// was: given others, the result is another value of the same pattern. An integer is read by DecryptInt.
func (r Reader) Decrypt(text, tenant, class, keyID string) (string, error) {
	f, err := r.fpe(tenant, class, keyID)
	if err != nil {
		return "", err
	}
	plain, err := f.text(text, false)
	if err != nil {
		return "", fmt.Errorf("decrypting: %w", err)
	}
	return plain, nil
}

// DecryptInt is Decrypt for an integer. Exact says that the action stood on a number (Form Number, or a double), which has no more than 2^53.
// Most is the largest magnitude that the column can hold, as Target.Limit.
func (r Reader) DecryptInt(n int64, exact bool, most uint64, tenant, class, keyID string) (int64, error) {
	f, err := r.fpe(tenant, class, keyID)
	if err != nil {
		return 0, err
	}
	limit := uint64(1<<63 - 1)
	if exact {
		limit = maxExact
	}
	if most > 0 {
		limit = min(limit, most)
	}
	plain, err := f.number(n, limit, false)
	if err != nil {
		return 0, fmt.Errorf("decrypting: %w", err)
	}
	return plain, nil
}

func (r Reader) fpe(tenant, class, keyID string) (fpe, error) {
	key, err := r.Ring.Find(keyID)
	if err != nil {
		return fpe{}, fmt.Errorf("decrypting: %w", err)
	}
	return newFPE(key, tenant, class)
}

// Span is where in a text a masked value stands: bytes [Start, End).
type Span struct{ Start, End int }

// FindAll returns where masked values, pseudonyms among them, stand in a text.
func FindAll(text string) []Span {
	var spans []Span
	for at := 0; at < len(text); {
		i := strings.IndexByte(text[at:], '_')
		if i < 0 {
			break
		}
		start := at + i - 2
		at += i + 1
		if start < 0 || start > 0 && inWord(text[start-1]) || len(spans) > 0 && start < spans[len(spans)-1].End {
			continue
		}
		if n := Masked(text[start:]); n > 0 {
			spans = append(spans, Span{start, start + n})
			at = start + n
		}
	}
	return spans
}

// inWord says whether a word that began before goes on with c.
func inWord(c byte) bool { return continues(c) && c != '%' && c != '@' }

// DetokenizeWithin returns text with each token and erasable value in it turned back. Pseudonyms stay. Where one cannot be read, it
// stays too, and its error is in errs.
func (r Reader) DetokenizeWithin(text, tenant string) (plain string, read []Meta, errs error) {
	var b strings.Builder
	from := 0
	for _, s := range FindAll(text) {
		value, meta, err := r.Detokenize(text[s.Start:s.End], tenant)
		switch {
		case errors.Is(err, ErrIrreversible):
			continue
		case err != nil:
			errs = errors.Join(errs, err)
			continue
		}
		b.WriteString(text[from:s.Start])
		b.WriteString(value)
		from = s.End
		read = append(read, meta)
	}
	b.WriteString(text[from:])
	return b.String(), read, errs
}
