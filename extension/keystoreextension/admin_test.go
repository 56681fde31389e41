// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/subjectkey"
)

const (
	rootToken   = "root-token-0123456789abcdef0123456789"
	supportText = "support-token-0123456789abcdef012345"
)

// startAdmin begins an extension with an endpoint and the keys of persons.
func startAdmin(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	c := configured(t, 1)
	c.Subjects.Enabled = true
	file := writeFile(t, filepath.Join(t.TempDir(), "tokens"),
		"# who may\nroot "+rootToken+"\n\nsupport  "+supportText+" detokenize,pseudonym\n")
	c.Admin = &AdminConfig{Endpoint: "127.0.0.1:0", TokenFile: file}
	for _, f := range change {
		f(c)
	}
	return start(t, c, memStore(t, vfs.NewMem()))
}

// ask sends a request; the body is text or something for JSON.
func (w *world) ask(method, path, token string, body any, header ...string) (status int, answer map[string]any) {
	w.t.Helper()
	text, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		require.NoError(w.t, err)
		text = string(b)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.admin.listener.Addr().String()+path, strings.NewReader(text))
	require.NoError(w.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(w.t, "no-store", response.Header.Get("Cache-Control"))
	b, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(b, &answer), "%s", b)
	return response.StatusCode, answer
}

// used returns the audit records but for those of the start.
func (w *world) used() []audit.Record {
	w.t.Helper()
	return w.records()[len(w.cfg.Keys):]
}

type fields = map[string]any

func TestWhoMayReadsBackWhatTokensWereMadeOf(t *testing.T) {
	w := startAdmin(t)
	token := tokenOf(t, w, masking.Token, "shop", "ann@example.com", "")
	other := tokenOf(t, w, masking.Token, "bank", "bob@example.com", "")
	erasable := tokenOf(t, w, masking.Erasable, "shop", "cat@example.com", "u-3")
	pseudonym := tokenOf(t, w, masking.Pseudonym, "shop", "dan@example.com", "")
	handle := w.Subjects().Handle(subjectkey.Subject{Tenant: "shop", ID: "u-3"})
	status, answer := w.ask("POST", "/v1/detokenize", supportText, fields{
		"tenant": "shop", "purpose": "ticket 7",
		"values": []string{token, erasable, "write to " + token + " or " + erasable + ".", other, pseudonym, "hello"},
	}, "X-Millrace-Actor", "eve")
	require.Equal(t, 200, status)
	require.Equal(t, []any{
		fields{"value": "ann@example.com"}, fields{"value": "cat@example.com"}, fields{"value": "write to ann@example.com or cat@example.com."},
		fields{"error": "forged"}, fields{"error": "irreversible"}, fields{"error": "not_masked"},
	}, answer["values"])
	base := audit.Record{Action: audit.Detokenized, Actor: "support/eve", Purpose: "ticket 7", Tenant: "shop", Rule: "admin.detokenize", Outcome: "ok"}
	with := func(change func(r *audit.Record)) audit.Record {
		r := base
		change(&r)
		return r
	}
	refused := func(reason string) audit.Record {
		return with(func(r *audit.Record) { r.Action, r.Outcome, r.Count = audit.Refused, reason, 1 })
	}
	require.Equal(t, []audit.Record{
		with(func(r *audit.Record) { r.KeyID, r.Masking, r.Count = "k1", "token", 2 }),
		with(func(r *audit.Record) { r.Subject, r.Masking, r.Count = handle.String(), "erasable", 2 }),
		refused("forged"), refused("irreversible"), refused("not_masked"),
	}, w.used())
	require.EqualValues(t, 4, w.metric("key_store_detokenized"))
	require.EqualValues(t, 1, w.metric("key_store_refused", "operation=detokenize", "reason=forged"))

	_, err := w.Subjects().Erase(t.Context(), subjectkey.Subject{Tenant: "shop", ID: "u-3"})
	require.NoError(t, err)
	_, answer = w.ask("POST", "/v1/detokenize", rootToken, fields{"tenant": "shop", "purpose": "p", "values": []string{erasable, "a " + erasable}})
	require.Equal(t, []any{fields{"error": "erased"}, fields{"error": "erased"}}, answer["values"])
	for _, secret := range []string{"@example.com", rootToken, supportText, token, secretOf(1)} {
		require.NotContains(t, w.said(), secret)
	}
}

