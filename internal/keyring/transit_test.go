// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	vaultToken      = "hvs.CAESIJsecrettoken"
	vaultCiphertext = "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zoCmHnSeDX9g=="
)

// vault answers as the Transit engine does, by its API's reference.
type vault struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc] // in place of its own; nil for that
	dir    string
}

func startVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{dir: t.TempDir()}
	v.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := v.answer.Load(); h != nil {
			(*h)(w, r)
			return
		}
		var body struct {
			Ciphertext string `json:"ciphertext"`
		}
		raw, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("X-Vault-Token") != vaultToken:
			vaultErrors(w, 403, "permission denied", "invalid token")
		case r.Method != http.MethodPost || r.URL.Path != "/v1/some/transit/decrypt/millrace":
			vaultErrors(w, 404)
		case json.Unmarshal(raw, &body) != nil || body.Ciphertext != vaultCiphertext:
			vaultErrors(w, 400, "invalid ciphertext: could not decode base64")
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"request_id": "x", "data": map[string]string{
				"plaintext": base64.StdEncoding.EncodeToString([]byte(secretText(1))),
			}})
		}
	}))
	v.Config.ErrorLog = log.New(io.Discard, "", 0)
	v.StartTLS()
	t.Cleanup(v.Close)
	v.write(t, "token", vaultToken+"\n")
	v.write(t, "ciphertext", vaultCiphertext+"\n")
	v.write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Certificate().Raw})))
	return v
}

func vaultErrors(w http.ResponseWriter, status int, errors ...string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": errors})
}

func (v *vault) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o600))
}

func (v *vault) config() KeyConfig {
	return KeyConfig{ID: "k1", Transit: &TransitConfig{
		Endpoint: v.URL + "/", Mount: "/some/transit/", Key: "millrace", CiphertextFile: filepath.Join(v.dir, "ciphertext"),
		TokenFile: filepath.Join(v.dir, "token"), CAFile: filepath.Join(v.dir, "ca.pem"),
	}}
}

func (v *vault) answers(h http.HandlerFunc) {
	if h == nil {
		v.answer.Store(nil)
		return
	}
	v.answer.Store(&h)
}

func secretless(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{vaultToken, "secrettoken", vaultCiphertext, secretText(1), base64.StdEncoding.EncodeToString([]byte(secretText(1)))} {
		assert.NotContains(t, text, secret)
	}
	assert.NotContains(t, text, "\n")
}

func TestATransitEngineDecryptsAKey(t *testing.T) {
	v := startVault(t)
	r := openFile(t, v.config(), Options{})
	assert.Equal(t, openFile(t, KeyConfig{ID: "k1", File: writeKey(t, 1)}, Options{}).CheckValues(), r.CheckValues())
	changes, err := r.Reload(t.Context())
	require.NoError(t, err)
	assert.Empty(t, changes)

	inline := v.config()
	inline.Transit.CiphertextFile, inline.Transit.Ciphertext = "", vaultCiphertext
	openFile(t, inline, Options{})
}

func TestOnlyARefusalForTheKeysSakeTakesItAway(t *testing.T) {
	v := startVault(t)
	r := openFile(t, v.config(), Options{})
	status := func(status int, errors ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { vaultErrors(w, status, errors...) }
	}
	f := func(name string, h http.HandlerFunc, withdrawn bool, want string) {
		t.Helper()
		v.answers(h)
		changes, err := r.Reload(t.Context())
		reason := ""
		if withdrawn {
			require.NoError(t, err, name)
			require.Equal(t, []ChangeKind{Withdrawn}, kinds(changes), name)
			reason = changes[0].Reason
			_, err = r.Current()
			require.ErrorIs(t, err, ErrNoKey)
			secretless(t, err.Error())
		} else {
			require.Error(t, err, name)
			require.Empty(t, changes, name)
			reason = err.Error()
			_, err = r.Current()
			require.NoError(t, err, name)
		}
		assert.Contains(t, reason, want, name)
		secretless(t, reason)
		v.answers(nil)
		_, err = r.Reload(t.Context())
		require.NoError(t, err)
		_, err = r.Current()
		require.NoError(t, err, "it is back")
	}
	f("the key is gone", status(400, "encryption key not found"), true, "check key and ciphertext")
	f("the policy is gone", status(403, "1 error occurred:\n\t* permission denied\n\n"), true, "let the token update some/transit/decrypt/millrace")
	f("the mount is gone", status(404, "no handler for route"), true, "check mount and key")
	f("the token ran out", status(403, "permission denied", "invalid token"), false, "put a valid token into")
	f("sealed", status(503, "Vault is sealed"), false, "unseal the server")
	f("broken", status(500, "internal error"), false, "answers 500")
	f("busy", status(429, "request path rate limit exceeded"), false, "answers 429")
	f("a standby that sends elsewhere", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://127.0.0.1:1/"+r.Header.Get("X-Vault-Token"), http.StatusTemporaryRedirect)
	}, false, "answers 307")
	f("no answer", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}, false, "asking for the key")
	f("something else", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, false, "answers without data.plaintext")
	f("no plaintext", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"data":{"plaintext":"*`+vaultToken+`"}}`)
	}, false,
		"answers without data.plaintext")
	f("a short key", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"data":{"plaintext":"c2hvcnQ="}}`)
	}, false, "openssl rand")
	f("endless", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat(" ", maxAnswerBytes+10))
	}, false, "it is no transit engine")
}

func TestWhatTheTransitSourceReadsIsChecked(t *testing.T) {
	v := startVault(t)
	r := openFile(t, v.config(), Options{})
	f := func(file, content, want string) {
		t.Helper()
		old, err := os.ReadFile(filepath.Join(v.dir, file))
		require.NoError(t, err)
		v.write(t, file, content)
		_, err = r.Reload(t.Context())
		require.ErrorContains(t, err, want)
		secretless(t, err.Error())
		_, err = Open(t.Context(), Config{v.config()}, Options{})
		require.ErrorContains(t, err, want)
		secretless(t, err.Error())
		v.write(t, file, string(old))
	}
	f("token", "another", "put a valid token into")
	f("token", "", "has no token")
	f("token", vaultToken+"\n"+vaultToken, "has no token")
	f("token", strings.Repeat("x", maxSourceBytes+1), "has more than 64 KiB")

	require.NoError(t, os.Remove(filepath.Join(v.dir, "ciphertext")))
	changes, err := r.Reload(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []ChangeKind{Withdrawn}, kinds(changes))

	v.write(t, "ca.pem", "no certificate")
	_, err = Open(t.Context(), Config{v.config()}, Options{})
	require.ErrorContains(t, err, "ca_file")
}

func TestAServerThatDoesNotAnswerIsNotWaitedForLong(t *testing.T) {
	v := startVault(t)
	release := make(chan struct{})
	defer close(release)
	v.answers(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	c := v.config()
	c.Transit.Timeout = time.Millisecond
	_, err := Open(t.Context(), Config{c}, Options{})
	require.ErrorContains(t, err, "asking for the key")
	secretless(t, err.Error())
}
