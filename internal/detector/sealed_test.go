// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/seal"
)

func TestASealedTextHasNothingToFind(t *testing.T) {
	require.Equal(t, seal.Prefix, sealedPrefix)
	d, err := New(Config{Custom: []Custom{{Name: "letters", Class: "x", Pattern: `[A-Za-z]{6,}`}}})
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 9))
	for i := range 5000 {
		raw := make([]byte, 49+r.IntN(200)) // a key, a byte and a tag at least
		for k := range raw {
			raw[k] = byte(r.Uint32())
		}
		sealed := fmt.Sprintf("%sr%d:%s", seal.Prefix, i, base64.RawStdEncoding.EncodeToString(raw))
		require.Empty(t, d.Find(nil, sealed, 0), sealed)
		require.Empty(t, d.Find(nil, sealed, HintOf("phone")), sealed)
		text := `{"a":"` + sealed + `","b":"john@example.com"}`
		got := d.Find(nil, text, 0)
		require.Len(t, got, 1, text)
		require.Equal(t, "john@example.com", text[got[0].Start:got[0].End])
	}
	// What only begins alike is looked at.
	for _, text := range []string{"millrace-sealed:v2:john@example.com", "millrace-sealed:v1:john@example.com", "millrace-sealed:v1:r1:4111111111111111",
		"millrace-sealed:v1:r1:+4915112345678 ", "millrace-sealed:v1:A:john@example.com", "millrace-sealed:v1::john@example.com"} {
		require.Len(t, testDetector(t).Find(nil, text, 0), 1, text)
	}
}