func TestErasingIsRecordedBeforeAndAfter(t *testing.T) {
	w := startAdmin(t)
	erasable := tokenOf(t, w, masking.Erasable, "shop", "cat@example.com", "u-3")
	require.NotEmpty(t, erasable)
	handle := w.Subjects().Handle(subjectkey.Subject{Tenant: "shop", ID: "u-3"}).String()
	question := fields{"tenant": "shop", "subject": "u-3", "purpose": "request 12"}
	status, answer := w.ask("POST", "/v1/erase", rootToken, question)
	require.Equal(t, 200, status)
	at := time.Unix(startTime, 0).UTC().Format(time.RFC3339)
	require.Equal(t, fields{"handle": handle, "at": at, "had_key": true}, answer)
	w.clock.Add(60)
	_, answer = w.ask("POST", "/v1/erase", rootToken, question)
	require.Equal(t, fields{"handle": handle, "at": at, "had_key": true, "already": true}, answer)
	var got []string
	for _, r := range w.used() {
		require.Equal(t, audit.Erased, r.Action)
		require.Equal(t, handle, r.Subject)
		require.Equal(t, "request 12", r.Purpose)
		require.Equal(t, "root", r.Actor)
		got = append(got, r.Outcome)
	}
	require.Equal(t, []string{"begun", "done", "begun", "already"}, got)

	for i := range 2 {
		w.ask("POST", "/v1/erase", rootToken, fields{"subject": fmt.Sprint(i), "purpose": "p"})
	}
	// Of a person whose ID was masked itself nobody knows the ID who has the tables only.
	erasable = tokenOf(t, w, masking.Erasable, "shop", "dog@example.com", "dog@example.com")
	handle = w.Subjects().Handle(subjectkey.Subject{Tenant: "shop", ID: "dog@example.com"}).String()
	_, answer = w.ask("POST", "/v1/erase", rootToken, fields{"subject": erasable, "purpose": "p"})
	require.Equal(t, handle, answer["handle"])
	require.Equal(t, true, answer["had_key"])
	require.True(t, w.Subjects().Erased(subjectkey.Subject{Tenant: "shop", ID: "dog@example.com"}))
	_, answer = w.ask("GET", "/v1/erasures?limit=3", rootToken, "")
	list := answer["erasures"].([]any)
	require.Len(t, list, 3)
	_, answer = w.ask("GET", "/v1/erasures?limit=3&after="+answer["next"].(string), rootToken, "")
	require.Len(t, answer["erasures"], 1)
	require.NotContains(t, answer, "next")
	status, _ = w.ask("GET", "/v1/erasures?limit=0", rootToken, "")
	require.Equal(t, 400, status)
	status, _ = w.ask("GET", "/v1/erasures?after=x", rootToken, "")
	require.Equal(t, 400, status)
	require.NotContains(t, w.said(), "u-3")
}

func TestAPersonIsFoundUnderAllKeys(t *testing.T) {
	w := startAdmin(t, func(c *Config) {
		second := configured(t, 2)
		c.Keys = append(c.Keys, second.Keys[1])
	})
	old := tokenOf(t, w, masking.Pseudonym, "shop", "ann@example.com", "")
	w.clock.Add(100)
	now := tokenOf(t, w, masking.Pseudonym, "shop", "ann@example.com", "")
	require.NotEqual(t, old, now)
	status, answer := w.ask("POST", "/v1/pseudonym", supportText, fields{"class": "email", "value": "Ann@Example.com", "purpose": "request 12"})
	require.Equal(t, 200, status)
	var texts []any
	for _, p := range answer["pseudonyms"].([]any) {
		require.Len(t, p.(fields)["uuid"], 36)
		texts = append(texts, p.(fields)["text"])
	}
	require.ElementsMatch(t, []any{old, now}, texts)
	_, answer = w.ask("POST", "/v1/pseudonym", supportText, fields{"class": "email", "value": "ann@example.com", "tenant": "shop", "purpose": "request 12"})
	require.Len(t, answer["pseudonyms"], 4)
	require.Equal(t, audit.Record{
		Action: audit.LookedUp, Actor: "support", Purpose: "request 12", Rule: "admin.pseudonym", Class: "email", Masking: "pseudonym", Count: 1, Outcome: "ok",
	}, w.used()[0])
}

