// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/subjectkey"
)

func FuzzMask(f *testing.F) {
	ring, subjects := testRing(f), testSubjects(f)
	keys := make([]*subjectkey.Key, 1)
	require.NoError(f, subjects.Keys(f.Context(), []subjectkey.Subject{{Tenant: "t", ID: "u"}}, keys))
	tenths := 1
	var actions []Action
	for _, s := range []Spec{
		{Action: Redact}, {Action: Partial}, {Action: Partial, KeepFirst: 9, KeepLast: 1 << 30}, {Action: Truncate},
		{Action: Truncate, KeepFirst: 5, Decimals: &tenths, Date: "month", IPv4Prefix: 1, IPv6Prefix: 127}, {Action: Pseudonym},
		{Action: Pseudonym, PerTenant: true}, {Action: FPE}, {Action: Token}, {Action: Erasable}, {Action: Bucket, Width: 10},
		{Action: Bucket, Bounds: []float64{-1.5, 0, 18}}, {Action: Drop},
	} {
		a, err := New(s, ring)
		require.NoError(f, err)
		actions = append(actions, a)
	}
	reader := Reader{Ring: ring, Find: subjects.Find}
	for i, s := range []string{
		"john@example.com", "+49 151 1234567", "203.0.113.7", "2001:db8::1", "52.5, 13.4", "1984-05-17", "1984-05-17T01:02:03Z", "17.05.1984", "Zoë 👩‍👩‍👧",
		"34", "\xff\xfe", "@", "a@b", "%40", "", strings.Repeat("9", 40), "pn_k1_" + strings.Repeat("a", 26), "[::1]:80",
	} {
		f.Add(s, byte(i), byte(0), byte(i), int64(i)*1234567, float64(i)*1.25)
	}
	f.Fuzz(func(t *testing.T, s string, class, form, kind byte, n int64, d float64) {
		target := Target{Tenant: "t", Class: s, Form: Form(form % byte(Other+1)), Subject: keys[0]}
		if int(class) < 2*len(detector.Classes) {
			target.Class = string(detector.Classes[int(class)%len(detector.Classes)])
		}
		v := [...]Value{{Text: s}, {Kind: IntValue, Int: n}, {Kind: DoubleValue, Double: d}}[kind%3]
		in := text(v)
		was := v.Kind == TextValue && masked(v, &target)
		for i, a := range actions {
			got, err := a.Mask(v, &target)
			if err != nil {
				if !errors.Is(err, ErrDrop) && !errors.Is(err, ErrCannotMask) {
					t.Fatal(err)
				}
				if len(in) > 12 && strings.Contains(err.Error(), in) {
					t.Fatalf("%v holds the value", err)
				}
				continue
			}
			if in == "" && got.Text == "" {
				continue
			}
			if err := checkForm(got, target.Form); err != nil {
				t.Fatalf("%s of %q as %s: %q: %v", a.Kind(), in, formNames[target.Form], text(got), err)
			}
			if v.Kind == TextValue && utf8.ValidString(s) && got.Kind == TextValue && !utf8.ValidString(got.Text) {
				t.Fatalf("%s of %q is no UTF-8: %q", a.Kind(), in, got.Text)
			}
			if was {
				if got != v && a.Kind() != Redact {
					t.Fatalf("%s of %q is masked again: %q", a.Kind(), in, got.Text)
				}
				continue
			}
			checkHidden(t, a, v, got, &target)
			switch a.Kind() {
			case Partial, Truncate, Pseudonym, Token, Erasable:
				again, err := a.Mask(got, &target)
				if target.Form != UUID && (err != nil || again != got) && !(a.Kind() == Truncate && (i > 3 || v.Kind != TextValue)) {
					t.Fatalf("%s of %q is %q, and of that %q, %v", a.Kind(), in, text(got), text(again), err)
				}
			case FPE:
				if got.Kind != TextValue || v.Kind != TextValue {
					continue
				}
				if plain, err := reader.Decrypt(got.Text, "t", target.Class, "k1"); err != nil || plain != in {
					t.Fatalf("%q comes back as %q, %v", in, plain, err)
				}
			}
			if a.Kind() == Token || a.Kind() == Erasable && got.Text[0] != '[' {
				if plain, _, err := reader.Detokenize(got.Text, "t"); err != nil || plain != in {
					t.Fatalf("%q comes back as %q, %v", in, plain, err)
				}
			}
		}
	})
}

// checkHidden says whether what an action made shows more than it may.
func checkHidden(t *testing.T, a Action, v, got Value, target *Target) {
	t.Helper()
	in := text(v)
	letters := 0
	for i := range len(in) {
		if alphanumeric(in[i]) {
			letters++
		}
	}
	switch a.Kind() {
	case Redact:
		if got.Text != bracket(target.Class) {
			t.Fatalf("%q", got.Text)
		}
	case Pseudonym, Token, Erasable:
		if letters > 12 && strings.Contains(got.Text, in) {
			t.Fatalf("%s of %q shows it: %q", a.Kind(), in, got.Text)
		}
	case Bucket:
		if got.Kind == TextValue && target.Form != Digits && got.Text == in && in != bracket(target.Class) {
			t.Fatalf("bucket of %q is the same", in)
		}
	case Partial:
		if strings.Contains(in, "@") {
			return
		}
		shown, all := 0, 0
		for i := range len(in) {
			if alphanumeric(in[i]) || in[i] == '*' {
				all++
			}
		}
		for i := range len(got.Text) {
			if alphanumeric(got.Text[i]) {
				shown++
			}
		}
		if ascii(in) && shown > (all+1)/2 && shown > len(in)/2 {
			t.Fatalf("partial of %q shows %d of %d: %q", in, shown, all, got.Text)
		}
	}
}

func FuzzDetokenize(f *testing.F) {
	ring, subjects := testRing(f), testSubjects(f)
	r := Reader{Ring: ring, Find: subjects.Find}
	bits := strings.Repeat("a", 47)
	for _, s := range []string{
		"tk_k1_" + bits, "er_" + bits[:26] + "_" + bits, "pn_k1_" + bits[:26], "tk_k1_" + bits + "@token.invalid", "x tk_k1_" + bits + "@a.token.invalid. er_",
		"pn_k1_" + bits[:26] + "@pseudonym.invalid", "tk_k1_@.token.invalid",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n := Masked(s); n < 0 || n > len(s) || n > 0 && Masked(s[:n]) != n {
			t.Fatalf("%q: %d", s, n)
		}
		if _, _, err := r.Detokenize(s, "t"); err == nil {
			t.Fatalf("%q was read", s)
		}
		last := 0
		for _, span := range FindAll(s) {
			if span.Start < last || span.End <= span.Start || Masked(s[span.Start:]) != span.End-span.Start {
				t.Fatalf("%q: %v", s, span)
			}
			last = span.End
		}
		if got, read, _ := r.DetokenizeWithin(s, "t"); got != s || read != nil {
			t.Fatalf("%q became %q", s, got)
		}
		_, _ = r.Decrypt(s, "t", "c", "k1")
	})
}
