// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/millrace/millrace/internal/keyring"
)

var kinds = []Kind{Keep, Redact, Partial, Truncate, Pseudonym, FPE, Token, Erasable, Bucket, Drop}

const (
	maxDecimals    = 9
	maxBounds      = 1000
	maxReplacement = 256
)

// Validate checks an action's fields. The error is one line that names the field, the value and the mend.
func (s *Spec) Validate() error {
	if !known(s.Action) {
		return fmt.Errorf("action: %q is no action: use one of %s", string(s.Action), names())
	}
	if field, user := s.unused(); field != "" {
		return fmt.Errorf("%s: is for action %s, not for %s: remove it", field, user, s.Action)
	}
	switch s.Action {
	case Redact:
		return validateReplacement(s.Replacement)
	case Partial, Truncate:
		return s.validateLengths()
	case Bucket:
		return s.validateBucket()
	}
	return nil
}

func known(k Kind) bool {
	for _, other := range kinds {
		if k == other {
			return true
		}
	}
	return false
}

func names() string {
	var all []string
	for _, k := range kinds {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

// unused returns a field that is given though the action has no use for it, and the actions that have.
func (s *Spec) unused() (field, users string) {
	for _, f := range []struct {
		name  string
		given bool
		users []Kind
	}{
		{"replacement", s.Replacement != "", []Kind{Redact}},
		{"keep_first", s.KeepFirst != 0, []Kind{Partial, Truncate}},
		{"keep_last", s.KeepLast != 0, []Kind{Partial}},
		{"ipv4_prefix", s.IPv4Prefix != 0, []Kind{Truncate}},
		{"ipv6_prefix", s.IPv6Prefix != 0, []Kind{Truncate}},
		{"decimals", s.Decimals != nil, []Kind{Truncate}},
		{"date", s.Date != "", []Kind{Truncate}},
		{"per_tenant", s.PerTenant, []Kind{Pseudonym}},
		{"bounds", len(s.Bounds) != 0, []Kind{Bucket}},
		{"width", s.Width != 0, []Kind{Bucket}},
	} {
		if !f.given {
			continue
		}
		var users []string
		for _, k := range f.users {
			if k == s.Action {
				users = nil
				break
			}
			users = append(users, string(k))
		}
		if users != nil {
			return f.name, strings.Join(users, " and ")
		}
	}
	return "", ""
}

// validateReplacement refuses what a detector could take for personal data, and would mask again.
func validateReplacement(text string) error {
	digits := 0
	for _, c := range []byte(text) {
		if '1' <= c && c <= '9' {
			digits++
		}
	}
	switch {
	case len(text) > maxReplacement:
		return fmt.Errorf("replacement: has %d bytes: use at most %d", len(text), maxReplacement)
	case strings.Contains(text, "@") && !strings.HasSuffix(text, ".invalid"):
		return fmt.Errorf("replacement: %q looks like an e-mail address, which would be found again: use one that ends in .invalid", text)
	case digits > 6:
		return fmt.Errorf("replacement: %q looks like a number of a person's, which would be found again: use at most 6 digits, or zeros", text)
	case isOwn(text):
		return fmt.Errorf("replacement: %q looks like a pseudonym or token: begin it with something else than pn_, tk_, er_", text)
	}
	return nil
}

func isOwn(text string) bool {
	return strings.HasPrefix(text, "pn_") || strings.HasPrefix(text, "tk_") || strings.HasPrefix(text, "er_")
}

func (s *Spec) validateLengths() error {
	for _, f := range []struct {
		name     string
		value    int
		max      int
		whatElse string
	}{
		{"keep_first", s.KeepFirst, math.MaxInt32, "the number of characters that stay"},
		{"keep_last", s.KeepLast, math.MaxInt32, "the number of characters that stay"},
		{"ipv4_prefix", s.IPv4Prefix, 31, "the bits that stay, such as 24"},
		{"ipv6_prefix", s.IPv6Prefix, 127, "the bits that stay, such as 48"},
	} {
		if f.value < 0 || f.value > f.max {
			return fmt.Errorf("%s: %d must be from 0 to %d: %s", f.name, f.value, f.max, f.whatElse)
		}
	}
	if s.Decimals != nil && (*s.Decimals < -maxDecimals || *s.Decimals > maxDecimals) {
		return fmt.Errorf("decimals: %d must be from %d to %d: 1 keeps tenths, -3 keeps thousands", *s.Decimals, -maxDecimals, maxDecimals)
	}
	if s.Date != "" && s.Date != dateYear && s.Date != dateMonth {
		return fmt.Errorf("date: %q must be %s or %s", s.Date, dateYear, dateMonth)
	}
	return nil
}

func (s *Spec) validateBucket() error {
	finite := func(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
	switch {
	case len(s.Bounds) == 0 && s.Width == 0:
		return errors.New("width: 0 gives no ranges: give width, such as 10, or bounds, such as [18, 30, 45, 65]")
	case len(s.Bounds) != 0 && s.Width != 0:
		return fmt.Errorf("width: %v is given beside bounds: keep one of them", s.Width)
	case !finite(s.Width) || s.Width < 0:
		return fmt.Errorf("width: %v must be more than 0, such as 10", s.Width)
	case len(s.Bounds) > maxBounds:
		return fmt.Errorf("bounds: has %d: give at most %d", len(s.Bounds), maxBounds)
	}
	for i, b := range s.Bounds {
		if !finite(b) || i > 0 && b <= s.Bounds[i-1] {
			return fmt.Errorf("bounds: %v at place %d must be more than the one before: write them in rising order", b, i+1)
		}
	}
	return nil
}

// New returns the action of a Spec. ring may be nil where the action needs no keys.
func New(s Spec, ring keyring.Ring) (Action, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	switch s.Action {
	case Pseudonym, FPE, Token:
		if ring == nil {
			return nil, fmt.Errorf("action: %s needs keys and there are none: configure a key_store extension and name it in key_store", s.Action)
		}
	}
	switch s.Action {
	case Keep:
		return keepAction{}, nil
	case Redact:
		return newRedact(s.Replacement), nil
	case Partial:
		return &partialAction{first: s.KeepFirst, last: s.KeepLast}, nil
	case Truncate:
		return newTruncate(&s), nil
	case Pseudonym:
		return &pseudonymAction{ring: ring, perTenant: s.PerTenant}, nil
	case FPE:
		return &fpeAction{ring: ring}, nil
	case Token:
		return &tokenAction{ring: ring}, nil
	case Erasable:
		return erasableAction{}, nil
	case Bucket:
		return newBucket(&s), nil
	}
	return dropAction{}, nil
}