func TestKeysAreListedWithoutBeingGiven(t *testing.T) {
	w := startAdmin(t)
	require.NoError(t, w.Subjects().Keys(t.Context(), []subjectkey.Subject{{ID: "a"}}, make([]*subjectkey.Key, 1)))
	_, answer := w.ask("GET", "/v1/keys", supportText, "")
	require.Equal(t, fields{
		"keys":    []any{fields{"id": "k1", "current": true, "check_value": w.ring.CheckValues()["k1"], "subject_keys": 2.0}},
		"missing": fields{},
	}, answer)
}

func TestWhatIsNotAllowedIsRefusedAndRecorded(t *testing.T) {
	w := startAdmin(t)
	read := func(values ...string) fields {
		return fields{"tenant": "t", "purpose": "p", "values": values}
	}
	f := func(status int, reason, method, path, token string, body any, header ...string) {
		t.Helper()
		before := len(w.used())
		got, answer := w.ask(method, path, token, body, header...)
		require.Equal(t, status, got)
		require.Equal(t, reason, answer["error"])
		used := w.used()
		require.Len(t, used, before+1)
		require.Equal(t, audit.Refused, used[before].Action)
		require.Equal(t, reason, used[before].Outcome)
	}
	f(401, "unauthorized", "POST", "/v1/detokenize", "", read("x"))
	w.clock.Add(60)
	f(401, "unauthorized", "POST", "/v1/detokenize", rootToken[:len(rootToken)-1], read("x"))
	w.clock.Add(60)
	f(401, "unauthorized", "GET", "/v1/keys", "root", "")
	f(403, "forbidden", "POST", "/v1/erase", supportText, fields{"subject": "u", "purpose": "p"})
	f(403, "forbidden", "GET", "/v1/erasures", supportText, "")
	f(404, "invalid", "GET", "/v1/detokenize", rootToken, "")
	f(404, "invalid", "POST", "/", rootToken, "")
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, fields{"values": []string{"x"}})
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, fields{"values": []string{"x"}, "purpose": " "})
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, fields{"values": []string{"x"}, "purpose": "a\x00b"})
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, fields{"values": []string{"x"}, "purpose": strings.Repeat("x", maxPurpose+1)})
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, fields{"values": []string{"x"}, "purpose": "p", "tenant": strings.Repeat("x", maxTenant+1)})
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, read())
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, read(make([]string, maxValues+1)...))
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, `{"purpose": "p", "values": "x"}`)
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, `{"purpose": "p", "values": ["x"], "tenants": ""}`)
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, `{"purpose": "p", "values": ["x"]} {}`)
	f(400, "invalid", "POST", "/v1/detokenize", rootToken, read("x"), "X-Millrace-Actor", strings.Repeat("x", maxActor+1))
	f(413, "too_large", "POST", "/v1/detokenize", rootToken, read(strings.Repeat("x", maxBody)))
	f(400, "invalid", "POST", "/v1/erase", rootToken, fields{"purpose": "p"})
	f(400, "invalid", "POST", "/v1/pseudonym", rootToken, fields{"purpose": "p", "value": "x"})
	f(400, "invalid", "POST", "/v1/pseudonym", rootToken, fields{"purpose": "p", "class": "email"})
	require.EqualValues(t, 3, w.metric("key_store_refused", "reason=unauthorized"))
}

func TestStrangersCannotFillTheAuditLog(t *testing.T) {
	w := startAdmin(t)
	for range 50 {
		w.ask("GET", "/v1/keys", "nobody", "")
	}
	require.Len(t, w.used(), 1)
	w.clock.Add(int64(strangersPause / time.Second))
	w.ask("GET", "/v1/keys", "nobody", "")
	require.Len(t, w.used(), 2)
	require.EqualValues(t, 1, w.used()[0].Count)
	require.EqualValues(t, 50, w.used()[1].Count)
	require.EqualValues(t, 51, w.metric("key_store_refused", "operation=keys", "reason=unauthorized"))
}

func TestNothingIsToldOrDoneThatCannotBeRecorded(t *testing.T) {
	w := startAdmin(t)
	token := tokenOf(t, w, masking.Token, "", "ann@example.com", "")
	require.NoError(t, w.log.Close()) // as a disk that is full
	for path, body := range map[string]fields{
		"/v1/detokenize": {"purpose": "p", "values": []string{token}},
		"/v1/erase":      {"purpose": "p", "subject": "u"},
		"/v1/pseudonym":  {"purpose": "p", "class": "email", "value": "ann@example.com"},
	} {
		status, answer := w.ask("POST", path, rootToken, body)
		require.Equal(t, 503, status)
		require.Equal(t, "audit", answer["error"])
		require.Len(t, answer, 2)
	}
	require.False(t, w.Subjects().Erased(subjectkey.Subject{ID: "u"}))
	status, answer := w.ask("POST", "/v1/detokenize", "nobody", "")
	require.Equal(t, 503, status)
	require.Equal(t, "audit", answer["error"])
	require.Positive(t, w.metric("key_store_audit_failures"))
	require.NotContains(t, w.said(), "ann@")
}

