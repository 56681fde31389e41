// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/detector"
)

// partialAction puts '*' in place of characters, and leaves length and separators as they are. Whatever it is told to keep, it keeps
// no more than half of the characters.
//
// Of an e-mail address the local part is masked so; the domain stays, since that is what one wants to know, unless keep_last says
// how much of its end is to. A domain of a person's own names the person: then keep_last: 3, or another action.
type partialAction struct {
	first, last int // both 0: what is usual for the class
}

func (*partialAction) Kind() Kind { return Partial }

func (a *partialAction) Mask(v Value, t *Target) (Value, error) {
	if empty(v, t) || masked(v, t) {
		return v, nil
	}
	if t.Form != Any && t.Form != Text && t.Form != EmailAddress {
		return Value{}, ErrDrop
	}
	s := text(v)
	if t.Form == EmailAddress || t.Class == string(detector.Email) {
		if at := strings.LastIndexByte(s, '@'); at > 0 && at < len(s)-1 {
			return a.address(s, at, t)
		}
		if t.Form == EmailAddress {
			return Value{}, ErrDrop
		}
	}
	first, last, all := a.first, a.last, false
	if first == 0 && last == 0 {
		first, last = usual(t.Class)
	}
	if c := detector.Class(t.Class); c == detector.Password || c == detector.Secret {
		all = true
	}
	return Value{Text: string(stars(make([]byte, 0, len(s)), s, first, last, all))}, nil
}

func (a *partialAction) address(s string, at int, t *Target) (Value, error) {
	first := a.first
	if first == 0 && a.last == 0 {
		first = 1
	}
	out := stars(make([]byte, 0, len(s)), s[:at], first, 0, false)
	out = append(out, '@')
	if a.last > 0 {
		out = stars(out, s[at+1:], 0, a.last, false)
	} else {
		out = append(out, s[at+1:]...)
	}
	made := string(out)
	if t.Form == EmailAddress && !plainAddress(made) {
		return Value{}, ErrDrop
	}
	return Value{Text: made}, nil
}

// usual is what stays of a class where nothing is configured.
func usual(class string) (first, last int) {
	switch detector.Class(class) {
	case detector.Phone, detector.PaymentCard, detector.IBAN, detector.NationalID, detector.MACAddress, detector.CryptoWallet:
		return 0, 4
	case detector.Secret, detector.Password:
		return 0, 0
	}
	return 1, 0
}

// stars appends s with '*' for each character but the first and last ones. A character is a letter, digit or symbol with the marks
// that belong to it. Separators stay, unless all says otherwise or they are most of s.
func stars(dst []byte, s string, first, last int, all bool) []byte {
	n, separators := 0, 0
	for rest := s; rest != ""; {
		size, separator := character(rest)
		if separator {
			separators++
		} else {
			n++
		}
		rest = rest[size:]
	}
	if all || separators > n {
		all = true
		n += separators
	}
	last = min(last, n/2)
	first = min(first, n/2-last)
	for i := 0; s != ""; {
		size, separator := character(s)
		if separator && !all {
			dst = append(dst, s[:size]...)
		} else {
			if i < first || i >= n-last {
				dst = append(dst, s[:size]...)
			} else {
				dst = append(dst, '*')
			}
			i++
		}
		s = s[size:]
	}
	return dst
}

// character returns the length of the character that s begins with, and whether it separates others. It is a rune with the marks and
// joiners after it, so that no half of one is shown; a byte that is no UTF-8 is one too.
func character(s string) (size int, separator bool) {
	if c := s[0]; c < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return 1, asciiSeparator(c)
	}
	r, size := utf8.DecodeRuneInString(s)
	if r < utf8.RuneSelf {
		separator = asciiSeparator(byte(r))
	} else {
		separator = unicode.IsSpace(r) || unicode.IsPunct(r)
	}
	flag := regional(r)
	for joined := false; size < len(s); {
		next, n := utf8.DecodeRuneInString(s[size:])
		switch {
		case next == '\u200d': // a joiner: what follows belongs to it
			joined = true
		case joined:
			joined = false
		case unicode.Is(unicode.M, next) || 0x1F3FB <= next && next <= 0x1F3FF:
		case flag && regional(next):
			flag = false
		default:
			return size, separator
		}
		separator = false
		size += n
	}
	return size, separator
}

// asciiSeparator has '*' for a character: what was masked before is not masked more.
func asciiSeparator(c byte) bool {
	return c != '*' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

func regional(r rune) bool { return 0x1F1E6 <= r && r <= 0x1F1FF }
