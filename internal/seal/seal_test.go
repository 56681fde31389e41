// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"crypto/hpke"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A key that is the same in every run, as a file has it.
const (
	testPrivate = "millrace-repair-private:v1:r1:GB48VcusaXjoaEi3l4eVesBjRvuya/jSpmNALmBpo2QCP/j3"
	testPublic  = "millrace-repair-public:v1:r1:7Y2BpgypVVsWbJaBSGxdFx0KaCLo4295k/3CBfMgtX2PyMGR"
)

func generate(t testing.TB, id string) *PrivateKey {
	t.Helper()
	k, err := Generate(id)
	require.NoError(t, err)
	return k
}

func sealed(t testing.TB, k *PublicKey, plain string) string {
	t.Helper()
	text, err := k.Seal([]byte("before "), []byte(plain))
	require.NoError(t, err)
	after, ok := strings.CutPrefix(string(text), "before "+Prefix+k.ID()+":")
	require.True(t, ok)
	return Prefix + k.ID() + ":" + after
}

func TestWhatIsSealedOpensWithThePrivateKeyOnly(t *testing.T) {
	k, other := generate(t, "r1"), generate(t, "r1")
	for _, plain := range []string{"", "a", strings.Repeat("John Smith, ", 1000), strings.Repeat("x", 127)} {
		text := sealed(t, k.Public(), plain)
		got, err := k.Open(text)
		require.NoError(t, err)
		assert.Equal(t, plain, string(got))
		assert.NotEqual(t, text, sealed(t, k.Public(), plain), "another text each time")
		assert.True(t, IsSealed(text))
		_, err = other.Open(text)
		require.ErrorIs(t, err, ErrDamaged)
	}
	assert.Less(t, len(sealed(t, k.Public(), strings.Repeat("John Smith, ", 1000))), 300, "it is compressed")
}

func TestAnyChangeIsFound(t *testing.T) {
	k := generate(t, "r1")
	text := sealed(t, k.Public(), "John Smith")
	for i := range len(text) {
		for _, c := range []byte{'A', 'B', '\n', ':', '=', 0xff} {
			if text[i] == c {
				continue
			}
			changed := text[:i] + string(c) + text[i+1:]
			_, err := k.Open(changed)
			require.Error(t, err, changed)
		}
		_, err := k.Open(text[:i])
		require.Error(t, err)
	}
	_, err := k.Open(text + "\n")
	require.ErrorIs(t, err, ErrDamaged)
	_, err = k.Open(text + "A")
	require.ErrorIs(t, err, ErrDamaged)
}

func TestKeysOpenWhatAnyOfThemWasSealedTo(t *testing.T) {
	old, current, lost := generate(t, "r1"), generate(t, "r2"), generate(t, "r3")
	keys, err := NewKeys(current, old)
	require.NoError(t, err)
	assert.Equal(t, []string{"r2", "r1"}, keys.IDs())
	for _, k := range []*PrivateKey{old, current} {
		plain, err := keys.Open(sealed(t, k.Public(), "x"))
		require.NoError(t, err)
		assert.Equal(t, "x", string(plain))
	}
	_, err = keys.Open(sealed(t, lost.Public(), "x"))
	require.ErrorIs(t, err, ErrNoKey)
	require.ErrorContains(t, err, "r3")
	_, err = keys.Open("plain text")
	require.ErrorIs(t, err, ErrNotSealed)
	_, err = NewKeys(old, generate(t, "r1"))
	require.ErrorContains(t, err, "r1 is given twice")

	// The ID is bound to what is sealed: under another key's name it does not open.
	text := sealed(t, old.Public(), "x")
	renamed := newPrivate("r9", old.hidden())
	_, err = renamed.Open(strings.Replace(text, ":r1:", ":r9:", 1))
	require.ErrorIs(t, err, ErrDamaged)
}

