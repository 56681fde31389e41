// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"encoding/base32"
	"strings"
)

const (
	pseudonymPrefix = "pn_"
	tokenPrefix     = "tk_"
	erasablePrefix  = "er_"
	// pseudonymDomain makes an address of a pseudonym. RFC 6761 has no mail ever delivered below .invalid.
	pseudonymDomain = "@pseudonym.invalid"

	bits128     = 26 // characters that 16 bytes have in base32
	minToken    = 28 // characters that 17 bytes have: a tag and one of text
	minErasable = 47 // characters that 29 bytes have: subjectkey.Overhead and one of text
	maxKeyID    = 16
)

var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Masked returns the length of the pseudonym or token that text begins with, or 0. It is for detector.Config.Skip.
//
// It goes by form only: prefix, key ID, an exact number of characters of one alphabet, and nothing after that continues the word.
// So it says that a text can hold nothing that a detector finds, not that this collector made it: a sender can spell any bytes in base32,
// as it can in base64 or backwards. Who reads with the key finds out.
func Masked(text string) int {
	if len(text) < len(pseudonymPrefix)+2+bits128 || text[2] != '_' {
		return 0
	}
	n := 0
	switch text[:3] {
	case pseudonymPrefix:
		n = maskedPseudonym(text)
	case tokenPrefix:
		n = maskedToken(text)
	case erasablePrefix:
		n = maskedErasable(text)
	}
	if n == 0 || n < len(text) && continues(text[n]) {
		return 0
	}
	return n
}

func continues(c byte) bool {
	return alphanumeric(c) || c == '_' || c == '@' || c == '%' || c >= 0x80
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func maskedPseudonym(text string) int {
	at := keyIDEnd(text)
	if at == 0 || base32Run(text[at:]) != bits128 || !canonical(text[at:at+bits128]) {
		return 0
	}
	at += bits128
	if strings.HasPrefix(text[at:], pseudonymDomain) {
		return domainEnd(text, at+len(pseudonymDomain))
	}
	return at
}

// domainEnd returns end, or 0 where the domain goes on after it.
func domainEnd(text string, end int) int {
	if end < len(text) && (text[end] == '-' || text[end] == '.' && end+1 < len(text) && alphanumeric(text[end+1])) {
		return 0
	}
	return end
}

func maskedToken(text string) int {
	_, end := tokenBits(text)
	return end
}

func maskedErasable(text string) int {
	_, end := erasableBits(text)
	return end
}

// tokenBits returns the bits of the token that text begins with, as text, and where it ends; 0 where there is none.
func tokenBits(text string) (bits string, end int) {
	if at := keyIDEnd(text); at > 0 {
		return sealedBits(text, at, minToken, tokenDomain)
	}
	return "", 0
}

// erasableBits is tokenBits for values under a subject's key: what stands before the bits is the handle.
func erasableBits(text string) (bits string, end int) {
	const at = len(erasablePrefix) + bits128
	if len(text) <= at || base32Run(text[len(erasablePrefix):at]) != bits128 || !canonical(text[len(erasablePrefix):at]) || text[at] != '_' {
		return "", 0
	}
	return sealedBits(text, at+1, minErasable, erasableDomain)
}

func sealedBits(text string, at, least int, domain string) (bits string, end int) {
	end = at + base32Run(text[at:])
	bits = text[at:end]
	if end < len(text) && text[end] == '@' {
		bits, end = parseAddress(text, at, domain)
	}
	if len(bits) < least || !canonical(bits) {
		return "", 0
	}
	return bits, end
}

// keyIDEnd returns where the key's ID and the '_' after it end; 0 where there is none.
func keyIDEnd(text string) int {
	for i := len(pseudonymPrefix); i < len(text) && i <= len(pseudonymPrefix)+maxKeyID; i++ {
		c := text[i]
		if c == '_' && i > len(pseudonymPrefix) {
			return i + 1
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return 0
		}
	}
	return 0
}

// base32Run returns how many characters of the alphabet text begins with.
func base32Run(text string) int {
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return i
		}
	}
	return len(text)
}

// canonical says whether text, of the alphabet, is what some bytes are written as: there are lengths that none has, and bits at the
// end that are 0.
func canonical(text string) bool {
	spare := len(text) * 5 % 8
	if spare >= 5 {
		return false
	}
	c := text[len(text)-1]
	value := c - 'a'
	if c <= '7' {
		value = c - '2' + 26
	}
	return value&(1<<spare-1) == 0
}

// masked says whether v is to be left as it is, since it was masked already.
func masked(v Value, t *Target) bool {
	if v.Kind != TextValue {
		return false
	}
	switch t.Form {
	case Any, Text:
		if MaskedUUID(v.Text) {
			return true
		}
	case UUID:
		return MaskedUUID(v.Text)
	case EmailAddress:
		if !strings.HasSuffix(v.Text, ".invalid") {
			return false
		}
	default:
		return false
	}
	n := Masked(v.Text)
	return n > 0 && n == len(v.Text)
}
