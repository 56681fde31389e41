// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAKeyIsTextOrBytes(t *testing.T) {
	secret := make([]byte, 33)
	for i := range secret {
		secret[i] = byte(200 + i)
	}
	f := func(raw string) {
		t.Helper()
		got, err := decodeSecret([]byte(raw))
		require.NoError(t, err)
		assert.Equal(t, secret, got)
	}
	f(string(secret))
	f(hex.EncodeToString(secret))
	f(strings.ToUpper(hex.EncodeToString(secret)) + "\n")
	f(base64.StdEncoding.EncodeToString(secret) + "\n")
	f("  " + base64.RawStdEncoding.EncodeToString(secret) + "\r\n")
	f(base64.URLEncoding.EncodeToString(secret))
	f(base64.RawURLEncoding.EncodeToString(secret))
}

func TestAWeakKeyIsRefusedWithoutSayingWhatItIs(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		_, err := decodeSecret([]byte(raw))
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "openssl rand -base64 32")
		if s := strings.TrimSpace(raw); len(s) > 3 {
			assert.NotContains(t, err.Error(), s)
			assert.NotContains(t, err.Error(), s[:4])
		}
		assert.NotContains(t, err.Error(), "\n")
	}
	f("", "has 0 bytes")
	f(" \n", "has 0 bytes")
	f("deadbeefdeadbeef", "has 8 bytes in hexadecimal text")
	f("c2hvcnQgYnV0IHNlY3JldA==", "has 16 bytes in base64 text")
	f("\x01\x02\x03\xff secret", "has 11 bytes and")
	f(strings.Repeat("\x00", 32), "one byte repeated")
	f(strings.Repeat("ab", 40), "one byte repeated")
	f("correct horse battery staple and some more words!", "neither base64 nor hexadecimal")
}

func TestAFileThatOthersMayReadIsRefused(t *testing.T) {
	path := writeKey(t, 1)
	f := func(mode os.FileMode, worldReadable bool, want string) {
		t.Helper()
		require.NoError(t, os.Chmod(path, mode))
		_, err := Open(t.Context(), Config{{ID: "k1", File: path, AllowWorldReadable: worldReadable}}, Options{})
		if want == "" {
			require.NoError(t, err)
			return
		}
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n")
	}
	f(0o400, false, "")
	f(0o440, false, "")
	f(0o640, false, "")
	f(0o644, false, "run chmod 0640")
	f(0o644, false, "defaultMode: 0440")
	f(0o644, false, "allow_world_readable")
	f(0o644, true, "")
	f(0o444, true, "")
	f(0o660, true, "may change it")
	f(0o646, true, "may change it")
}