func TestKeyFilesComeBackAndAreRefusedWhereOthersMayReadThem(t *testing.T) {
	dir := t.TempDir()
	k := generate(t, "r1")
	private, public := filepath.Join(dir, "private"), filepath.Join(dir, "public")
	require.NoError(t, k.Save(private))
	require.NoError(t, k.Public().Save(public))
	require.Error(t, k.Save(private), "a key is not overwritten")
	info, err := os.Stat(private)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	p, err := LoadPublic(public)
	require.NoError(t, err)
	assert.Equal(t, k.Public().Fingerprint(), p.Fingerprint())
	keys, err := LoadKeys(private)
	require.NoError(t, err)
	plain, err := keys.Open(sealed(t, p, "x"))
	require.NoError(t, err)
	assert.Equal(t, "x", string(plain))

	refused := func(err error, mend string) {
		t.Helper()
		require.ErrorContains(t, err, mend)
		secret, _ := k.ExportText()
		assert.NotContains(t, err.Error(), secret[len(privatePrefix)+3:])
		assert.NotContains(t, err.Error(), "\n")
	}
	_, err = LoadPublic(private)
	refused(err, "give the public one")
	_, err = LoadPrivate(public)
	require.Error(t, err) // 0644
	require.NoError(t, os.Chmod(public, 0o600))
	_, err = LoadPrivate(public)
	refused(err, "give the private one")
	require.NoError(t, os.Chmod(private, 0o644))
	_, err = LoadPrivate(private)
	refused(err, "chmod 0640")
	require.NoError(t, os.Chmod(public, 0o666))
	_, err = LoadPublic(public)
	refused(err, "chmod 0644")
	_, err = LoadPublic(dir)
	refused(err, "is no key file")
	_, err = LoadKeys(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAKeyThatWasMiscopiedIsRefused(t *testing.T) {
	k := generate(t, "r1")
	private, err := k.ExportText()
	require.NoError(t, err)
	for _, text := range []string{private, k.Public().Text()} {
		for i := range len(text) {
			c := byte('A')
			if text[i] == c {
				c = 'B'
			}
			changed := text[:i] + string(c) + text[i+1:]
			_, err := ParsePublic(changed)
			require.Error(t, err, changed)
			_, err = ParsePrivate(changed)
			require.Error(t, err, changed)
		}
	}
	_, err = Generate("Bad ID")
	require.Error(t, err)
}

// What is sealed must open with every later release.
func TestWhatWasSealedByV1StillOpens(t *testing.T) {
	k, err := ParsePrivate(testPrivate)
	require.NoError(t, err)
	assert.Equal(t, testPublic, k.Public().Text())
	for _, text := range []string{testSealed, testSealedLong} {
		plain, err := k.Open(text)
		require.NoError(t, err)
		assert.Equal(t, strings.Repeat("John Smith", len(plain)/10), string(plain))
		assert.NotEmpty(t, plain)
	}
}

const (
	testSealed     = "millrace-sealed:v1:r1:7EOs6V3S9N/hT3oG6gAd3HzNIKn6CD72YejnJTFKwwS1QJv2OABAL3/4Sbph+Q+yDxn6hazRD7dBh6s"
	testSealedLong = "millrace-sealed:v1:r1:2OXzx44oASTeb3FzIO8oPldf1Tps5SltAamVznSlnRVp5XOZ/i7Tiu6hIQKwcrpOOLgS0A6G0sceVOAOC8yfi97ruBoI2hgVNQuSOW3s"
)

func TestWhatUnpacksToTooMuchIsRefused(t *testing.T) {
	k := generate(t, "r1")
	e, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	_, kdf, aead := suite()
	forge := func(content []byte) string {
		enc, s, err := hpke.NewSender(k.Public().key, kdf, aead, info)
		require.NoError(t, err)
		c, err := s.Seal([]byte(Prefix+"r1:"), content)
		require.NoError(t, err)
		return Prefix + "r1:" + base64.RawStdEncoding.EncodeToString(append(enc, c...))
	}
	for _, content := range [][]byte{
		e.EncodeAll(make([]byte, MaxPlaintext+1), []byte{compressed}), {}, {2}, {compressed, 'x'},
	} {
		_, err = k.Open(forge(content))
		require.ErrorIs(t, err, ErrDamaged)
	}
	_, err = k.Public().Seal(nil, make([]byte, MaxPlaintext+1))
	require.Error(t, err)
}

func TestAPrivateKeyHasNoTextForm(t *testing.T) {
	k := generate(t, "r1")
	secret, err := k.ExportText()
	require.NoError(t, err)
	raw, err := k.hidden().Bytes()
	require.NoError(t, err)
	keys, err := NewKeys(k)
	require.NoError(t, err)
	var b bytes.Buffer
	type holder struct {
		Key   *PrivateKey
		value PrivateKey
		keys  *Keys
	}
	h := holder{k, *k, keys}
	for _, v := range []any{k, *k, h, &h, keys, *keys, []*PrivateKey{k}, map[string]PrivateKey{"k": *k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		j, err := json.Marshal(v)
		require.NoError(t, err)
		b.Write(j)
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&b), zap.InfoLevel)
		zap.New(core).Info("x", zap.Any("v", v), zap.Reflect("r", v))
	}
	out := strings.ToLower(b.String())
	assert.Contains(t, out, "private repair key r1")
	assert.NotContains(t, out, strings.ToLower(secret[len(privatePrefix)+3:][:20]))
	assert.NotContains(t, out, fmt.Sprintf("%x", raw[:6]))
	assert.NotContains(t, out, strings.Trim(fmt.Sprint(raw[:4]), "[]"))
}

func FuzzOpen(f *testing.F) {
	k := generate(f, "r1")
	own := sealed(f, k.Public(), "x")
	f.Add(own)
	f.Add(Prefix + "r1:")
	f.Add(Prefix)
	f.Fuzz(func(t *testing.T, text string) {
		plain, err := k.Open(text)
		if err == nil && text != own {
			t.Fatalf("%q opened as %q", text, plain)
		}
		_, _ = ParsePublic(text)
		_, _ = ParsePrivate(text)
	})
}

func BenchmarkSeal(b *testing.B) {
	k := generate(b, "r1").Public()
	plain := []byte(strings.Repeat(`{"name":"John Smith","age":42},`, 30))
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = k.Seal(dst[:0], plain)
	}
}

func BenchmarkOpen(b *testing.B) {
	k := generate(b, "r1")
	text := sealed(b, k.Public(), strings.Repeat(`{"name":"John Smith","age":42},`, 30))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = k.Open(text)
	}
}