func TestTokensAreReadAnewAndBadOnesChangeNothing(t *testing.T) {
	w := startAdmin(t)
	status, _ := w.ask("GET", "/v1/keys", rootToken, "")
	require.Equal(t, 200, status)
	writeFile(t, w.cfg.Admin.TokenFile, "short x\n")
	w.look()
	state, text := w.host.status()
	require.Equal(t, componentstatus.StatusRecoverableError, state)
	require.Contains(t, text, "line 1")
	status, _ = w.ask("GET", "/v1/keys", rootToken, "")
	require.Equal(t, 200, status)
	writeFile(t, w.cfg.Admin.TokenFile, "other "+strings.Repeat("y", 40)+"\n")
	w.look()
	state, _ = w.host.status()
	require.Equal(t, componentstatus.StatusOK, state)
	status, _ = w.ask("GET", "/v1/keys", rootToken, "")
	require.Equal(t, 401, status)
}

func TestABadTokenFileIsRefusedWithoutSayingIt(t *testing.T) {
	dir := t.TempDir()
	f := func(text, want string) {
		t.Helper()
		_, err := readTokens(writeFile(t, filepath.Join(dir, "tokens"), text))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
	}
	f("", "has no token")
	f("# nothing\n", "has no token")
	f("onlysecret0123456789012345678901234567890", "line 1: it must be NAME TOKEN")
	f("a secret", "line 1: the token has 6 characters and needs at least 32")
	f("a/b secret0123456789012345678901234567890", "the name must be")
	f("a secret0123456789012345678901234567890 read", "operations must be some of detokenize,erase,pseudonym")
	f("a secret0123456789012345678901234567890\nb secret0123456789012345678901234567890", "line 2: name or token is that of an earlier line")
	f("a secret0123456789012345678901234567890 erase detokenize", "line 1: it must be")
}

func TestTooManyRequestsAtOnceAreTurnedAway(t *testing.T) {
	w := startAdmin(t)
	for range maxAtOnce {
		w.admin.slots <- struct{}{}
	}
	status, answer := w.ask("GET", "/v1/keys", rootToken, "")
	require.Equal(t, 429, status)
	require.Equal(t, "busy", answer["error"])
	for range maxAtOnce {
		<-w.admin.slots
	}
	status, _ = w.ask("GET", "/v1/keys", rootToken, "")
	require.Equal(t, 200, status)
}

func TestWithoutKeysOfPersonsNobodyIsErased(t *testing.T) {
	w := startAdmin(t, func(c *Config) { c.Subjects.Enabled = false })
	status, _ := w.ask("POST", "/v1/erase", rootToken, fields{"subject": "u", "purpose": "p"})
	require.Equal(t, 404, status)
	status, _ = w.ask("GET", "/v1/erasures", rootToken, "")
	require.Equal(t, 404, status)
	_, answer := w.ask("POST", "/v1/detokenize", rootToken, fields{"purpose": "p", "values": []string{"er_" + strings.Repeat("a", 26) + "_" + strings.Repeat("a", 47)}})
	require.Equal(t, []any{fields{"error": "unknown_key"}}, answer["values"])
}

func FuzzReadTokens(f *testing.F) {
	f.Add([]byte("a " + rootToken + " erase\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := readTokens(writeFile(t, filepath.Join(t.TempDir(), "tokens"), string(text)))
		if err == nil {
			require.NotEmpty(t, list)
			require.Nil(t, findToken(list, ""))
		}
	})
}

func TestTheEndpointSpeaksTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	block := func(name, kind string, b []byte) string {
		return writeFile(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})))
	}
	w := startAdmin(t, func(c *Config) {
		c.Admin.TLS = &configtls.ServerConfig{Config: configtls.Config{CertFile: block("c", "CERTIFICATE", der), KeyFile: block("k", "PRIVATE KEY", private)}}
	})
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.admin.listener.Addr().String()+"/v1/keys", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+rootToken)
	response, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 200, response.StatusCode)
}