func TestLinksAreFollowedAndOtherThanFilesRefused(t *testing.T) {
	// As Kubernetes mounts a secret: key -> ..data/key, ..data -> ..2026.
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "..2026"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..2026", "key"), []byte(secretText(1)), 0o440))
	require.NoError(t, os.Symlink("..2026", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/key", filepath.Join(dir, "key")))
	openFile(t, KeyConfig{ID: "k1", File: filepath.Join(dir, "key")}, Options{})

	f := func(path, want string) {
		t.Helper()
		_, err := Open(t.Context(), Config{{ID: "k1", File: path}}, Options{})
		require.ErrorContains(t, err, want)
	}
	f(dir, "is no file")
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	f(fifo, "is no file")
	big := filepath.Join(dir, "big")
	require.NoError(t, os.WriteFile(big, make([]byte, maxSourceBytes+1), 0o600))
	f(big, "has more than")
	f(filepath.Join(dir, "none"), "put the file back")
}

func TestAKeyComesFromTheEnvironment(t *testing.T) {
	t.Setenv("MILLRACE_TEST_KEY", secretText(1))
	r := openFile(t, KeyConfig{ID: "k1", Env: "MILLRACE_TEST_KEY"}, Options{})
	file := openFile(t, KeyConfig{ID: "k1", File: writeKey(t, 1)}, Options{})
	assert.Equal(t, file.CheckValues(), r.CheckValues())
	require.NoError(t, os.Unsetenv("MILLRACE_TEST_KEY"))
	changes, err := r.Reload(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []ChangeKind{Withdrawn}, kinds(changes))
	_, err = Open(t.Context(), Config{{ID: "k1", Env: "MILLRACE_TEST_KEY"}}, Options{})
	require.ErrorContains(t, err, "MILLRACE_TEST_KEY")
}

func TestAConfigurationErrorNamesFieldValueAndMend(t *testing.T) {
	good := TransitConfig{Endpoint: "https://vault.example:8200", Key: "k", Ciphertext: "vault:v1:x", TokenFile: "/t"}
	transit := func(change func(*TransitConfig)) Config {
		c := good
		change(&c)
		return Config{{ID: "k1", Transit: &c}}
	}
	require.NoError(t, transit(func(*TransitConfig) {}).Validate())
	f := func(c Config, want ...string) {
		t.Helper()
		err := c.Validate()
		require.Error(t, err)
		for _, w := range want {
			require.ErrorContains(t, err, w)
		}
		assert.NotContains(t, err.Error(), "\n")
		_, err = Open(t.Context(), c, Options{})
		require.Error(t, err)
	}
	f(nil, "keys: [] is empty", "give at least one")
	f(Config{{ID: "K1", File: "a"}}, `keys[0].id: "K1" must be`, "lower-case")
	f(Config{{ID: "", File: "a"}}, `keys[0].id: ""`)
	f(Config{{ID: "12345678901234567", File: "a"}}, "keys[0].id:")
	f(Config{{ID: "k1", File: "a"}, {ID: "k1", File: "b"}}, `keys[1].id: "k1" is keys[0]'s too`)
	f(Config{{ID: "k1"}}, "keys[0].file: key k1 has no source")
	f(Config{{ID: "k1", File: "a", Env: "B"}}, "keys[0].env: key k1 has a source already", "file and env")
	f(Config{{ID: "k1", Env: "B", Generate: true}}, "keys[0].generate: true is for file only")
	f(Config{{ID: "k1", Env: "B", AllowWorldReadable: true}}, "keys[0].allow_world_readable: true is for file only")
	f(Config{{ID: "k1", Env: "B=c2VjcmV0"}}, `keys[0].env: "B=…"`)
	f(transit(func(c *TransitConfig) { c.Endpoint = "vault:8200" }), "keys[0].transit.endpoint:")
	f(transit(func(c *TransitConfig) { c.Endpoint = "http://vault.example:8200" }), "insecure: true")
	f(transit(func(c *TransitConfig) { c.Endpoint = "https://u:p@vault.example" }), "transit.endpoint")
	f(transit(func(c *TransitConfig) { c.Key = "" }), "transit.key")
	f(transit(func(c *TransitConfig) { c.Key = "../x" }), "transit.key")
	f(transit(func(c *TransitConfig) { c.Mount = "a?b" }), "transit.mount")
	f(transit(func(c *TransitConfig) { c.Ciphertext = "" }), "transit.ciphertext")
	f(transit(func(c *TransitConfig) { c.CiphertextFile = "/c" }), "transit.ciphertext")
	f(transit(func(c *TransitConfig) { c.TokenFile = "" }), "transit.token_file")
	f(transit(func(c *TransitConfig) { c.Timeout = -time.Second }), "transit.timeout: -1s")
	require.NoError(t, transit(func(c *TransitConfig) { c.Endpoint = "http://127.0.0.1:8200" }).Validate())
	require.NoError(t, transit(func(c *TransitConfig) { c.Endpoint, c.Insecure = "http://vault.example:8200", true }).Validate())
}

func FuzzDecodeSecret(f *testing.F) {
	f.Add([]byte(secretText(1)))
	f.Add([]byte("deadbeef"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		secret, err := decodeSecret(raw)
		if err == nil && len(secret) < minSecretBytes {
			t.Fatal("a short key passed")
		}
	})
}
