// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/checkdigit"
)

func TestAConfigurationErrorNamesFieldValueAndMend(t *testing.T) {
	f := func(cfg Config, want string) {
		t.Helper()
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
	}
	ok := Custom{Name: "badge", Class: "badge", Pattern: `B-\d+`}
	with := func(change func(c *Custom)) Config {
		c := ok
		change(&c)
		return Config{Custom: []Custom{c}}
	}
	f(Config{Classes: []Class{Email, "name"}}, `classes[1]: "name" is not found by value: use email,`)
	f(with(func(c *Custom) { c.Name = "" }), "custom[0].name: is empty")
	f(with(func(c *Custom) { c.Name = "email" }), `custom[0].name: "email" is taken`)
	f(with(func(c *Custom) { c.Name = "national_id_br_cpf" }), "is taken")
	f(Config{Custom: []Custom{ok, ok}}, `custom[1].name: "badge" is taken`)
	f(with(func(c *Custom) { c.Class = "" }), "custom[0].class: is empty")
	f(with(func(c *Custom) { c.Pattern = "" }), "custom[0].pattern: is empty")
	f(with(func(c *Custom) { c.Pattern = "(" }), `custom[0].pattern: "(" does not compile`)
	f(with(func(c *Custom) { c.Pattern = "a*" }), `custom[0].pattern: "a*" matches the empty text`)
	f(with(func(c *Custom) { c.Keywords = []string{"a", ""} }), "custom[0].keywords[1]: is empty")
	var many []Custom
	for i := range maxKeyed + 1 {
		many = append(many, Custom{Name: fmt.Sprint("c", i), Class: "x", Pattern: "x", Keywords: []string{"k"}})
	}
	f(Config{Custom: many}, "custom[32].keywords: is the keyword list of more than 32")
	_, err := New(Config{Custom: many[:maxKeyed]})
	require.NoError(t, err)
}

func TestOnlyTheClassesAskedForAreFound(t *testing.T) {
	text := "john@example.com +49 151 12345678 4111111111111111 203.0.113.7"
	for _, class := range []Class{Email, Phone, PaymentCard, IPAddress} {
		d, err := New(Config{Classes: []Class{class}})
		require.NoError(t, err)
		got := d.Find(nil, text, 0)
		require.Len(t, got, 1, class)
		require.Equal(t, class, got[0].Class)
	}
	none, err := New(Config{Classes: []Class{}})
	require.NoError(t, err)
	require.Empty(t, none.Find(nil, text, 0))
}

func TestCustomDetectorsFindWithKeywordsInTextOrKey(t *testing.T) {
	d, err := New(Config{Custom: []Custom{
		{Name: "badge", Class: "badge", Pattern: `\bB-(?P<value>\d{4})\b`, Keywords: []string{"badge", "Ausweis"}},
		{Name: "room", Class: "place", Pattern: `room \d+`},
	}})
	require.NoError(t, err)
	f := func(key, text string, want ...string) {
		t.Helper()
		var got []string
		for _, x := range d.Find(nil, text, d.HintOf(key)) {
			got = append(got, x.Rule+":"+text[x.Start:x.End])
		}
		require.Equal(t, want, got)
	}
	f("", "B-1234")
	f("", "his BADGE is B-1234, B-5678", "badge:1234", "badge:5678")
	f("", "ausweis B-1234", "badge:1234")
	f("badge_no", "B-1234", "badge:1234")
	f("", "room 12 and room 13", "room:room 12", "room:room 13")
	f("", "badge B-12345")
	f("", "mail a@b.co in room 12 or c@d.org", "email:a@b.co", "room:room 12", "email:c@d.org")
	require.Subset(t, d.Rules(), []string{"badge", "room", "email"})
}

func TestTheLongerOfTwoOverlappingFindingsStands(t *testing.T) {
	f := func(pattern, text, want string) {
		t.Helper()
		d, err := New(Config{Custom: []Custom{{Name: "mine", Class: "mine", Pattern: pattern}}})
		require.NoError(t, err)
		got := d.Find(nil, text, 0)
		require.Len(t, got, 1, "%v", got)
		require.Equal(t, want, got[0].Rule+":"+text[got[0].Start:got[0].End])
	}
	f(`doe@example`, "john.doe@example.com", "email:john.doe@example.com")
	f(`to john\.doe@example\.com`, "to john.doe@example.com", "mine:to john.doe@example.com")
	f(`john\.doe@example\.com`, "john.doe@example.com", "mine:john.doe@example.com")
	f(`\S+@\S+ \S+@\S+`, "a@b.co c@d.org", "mine:a@b.co c@d.org")
}

