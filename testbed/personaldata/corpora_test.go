// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/testbed/pythontest"
)

func TestLabelsLieWithinTheirTextsInOrder(t *testing.T) {
	f := func(samples []Sample) {
		t.Helper()
		require.NotEmpty(t, samples)
		for _, s := range samples {
			at := 0
			for _, l := range s.Spans {
				require.True(t, at <= l.Start && l.Start < l.End && l.End <= len(s.Text), "%+v", s)
				require.True(t, utf8.ValidString(s.Text[l.Start:l.End]), "%+v", s)
				require.NotEmpty(t, l.Form, "%+v", s)
				at = l.End
			}
		}
	}
	samples, err := Templates(Seed, 60)
	require.NoError(t, err)
	f(samples)
	f(LibPhoneNumber(Seed))
	f(fakerSamples(t))
}

func TestEveryTemplateIsFilledAndEveryClassIsThere(t *testing.T) {
	samples, err := Templates(Seed, PerLanguage)
	require.NoError(t, err)
	require.Greater(t, len(samples), 5000)
	classes, seen, without := map[detector.Class]int{}, map[string]bool{}, 0
	for _, s := range samples {
		seen[s.Language] = true
		if len(s.Spans) == 0 {
			without++
		}
		for _, l := range s.Spans {
			classes[l.Class]++
		}
		assert.NotRegexp(t, slot, strings.ReplaceAll(s.Text, "<html>", ""))
	}
	require.Len(t, seen, len(languages))
	require.Greater(t, without, len(samples)/4, "texts without personal data")
	for _, c := range detector.Classes {
		assert.Greater(t, classes[c], 30, c)
	}
}

func TestTheSameSeedMakesTheSameCorpus(t *testing.T) {
	f := func(make func(seed uint64) []Sample) {
		t.Helper()
		once, again := make(3), make(3)
		require.Equal(t, once, again)
		require.NotEqual(t, once, make(4))
	}
	f(func(seed uint64) []Sample { return must(Templates(seed, 30))(t) })
	f(LibPhoneNumber)
}

// Faker draws times up to the clock's, and some locales from what is not seeded: the script stops the one and seeds the other.
func TestTheSameSeedMakesTheSameFaker(t *testing.T) {
	pythontest.Path(t)
	f := func() string { return pythontest.Run(t, FakerScript, "3", "16") }
	once, again := f(), f()
	require.Equal(t, once, again)
}

func TestFakerHasTwentyLocalesAndEveryKindOfValue(t *testing.T) {
	locales, classes, without := map[string]bool{}, map[detector.Class]int{}, 0
	for _, s := range fakerSamples(t) {
		locales[s.Language] = true
		if len(s.Spans) == 0 {
			without++
		}
		for _, l := range s.Spans {
			if !l.Open {
				classes[l.Class]++
			}
		}
	}
	assert.GreaterOrEqual(t, len(locales), 20)
	assert.Greater(t, without, 1000)
	for _, c := range []detector.Class{detector.Email, detector.Phone, detector.PaymentCard, detector.IBAN, detector.NationalID, detector.IPAddress, detector.MACAddress} {
		assert.Greater(t, classes[c], 100, c)
	}
}

// Cards and IBANs of the templates are made by code of ours; python-stdnum knows nothing of it.
func TestPythonStdnumAcceptsWhatTheTemplatesHold(t *testing.T) {
	pythontest.Path(t)
	values := map[string][]string{}
	for _, s := range must(Templates(Seed, PerLanguage))(t) {
		for _, l := range s.Spans {
			if l.Class == detector.PaymentCard || l.Class == detector.IBAN {
				values[string(l.Class)] = append(values[string(l.Class)], s.Text[l.Start:l.End])
			}
		}
	}
	require.Greater(t, len(values["payment_card"]), 100)
	require.Greater(t, len(values["iban"]), 100)
	raw, err := json.Marshal(values)
	require.NoError(t, err)
	refused := pythontest.Run(t, `
import json, sys
from stdnum import iban, luhn
values = json.loads(sys.argv[1])
for v in values["payment_card"]:
    if not luhn.is_valid(v.replace(" ", "").replace("-", "")):
        print(v)
for v in values["iban"]:
    if not iban.is_valid(v, check_country=False):
        print(v)
`, string(raw))
	assert.Empty(t, refused)
}

func TestWalletsAreThoseOfTheStandardsExamples(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		assert.Equal(t, want, got)
	}
	unhex := func(text string) []byte {
		raw := make([]byte, len(text)/2)
		for i := range raw {
			raw[i] = unhexDigit(text[2*i])<<4 | unhexDigit(text[2*i+1])
		}
		return raw
	}
	// The genesis block's address; BIP 173's and BIP 350's test vectors; EIP-55's.
	f(base58Check(unhex("0062e907b15cbf27d5425399ebf6f0fb50ebb88f18")), "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
	f(segwit(0, unhex("751e76e8199196d454941c45d1b3a323f1433bd6")), "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
	f(segwit(1, unhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")), "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")
	f(eip55(unhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")), "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
}

func unhexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

func TestEventsHaveTwentyAttributesOfWhichFiveAreFreeText(t *testing.T) {
	find, err := Detect()
	require.NoError(t, err)
	f := func(every, least, mostHits int) {
		t.Helper()
		ld, err := Events(1, 200, every)
		require.NoError(t, err)
		records := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
		require.Equal(t, 200, records.Len())
		hits := 0
		for _, r := range records.All() {
			require.Equal(t, 20, r.Attributes().Len())
			free, hit := 0, false
			for k, v := range r.Attributes().All() {
				if n := utf8.RuneCountInString(v.AsString()); n >= 40 && !strings.HasPrefix(k, "page.") {
					require.LessOrEqual(t, n, 200)
					free++
				}
				hit = hit || len(find(nil, k, v.AsString())) > 0
			}
			require.Equal(t, 5, free)
			if hit {
				hits++
			}
		}
		assert.True(t, least <= hits && hits <= mostHits, "%d of 200 events have hits", hits)
	}
	f(0, 0, 0)
	f(10, 18, 20)
	f(1, 180, 200)
}
