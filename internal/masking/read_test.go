// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/state"
	"github.com/millrace/millrace/internal/subjectkey"
)

func testSubjects(t testing.TB) *subjectkey.Keys {
	t.Helper()
	store, err := state.Open(t.TempDir(), state.Options{ReserveBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	subjects, err := subjectkey.Open(store, testRing(t), subjectkey.Options{})
	require.NoError(t, err)
	return subjects
}

func mask(t testing.TB, a Action, in string, target Target) string {
	t.Helper()
	v, err := a.Mask(textOf(in), &target)
	require.NoError(t, err)
	require.Equal(t, TextValue, v.Kind)
	return v.Text
}

var readable = []string{"a", "john@example.com", "someone.with.a.long.name@a.long.domain.example.com", strings.Repeat("ä long text. ", 100)}

func TestATokenComesBackWithItsTenantsKeyOnly(t *testing.T) {
	ring := testRing(t)
	a, err := New(Spec{Action: Token}, ring)
	require.NoError(t, err)
	r := Reader{Ring: ring}
	for _, in := range readable {
		made := mask(t, a, in, Target{Tenant: "t1"})
		assert.Equal(t, made, mask(t, a, in, Target{Tenant: "t1", Class: "other"}), "the same value")
		assert.NotEqual(t, made, mask(t, a, in, Target{Tenant: "t2"}), "another tenant")
		assert.Equal(t, len(made), Masked(made))
		plain, meta, err := r.Detokenize(made, "t1")
		require.NoError(t, err)
		assert.Equal(t, in, plain)
		assert.Equal(t, Meta{Kind: Token, KeyID: "k1"}, meta)

		_, _, err = r.Detokenize(made, "t2")
		require.ErrorIs(t, err, ErrForged)
		_, _, err = Reader{Ring: testRing(t, "k2")}.Detokenize(made, "t1")
		require.ErrorIs(t, err, keyring.ErrNoKey)
	}
	// It stands in tables: it must not change from one release to the next.
	assert.Equal(t, goldenToken, mask(t, a, "john@example.com", Target{Tenant: "t1"}))
}

const goldenToken = "tk_k1_kd5ucxkpao5wfsgfb4nzzbghnz6zkq4tlyrm5pvqkjf43num7iya"

func TestATokenOfAnEmailAddressIsOne(t *testing.T) {
	ring, subjects := testRing(t), testSubjects(t)
	keys := make([]*subjectkey.Key, 1)
	require.NoError(t, subjects.Keys(t.Context(), []subjectkey.Subject{{ID: "u"}}, keys))
	r := Reader{Ring: ring, Find: subjects.Find}
	for _, kind := range []Kind{Token, Erasable} {
		a, err := New(Spec{Action: kind}, ring)
		require.NoError(t, err)
		for n := 1; n < 110; n++ {
			in := strings.Repeat("x", n) + "@example.com"
			v, err := a.Mask(textOf(in), &Target{Form: EmailAddress, Class: "email", Subject: keys[0]})
			if n > 80 && err != nil {
				require.ErrorIs(t, err, ErrDrop)
				continue
			}
			require.NoError(t, err, n)
			require.NoError(t, checkForm(v, EmailAddress), v.Text)
			require.LessOrEqual(t, len(v.Text), 254)
			local, domain, _ := strings.Cut(v.Text, "@")
			require.LessOrEqual(t, len(local), 64)
			for label := range strings.SplitSeq(domain, ".") {
				require.LessOrEqual(t, len(label), 63)
			}
			require.Equal(t, len(v.Text), Masked(v.Text+". And so on"))
			plain, _, err := r.Detokenize(v.Text, "")
			require.NoError(t, err)
			require.Equal(t, in, plain)
			again, err := a.Mask(v, &Target{Form: EmailAddress, Subject: keys[0]})
			require.NoError(t, err)
			require.Equal(t, v, again)
		}
	}
}

func TestAnErasableValueGoesWithItsSubject(t *testing.T) {
	subjects := testSubjects(t)
	person := subjectkey.Subject{Tenant: "t1", ID: "u1"}
	keys := make([]*subjectkey.Key, 1)
	require.NoError(t, subjects.Keys(t.Context(), []subjectkey.Subject{person}, keys))
	a, err := New(Spec{Action: Erasable}, nil)
	require.NoError(t, err)
	r := Reader{Find: subjects.Find}
	var made []string
	for _, in := range readable {
		m := mask(t, a, in, Target{Subject: keys[0]})
		assert.NotEqual(t, m, mask(t, a, in, Target{Subject: keys[0]}), "another text each time")
		assert.Equal(t, len(m), Masked(m))
		plain, meta, err := r.Detokenize(m, "")
		require.NoError(t, err)
		assert.Equal(t, in, plain)
		assert.Equal(t, Meta{Kind: Erasable, Handle: subjects.Handle(person)}, meta)
		made = append(made, m)
	}
	assert.Equal(t, "[email]", mask(t, a, "john@example.com", Target{Class: "email"}), "nobody is named")

	_, err = subjects.Erase(t.Context(), person)
	require.NoError(t, err)
	for _, m := range made {
		_, _, err := r.Detokenize(m, "")
		require.ErrorIs(t, err, subjectkey.ErrErased)
	}
	_, err = a.Mask(textOf("john@example.com"), &Target{Subject: keys[0]})
	require.ErrorIs(t, err, ErrDrop, "of a key that was held on to")
	_, _, err = Reader{}.Detokenize(made[0], "")
	require.ErrorIs(t, err, subjectkey.ErrUnknown)
}

func TestFormatPreservingEncryptionComesBack(t *testing.T) {
	ring := testRing(t)
	a, err := New(Spec{Action: FPE}, ring)
	require.NoError(t, err)
	r := Reader{Ring: ring}
	pattern := func(s string) string {
		return strings.Map(func(r rune) rune {
			switch {
			case '0' <= r && r <= '9':
				return '9'
			case 'a' <= r && r <= 'z':
				return 'a'
			case 'A' <= r && r <= 'Z':
				return 'A'
			}
			return r
		}, s)
	}
	for _, in := range []string{
		"4111 1111 1111 1111", "+49 (151) 1234-567", "DE89 3704 0044 0532 0130 00", "John Q. Smith", "john.doe@example.com", "123-45-6789",
		"000000", "zzzzz", strings.Repeat("9", 100), strings.Repeat("aZ9", 42),
	} {
		target := Target{Tenant: "t1", Class: "thing"}
		made := mask(t, a, in, target)
		assert.NotEqual(t, in, made)
		assert.Equal(t, pattern(in), pattern(made))
		plain, err := r.Decrypt(made, "t1", "thing", "k1")
		require.NoError(t, err)
		assert.Equal(t, in, plain)
		assert.NotEqual(t, made, mask(t, a, in, Target{Tenant: "t2", Class: "thing"}), "another tenant")
		assert.NotEqual(t, made, mask(t, a, in, Target{Tenant: "t1", Class: "other"}), "another class")
	}
	assert.Equal(t, goldenFPE, mask(t, a, "4111 1111 1111 1111", Target{Tenant: "t1", Class: "payment_card"}), "it stands in tables")

	for _, n := range []int64{1234567, -1234567, 999999999999, 1<<63 - 1, 1 << 53, 4915112345678} {
		for _, form := range []Form{Any, Integer, Number} {
			v, err := a.Mask(Value{Kind: IntValue, Int: n}, &Target{Form: form})
			if form == Number && n > 1<<53 {
				require.ErrorIs(t, err, ErrCannotMask)
				continue
			}
			require.NoError(t, err)
			if form == Number {
				v.Int = int64(v.Double)
			}
			assert.Len(t, text(Value{Kind: IntValue, Int: v.Int}), len(text(Value{Kind: IntValue, Int: n})))
			plain, err := r.DecryptInt(v.Int, form == Number, 0, "", "", "k1")
			require.NoError(t, err)
			assert.Equal(t, n, plain)
		}
	}
	for n := int64(1_234_567_890); n < 1_234_568_890; n += 10 { // in a column of 32 bits
		v, err := a.Mask(Value{Kind: IntValue, Int: n}, &Target{Form: Integer, Limit: 1<<31 - 1})
		require.NoError(t, err)
		require.Less(t, v.Int, int64(1<<31))
		plain, err := r.DecryptInt(v.Int, false, 1<<31-1, "", "", "k1")
		require.NoError(t, err)
		require.Equal(t, n, plain)
	}
}

const goldenFPE = "3585 2168 3832 6315"

func TestWhatCanBeTriedOutIsNotEncryptedInItsFormat(t *testing.T) {
	a := newAction(t, Spec{Action: FPE})
	f := func(v Value) {
		t.Helper()
		_, err := a.Mask(v, &Target{})
		require.ErrorIs(t, err, ErrCannotMask)
		if v.Text != "" {
			assert.NotContains(t, err.Error(), v.Text)
		}
	}
	f(textOf("12345"))
	f(textOf("ab12"))
	f(textOf("+-/"))
	f(textOf("Jürgen Smith"))
	f(textOf(strings.Repeat("9", 2000)))
	f(textOf(strings.Repeat("9", 5000)))
	f(textOf(strings.Repeat("a", 200)))
	f(Value{Kind: IntValue, Int: 123456})
	f(Value{Kind: IntValue, Int: -1 << 63})
	f(Value{Kind: DoubleValue, Double: 1.5})
	f(Value{Kind: DoubleValue, Double: 1e300})
}

func TestValuesAreReadWithinALongerText(t *testing.T) {
	ring, subjects := testRing(t), testSubjects(t)
	keys := make([]*subjectkey.Key, 1)
	require.NoError(t, subjects.Keys(t.Context(), []subjectkey.Subject{{ID: "u"}}, keys))
	of := func(kind Kind, in string, form Form) string {
		a, err := New(Spec{Action: kind}, ring)
		require.NoError(t, err)
		return mask(t, a, in, Target{Class: "email", Form: form, Subject: keys[0]})
	}
	token, address, erasable, pseudonym := of(Token, "a@b.example", Any), of(Token, "c@d.example", EmailAddress), of(Erasable, "secret", Any), of(Pseudonym, "x", Any)
	text := func(a, b, c string) string {
		return "Write to " + a + ", or " + b + ". _ __ tk_ x" + token + " " + token + "x (" + c + ") " + pseudonym
	}
	r := Reader{Ring: ring, Find: subjects.Find}
	plain, read, err := r.DetokenizeWithin(text(token, address, erasable), "")
	require.NoError(t, err)
	assert.Equal(t, text("a@b.example", "c@d.example", "secret"), plain)
	assert.Len(t, read, 3)
	assert.Len(t, FindAll(text(token, address, erasable)), 4)

	plain, read, err = r.DetokenizeWithin(text(token, address, erasable), "another tenant")
	require.ErrorIs(t, err, ErrForged)
	assert.Equal(t, text(token, address, "secret"), plain)
	assert.Len(t, read, 1)

	_, meta, err := r.Detokenize(pseudonym, "")
	require.ErrorIs(t, err, ErrIrreversible)
	assert.Equal(t, "k1", meta.KeyID)
	_, _, err = r.Detokenize(token+" ", "")
	require.ErrorIs(t, err, ErrNotMasked)
}

func TestOnlyTheExactFormPassesForMasked(t *testing.T) {
	bits := strings.Repeat("a", 26)
	long := strings.Repeat("a", 28)
	f := func(text string, want int) {
		t.Helper()
		assert.Equal(t, want, Masked(text), text)
	}
	pn, tk, er := "pn_k1_"+bits, "tk_k1_"+long, "er_"+bits+"_"+strings.Repeat("a", 47)
	f(pn, len(pn))
	f(pn+" and more", len(pn))
	f(pn+".", len(pn))
	f(pn+"-", len(pn))
	f(pn+"@pseudonym.invalid", len(pn)+18)
	f(pn+"@pseudonym.invalid.", len(pn)+18)
	f(pn+"@pseudonym.invalid.com", 0)
	f(pn+"@pseudonym.invalid-x", 0)
	f(pn+"@pseudonym.invalidx", 0)
	f(pn+"@gmail.com", 0)
	f(pn+"a", 0)
	f(pn+"A", 0)
	f(pn+"_", 0)
	f(pn+"ä", 0)
	f(pn[:len(pn)-1], 0)
	f(pn[:len(pn)-1]+"b", 0) // bits beyond the 128
	f(pn[:len(pn)-1]+"8", 0)
	f("pn__"+bits, 0)
	f("pn_K1_"+bits, 0)
	f("pn_12345678901234567_"+bits, 0)
	f("pn_1234567890123456_"+bits, 20+26)
	f("PN_k1_"+bits, 0)
	f(tk, len(tk))
	f(tk[:len(tk)-1], 0)
	f(tk+"a", len(tk)+1)
	f(tk+"aa", 0) // no bytes have 30 characters
	f(tk+"b", 0)  // bits beyond the 18 bytes
	f(tk+"@token.invalid", len(tk)+14)
	f(tk+"@aaaa.token.invalid", 0) // the local part was not full
	f(tk+"@gmail.com", 0)
	f(er, len(er))
	f(er+"@erasable.invalid", 0) // that local part is too long
	f(er[:64]+"@"+er[64:]+".erasable.invalid", len(er)+18)
	f(er[:64]+"@"+er[64:]+".erasable.invalid.", len(er)+18)
	f(er[:64]+"@"+er[64:]+".erasable.invalid.com", 0)
	f(er[:64]+"@"+er[64:]+".token.invalid", 0)
	f("er_"+bits+"_"+long, 0) // less than a nonce and a tag
	f("er_"+bits+"_", 0)
	f("er_"+bits, 0)
	f("er_"+bits+bits+bits, 0)
	f("", 0)
	f("pn_", 0)
	f("xx_k1_"+bits, 0)
}

func TestAValueIsNotMaskedTwice(t *testing.T) {
	ring, subject := testRing(t), testSubject(t)
	for _, first := range []Kind{Pseudonym, Token, Erasable} {
		for _, form := range []Form{Any, Text, EmailAddress} {
			a, err := New(Spec{Action: first}, ring)
			require.NoError(t, err)
			once, err := a.Mask(textOf("john@example.com"), &Target{Form: form, Class: "email", Subject: subject})
			require.NoError(t, err)
			for _, then := range []Spec{
				{Action: Pseudonym}, {Action: Token}, {Action: Erasable}, {Action: FPE}, {Action: Partial}, {Action: Truncate},
				{Action: Bucket, Width: 1},
			} {
				a, err := New(then, testRing(t, "k2"))
				require.NoError(t, err)
				twice, err := a.Mask(once, &Target{Form: form, Class: "email", Subject: subject})
				require.NoError(t, err)
				assert.Equal(t, once, twice)
			}
			redact, err := New(Spec{Action: Redact}, nil)
			require.NoError(t, err)
			got, err := redact.Mask(once, &Target{Class: "email"})
			require.NoError(t, err)
			assert.Equal(t, "[email]", got.Text, "but redacted it is")
		}
	}
}