func TestWhatIsMaskedAlreadyIsPassedOver(t *testing.T) {
	asked := 0
	d, err := New(Config{
		Skip: func(text string) int {
			asked++
			if !strings.HasPrefix(text, "pn_") {
				return 0
			}
			if i := strings.IndexByte(text, ' '); i > 0 {
				return i
			}
			return len(text)
		},
		Custom: []Custom{{Name: "letters", Class: "x", Pattern: `pn_[a-z0-9]+`}},
	})
	require.NoError(t, err)
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		for _, x := range d.Find(nil, text, 0) {
			got = append(got, text[x.Start:x.End])
		}
		require.Equal(t, want, got, text)
	}
	f("pn_k1_john@example.com")
	f("pn_john@example.com")
	f("mail pn_k1_4111-1111-1111-1111 and bob@example.com", "bob@example.com")
	f("password=pn_k1_abc1 x")
	f("4111111111111111 pn_4111111111111111", "4111111111111111")
	f("pn_k1_abc-203.0.113.7 203.0.113.8", "203.0.113.8")
	require.Positive(t, asked)

	asked = 0
	f("john@example.com and 4111111111111111 abcd_1", "john@example.com", "4111111111111111")
	require.Zero(t, asked, "only words with an '_' among their first three bytes are asked about")
}

func TestNumbersAreFoundByTheirKeys(t *testing.T) {
	d := testDetector(t)
	f := func(n int64, key string, want Class) {
		t.Helper()
		got, rule, ok := d.FindInt(n, HintOf(key))
		require.Equal(t, want, got)
		require.Equal(t, want != "", ok)
		require.Equal(t, ok, rule != "")
		if n > 1e6 {
			got, _, _ = d.FindFloat(float64(n), HintOf(key))
			require.Equal(t, want, got)
		}
	}
	f(4155552671, "phone", Phone)
	f(4155552671, "", "")
	f(4155552671, "order_id", "")
	f(123, "phone", "")
	f(4111111111111111, "", PaymentCard)
	f(4111111111111111, "card_number", PaymentCard)
	f(4111111111111111, "order_id", "")
	f(4111111111111111, "created_at", "")
	f(4111111111111112, "card_number", "")
	f(1623456789, "", "")
	f(1623456789012, "", "")
	f(29146676635, "cpf", NationalID)
	f(29146676635, "", "")
	f(7018919630, "cpf", NationalID) // 07018919630, whose zero a number does not have
	f(19900512, "birth_date", BirthDate)
	f(19900512, "date", "")
	f(48, "latitude", Coordinates)
	f(-1, "", "")

	g := func(v float64, key string, want Class) {
		t.Helper()
		got, _, _ := d.FindFloat(v, HintOf(key))
		require.Equal(t, want, got)
	}
	g(48.8584, "latitude", Coordinates)
	g(-122.4194, "lng", Coordinates)
	g(48.8584, "", "")
	g(48.8584, "price", "")
	g(1e300, "phone", "")
	g(999, "latitude", "")
}

func TestEveryRuleFoundIsListed(t *testing.T) {
	d := testDetector(t)
	rules := d.Rules()
	require.True(t, slices.IsSorted(rules))
	for _, id := range checkdigit.NationalIDs {
		require.Contains(t, rules, id.Rule)
	}
	for _, e := range allExamples(t) {
		for _, f := range d.Find(nil, e.text, HintOf(e.key)) {
			require.Contains(t, rules, f.Rule)
		}
	}
	mail, err := New(Config{Classes: []Class{Email}})
	require.NoError(t, err)
	require.Equal(t, []string{"email"}, mail.Rules())
}

func TestNothingIsAllocatedWhereNothingIsFound(t *testing.T) {
	d := testDetector(t)
	examples := readCorpus(t, "lookalikes")
	hints := make([]Hint, len(examples))
	for i, e := range examples {
		hints[i] = HintOf(e.key)
	}
	require.Zero(t, testing.AllocsPerRun(10, func() {
		for i := range examples {
			d.Find(nil, examples[i].text, hints[i])
		}
	}))
	dst := make([]Finding, 0, 16)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		for _, text := range benchTexts["with hits"] {
			dst = d.Find(dst[:0], text, 0)
		}
	}), "nor with room in dst")
}

func TestADetectorMayBeUsedByMany(t *testing.T) {
	d := testDetector(t)
	examples := readCorpus(t, "phone")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, e := range examples {
				if got := d.Find(nil, e.text, HintOf(e.key)); !sameSpans(got, e.want) {
					t.Errorf("%q: %s", e.text, show(e.text, got))
				}
			}
		})
	}
	group.Wait()
}
