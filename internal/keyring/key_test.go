// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func testKey(t testing.TB, id string, seed byte) *Key {
	t.Helper()
	secret, err := decodeSecret([]byte(secretText(seed)))
	require.NoError(t, err)
	k, err := newKey(id, secret)
	require.NoError(t, err)
	return k
}

func TestDerivedSecretsAreNeverShared(t *testing.T) {
	seen := map[string]string{}
	for _, seed := range []byte{1, 2} {
		for _, purpose := range []Purpose{Pseudonyms, FPE, Tokens, Subjects, Check} {
			for _, of := range [][2]string{{"", ""}, {"a", ""}, {"", "a"}, {"ab", "c"}, {"a", "bc"}} {
				for _, size := range []int{32, 64} {
					got, err := testKey(t, "k1", seed).Derive(purpose, of[0], of[1], size)
					require.NoError(t, err)
					require.Len(t, got, size)
					name := fmt.Sprint(seed, purpose, of, size)
					assert.Empty(t, seen[hex.EncodeToString(got[:32])], name)
					seen[hex.EncodeToString(got[:32])] = name
				}
			}
		}
	}
	_, err := testKey(t, "k1", 1).Derive(Tokens, "", "", 8161)
	require.Error(t, err)
}

// What is derived must not change from one release to the next: nothing could be read again.
func TestDerivedSecretsStayTheSame(t *testing.T) {
	k := testKey(t, "k1", 1)
	got, err := k.Derive(Tokens, "t1", "x", 32)
	require.NoError(t, err)
	assert.Equal(t, goldenDerived, hex.EncodeToString(got))
	assert.Equal(t, goldenCheck, k.CheckValue())
	assert.Equal(t, goldenCheck, testKey(t, "another", 1).CheckValue(), "of the secret, not of the ID")
}

const (
	goldenDerived = "6422008b3307209959f342d1323f40487335426d17b9461115e62285acbe0fd5"
	goldenCheck   = "6fc582120c314a64"
)

func TestWhatIsDerivedIsMadeOnceAndBounded(t *testing.T) {
	k := testKey(t, "k1", 1)
	k.hidden().derived.limit = 4
	made := 0
	get := func(tenant string) *string {
		v, err := Derived(k, Tokens, tenant, "", 32, func(secret []byte) (*string, error) {
			made++
			s := string(secret)
			return &s, nil
		})
		require.NoError(t, err)
		return v
	}
	first := get("a")
	assert.Same(t, first, get("a"))
	assert.Equal(t, 1, made)
	for i := range 100 {
		get(fmt.Sprint("tenant", i))
		assert.Same(t, first, get("a"), "what is used stays")
		assert.LessOrEqual(t, len(k.hidden().derived.entries), 4)
	}
	assert.Equal(t, 101, made)
	got, err := Derived(k, Tokens, "a", "", 32, func(secret []byte) ([]byte, error) { return secret, nil })
	require.NoError(t, err, "another type of the same secret")
	assert.Equal(t, *first, string(got))

	_, err = Derived(k, Tokens, "b", "", 32, func([]byte) (*string, error) { return nil, errors.New("no") })
	require.ErrorContains(t, err, "deriving from key k1: no")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = Derived(k, Tokens, "a", "", 32, func([]byte) (*string, error) { return nil, nil })
	}))
}

func TestWhatIsDerivedForAVeryLongNameIsNotKept(t *testing.T) {
	k := testKey(t, "k1", 1)
	made := 0
	f := func(tenant string, want int) {
		t.Helper()
		for range 2 {
			_, err := Derived(k, Pseudonyms, tenant, "", 32, func([]byte) (int, error) { made++; return made, nil })
			require.NoError(t, err)
		}
		require.Equal(t, want, made)
	}
	f("shop", 1)
	f(strings.Repeat("a", 256), 2)
	f(strings.Repeat("a", 257), 4)
	require.Len(t, k.hidden().derived.ring, 2)
}

func TestWhatIsDerivedIsTheSameForAllGoroutines(t *testing.T) {
	k := testKey(t, "k1", 1)
	k.hidden().derived.limit = 8
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				tenant := fmt.Sprint((i * (g + 1)) % 20)
				want, _ := k.Derive(Pseudonyms, tenant, "", 32)
				got, err := Derived(k, Pseudonyms, tenant, "", 32, func(secret []byte) (string, error) { return string(secret), nil })
				if err != nil || got != string(want) {
					t.Error("another secret")
				}
			}
		})
	}
	wg.Wait()
}

func TestAKeyHasNoTextForm(t *testing.T) {
	secret, err := decodeSecret([]byte(secretText(1)))
	require.NoError(t, err)
	r := openFile(t, KeyConfig{ID: "k1", File: writeKey(t, 1)}, Options{})
	k, err := r.Current()
	require.NoError(t, err)
	derived, err := Derived(k, Tokens, "", "", 32, func(secret []byte) ([]byte, error) { return secret, nil })
	require.NoError(t, err)
	type holder struct {
		Key   *Key
		Value Key
		inner Key
		ring  *KeyRing
	}
	h := holder{k, *k, *k, r}
	var b bytes.Buffer
	for _, v := range []any{k, *k, h, &h, r, r.state.Load(), r.state.Load().keys, []*Key{k}, map[string]Key{"a": *k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		if j, err := json.Marshal(v); err == nil {
			b.Write(j)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		for _, encoder := range []zapcore.Encoder{
			zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
		} {
			zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&b), zap.InfoLevel)).Info("x", zap.Any("v", v), zap.Reflect("r", v))
		}
	}
	text, err := k.MarshalText()
	require.NoError(t, err)
	b.Write(text)
	out := strings.ToLower(b.String())
	assert.Contains(t, out, "key k1")
	for _, raw := range [][]byte{secret, derived, k.hidden().prk} {
		assert.NotContains(t, out, hex.EncodeToString(raw[:5]))
		assert.NotContains(t, out, strings.Trim(fmt.Sprint(raw[:4]), "[]"))
		assert.NotContains(t, out, strings.Trim(fmt.Sprintf("%#v", raw[:4]), "[]byte{}"))
	}
	assert.NotContains(t, out, strings.ToLower(secretText(1)[:8]))
	assert.Equal(t, "key k1", fmt.Sprintf("%v", k))
	assert.Equal(t, `"key k1"`, func() string { j, _ := json.Marshal(k); return string(j) }())
}

func BenchmarkDerived(b *testing.B) {
	k := testKey(b, "k1", 1)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Derived(k, Pseudonyms, "tenant", "", 32, func([]byte) (*int, error) { return new(int), nil })
	}
}
