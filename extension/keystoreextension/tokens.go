// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/keyring"
)

// What a token allows.
const (
	opDetokenize = "detokenize"
	opErase      = "erase"
	opPseudonym  = "pseudonym"
)

var operations = []string{opDetokenize, opErase, opPseudonym}

const minTokenChars = 32

var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// token is what somebody shows to use the endpoint. The token itself is not kept.
type token struct {
	name   string
	sum    [sha256.Size]byte
	allows []string
}

// readTokens reads a file of lines NAME TOKEN [OPERATIONS]. Errors say the line and nothing of the token.
func readTokens(path string) ([]token, error) {
	text, err := keyring.ReadSecretFile(path, false)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	var list []token
	n := 0
	for l := range strings.Lines(string(text)) {
		n++
		fields := strings.Fields(l)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		t, err := parseToken(fields)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		for _, other := range list {
			if other.name == t.name || other.sum == t.sum {
				return nil, fmt.Errorf("%s: line %d: name or token is that of an earlier line: give each its own", path, n)
			}
		}
		list = append(list, t)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: has no token: give it a line NAME TOKEN (`millrace keys token NAME` makes one)", path)
	}
	return list, nil
}

func parseToken(fields []string) (token, error) {
	if len(fields) < 2 || len(fields) > 3 {
		return token{}, errors.New("it must be NAME TOKEN, or NAME TOKEN OPERATIONS: `millrace keys token NAME` makes one")
	}
	if !tokenName.MatchString(fields[0]) {
		return token{}, errors.New("the name must be up to 64 letters, digits and ._@-, such as support-team")
	}
	if len(fields[1]) < minTokenChars {
		return token{}, fmt.Errorf("the token has %d characters and needs at least %d: `millrace keys token NAME` makes one", len(fields[1]), minTokenChars)
	}
	t := token{name: fields[0], sum: sha256.Sum256([]byte(fields[1])), allows: operations}
	if len(fields) == 3 {
		t.allows = strings.Split(fields[2], ",")
		for _, o := range t.allows {
			if !slices.Contains(operations, o) {
				return token{}, fmt.Errorf("operations must be some of %s, with commas between", strings.Join(operations, ","))
			}
		}
	}
	return t, nil
}

// findToken returns whose token is given. It takes as long whichever it is, and whether it is one: what is compared are hashes, all
// of them.
func findToken(list []token, given string) (found *token) {
	sum := sha256.Sum256([]byte(given))
	for i := range list {
		if subtle.ConstantTimeCompare(sum[:], list[i].sum[:]) == 1 {
			found = &list[i]
		}
	}
	return found
}
