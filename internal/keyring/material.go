// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	minSecretBytes = 32
	maxSourceBytes = 64 << 10
	mendMake       = "make one with: openssl rand -base64 32"
)

// decodeSecret returns the secret that a source's bytes are: base64 or hexadecimal text with whatever space around it, or else the
// bytes themselves. Its errors say the length and nothing of the content.
func decodeSecret(raw []byte) ([]byte, error) {
	secret, how := raw, "bytes"
	if text := bytes.TrimSpace(raw); printable(text) {
		var err error
		if secret, how, err = decodeText(text); err != nil {
			return nil, err
		}
	}
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("the key has %d %s and needs at least %d: %s", len(secret), how, minSecretBytes, mendMake)
	}
	if bytes.Count(secret, secret[:1]) == len(secret) {
		return nil, errors.New("the key is one byte repeated: " + mendMake)
	}
	return secret, nil
}

// decodeText takes hexadecimal text first: 64 digits of it are base64 too, but no base64 of a random key is hexadecimal.
func decodeText(text []byte) (secret []byte, how string, err error) {
	secret = make([]byte, len(text)) // more than either takes
	if n, err := hex.Decode(secret, text); err == nil {
		return secret[:n], "bytes in hexadecimal text", nil
	}
	plain := bytes.TrimRight(text, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if n, err := e.Decode(secret, plain); err == nil {
			return secret[:n], "bytes in base64 text", nil
		}
	}
	return nil, "", fmt.Errorf("the key is a text of %d characters that is neither base64 nor hexadecimal: %s", len(text), mendMake)
}

// printable says whether b is a line of ASCII text: 32 random bytes are one in 10^13 times.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
