// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/millrace/millrace/internal/detector"
)

// appendNormal appends a value in the form that all ways to write it share, so that it has one pseudonym. What it does for a class must never
// change: pseudonyms would not join with older ones.
func appendNormal(dst []byte, v Value, class string) []byte {
	switch v.Kind {
	case IntValue:
		return strconv.AppendInt(dst, v.Int, 10)
	case DoubleValue:
		return strconv.AppendFloat(dst, v.Double, 'f', -1, 64)
	}
	s := strings.TrimSpace(v.Text)
	start := len(dst)
	switch detector.Class(class) {
	case detector.Email:
		return appendLower(dst, unescapeAt(s))
	case detector.Phone:
		dst = appendPhone(dst, compatible(s))
	case detector.PaymentCard, detector.IBAN, detector.NationalID, detector.MACAddress:
		dst = appendAlphanumeric(dst, compatible(s))
	case detector.IPAddress:
		if ip, err := netip.ParseAddr(s); err == nil {
			return ip.Unmap().WithZone("").AppendTo(dst)
		}
	}
	if len(dst) > start {
		return dst
	}
	if ascii(s) {
		return append(dst, s...)
	}
	return norm.NFC.AppendString(dst, s)
}

// unescapeAt reads an address out of a URL.
func unescapeAt(s string) string {
	if i := strings.Index(s, "%40"); i >= 0 && !strings.Contains(s, "@") {
		return s[:i] + "@" + s[i+3:]
	}
	return s
}

// compatible has full-width digits and letters as plain ones.
func compatible(s string) string {
	if ascii(s) {
		return s
	}
	return norm.NFKC.String(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendLower(dst []byte, s string) []byte {
	if ascii(s) {
		for i := range len(s) {
			c := s[i]
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
		}
		return dst
	}
	for _, r := range norm.NFC.String(s) {
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
	}
	return dst
}

// appendPhone leaves the digits, and "+" before those of an international number: 00 is how one dials it.
func appendPhone(dst []byte, s string) []byte {
	start := len(dst)
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			dst = append(dst, c)
		case c == '+' && len(dst) == start:
			dst = append(dst, c)
		}
	}
	if digits := dst[start:]; len(digits) > 2 && digits[0] == '0' && digits[1] == '0' {
		digits[1] = '+'
		dst = append(dst[:start], digits[1:]...)
	}
	return dst
}

func appendAlphanumeric(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z':
			dst = append(dst, c-'a'+'A')
		case alphanumeric(c):
			dst = append(dst, c)
		}
	}
	return dst
}
