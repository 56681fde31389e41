// SPDX-License-Identifier: Apache-2.0

package disclosure

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/subjectkey"
)

type source string

func (s source) Load(context.Context) ([]byte, error) { return []byte(s), nil }

func ring(t *testing.T, ids ...string) *keyring.KeyRing {
	t.Helper()
	var cfg keyring.Config
	sources := map[string]keyring.Source{}
	for i, id := range ids {
		cfg = append(cfg, keyring.KeyConfig{ID: id, Env: "UNUSED"})
		sources[id] = source(fmt.Sprintf("%064x", 0xabcdef+i))
	}
	r, err := keyring.Open(t.Context(), cfg, keyring.Options{Sources: sources})
	require.NoError(t, err)
	return r
}

func token(t *testing.T, r keyring.Ring, value string) string {
	t.Helper()
	a, err := masking.New(masking.Spec{Action: masking.Token}, r)
	require.NoError(t, err)
	v, err := a.Mask(masking.Value{Text: value}, &masking.Target{Tenant: "t", Class: "email"})
	require.NoError(t, err)
	return v.Text
}

func TestOfATextAllTokensAreReadOrNone(t *testing.T) {
	r := ring(t, "k1")
	good, bad := token(t, r, "ann"), token(t, ring(t, "k0", "k9"), "bob")
	got := Read(masking.Reader{Ring: r}, []string{good + " " + good, good + " " + bad, good, "x"}, "t", audit.Record{Actor: "eve"})
	require.Equal(t, []Value{{Text: "ann ann"}, {Reason: UnknownKey}, {Text: "ann"}, {Reason: NotMasked}}, got.Values)
	require.Equal(t, []audit.Record{
		{Action: audit.Detokenized, Actor: "eve", KeyID: "k1", Masking: "token", Count: 3, Outcome: "ok"},
		{Action: audit.Refused, Actor: "eve", Count: 1, Outcome: UnknownKey},
		{Action: audit.Refused, Actor: "eve", Count: 1, Outcome: NotMasked},
	}, got.Records)
	require.EqualValues(t, 3, got.Read)
	require.Equal(t, map[string]int64{UnknownKey: 1, NotMasked: 1}, got.Refused)
	require.NoError(t, got.Err)
}

func TestAnErrorWithoutANameIsKeptForTheLog(t *testing.T) {
	r := ring(t, "k1")
	broken := errors.New("broken")
	reader := masking.Reader{Ring: r, Find: func(subjectkey.Handle) (*subjectkey.Key, error) { return nil, broken }}
	erasable := "er_aaaaaaaaaaaaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	got := Read(reader, []string{erasable}, "t", audit.Record{})
	require.Equal(t, []Value{{Reason: Failed}}, got.Values)
	require.ErrorIs(t, got.Err, broken)
}

func TestPseudonymsAreThoseThatMaskingMakes(t *testing.T) {
	r := ring(t, "k1", "k2")
	list, err := Pseudonyms(r, "email", "ann@example.com", "t")
	require.NoError(t, err)
	require.Len(t, list, 4)
	for _, perTenant := range []bool{false, true} {
		a, err := masking.New(masking.Spec{Action: masking.Pseudonym, PerTenant: perTenant}, r)
		require.NoError(t, err)
		v, err := a.Mask(masking.Value{Text: "ann@example.com"}, &masking.Target{Tenant: "t", Class: "email"})
		require.NoError(t, err)
		n := 0
		for _, p := range list {
			if p.Text == v.Text && p.PerTenant == perTenant {
				n++
			}
		}
		require.Equal(t, 1, n)
	}
	_, err = Pseudonyms(r, "email", "", "t")
	require.NoError(t, err, "nothing stays nothing")
}
