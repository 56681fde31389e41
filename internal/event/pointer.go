// SPDX-License-Identifier: Apache-2.0

package event

import "strings"

// Pointer writes a JSON pointer (RFC 6901), as Failure.Pointer holds it; "" for no tokens.
func Pointer(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(EscapePointer(t))
	}
	return b.String()
}

// EscapePointer writes one token of a JSON pointer.
func EscapePointer(token string) string {
	if !strings.ContainsAny(token, "~/") {
		return token
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}
