// SPDX-License-Identifier: Apache-2.0

package privacycommand

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/seal"
)

var update = flag.Bool("update", false, "write the golden files anew")

// result is what a command did.
type result struct {
	code     int
	out, err string
}

func call(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := Run(context.Background(), args, strings.NewReader(in), &out, &err)
	return result{code, out.String(), err.String()}
}

// works calls a command that must succeed, and returns what it printed.
func works(t *testing.T, in string, args ...string) string {
	t.Helper()
	r := call(t, in, args...)
	require.Equal(t, result{done, r.out, ""}, r)
	return r.out
}

func TestHelpSaysWhatEachCommandTakes(t *testing.T) {
	var all strings.Builder
	for _, args := range [][]string{
		{"keys", "--help"}, {"keys", "generate", "--help"}, {"keys", "check", "-h"}, {"keys", "repair-pair", "--help"}, {"keys", "token", "--help"},
		{"detokenize", "--help"}, {"erase", "--help"}, {"pseudonym", "--help"}, {"audit", "--help"}, {"audit", "verify", "--help"}, {"unseal", "--help"},
	} {
		fmt.Fprintf(&all, "$ millrace %s\n%s\n", strings.Join(args, " "), works(t, "", args...))
	}
	path := filepath.Join("testdata", "help.txt")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(all.String()), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String(), "if this is meant, run the test with -update")
}

func TestOnlyOurOwnCommandsAreKnown(t *testing.T) {
	for _, name := range []string{"keys", "detokenize", "erase", "pseudonym", "audit", "unseal"} {
		require.True(t, Known(name))
	}
	for _, name := range []string{"", "--config", "validate", "components", "help"} { // the collector's
		require.False(t, Known(name))
	}
}

func TestWhoMisusesACommandIsToldHow(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		r := call(t, "", args...)
		require.Equal(t, misused, r.code)
		require.Empty(t, r.out)
		require.Contains(t, r.err, want)
		require.Contains(t, r.err, "--help` for what it takes.\n")
	}
	f("which one?", "keys")
	f(`there is no "make"`, "keys", "make")
	f("name one file", "keys", "generate")
	f("name at least one file", "keys", "check")
	f("give an ID and a directory", "keys", "repair-pair", "r1")
	f("give one name", "keys", "token")
	f(`"a b" must be`, "keys", "token", "a b")
	f("--allow read: must be some of", "keys", "token", "--allow", "read", "a")
	f("flag provided but not defined: -what", "detokenize", "--what")
	f("--purpose is needed", "detokenize", "x")
	f("either --admin, or --key", "detokenize", "--purpose", "p", "x")
	f("either --admin, or --key", "detokenize", "--purpose", "p", "--admin", "http://127.0.0.1:1", "--key", "k1=f", "x")
	f("--audit is needed with --key", "detokenize", "--purpose", "p", "--key", "k1=f", "x")
	f("--audit is for --key", "detokenize", "--purpose", "p", "--admin", "http://127.0.0.1:1", "--audit", "d", "x")
	f("is no address", "detokenize", "--purpose", "p", "--admin", "127.0.0.1:1", "x")
	f("--token-file is needed", "detokenize", "--purpose", "p", "--admin", "http://127.0.0.1:1", "x")
	f("--key must be ID=FILE", "detokenize", "--purpose", "p", "--audit", "d", "--key", "file", "x")
	f("--purpose is needed", "erase", "u")
	f("name at least one subject", "erase", "--purpose", "p")
	f("--class is needed", "pseudonym", "--purpose", "p", "x")
	f("give one value", "pseudonym", "--purpose", "p", "--class", "email")
	f("--audit is needed", "pseudonym", "--purpose", "p", "--class", "email", "--key", "k1=f", "x")
	f("name the log's directory", "audit", "verify")
	f("--head must be", "audit", "verify", "--head", "x", "d")
	f("--key is needed", "unseal")
	f("--audit and --purpose go together", "unseal", "--key", "f", "--audit", "d")
	f("from the standard input", "unseal", "--key", "f", "x")
}

func TestKeysAndTokensAreMadeAndNeverWrittenOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k1.key")
	out := works(t, "", "keys", "generate", path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	check, _, _ := strings.Cut(works(t, "", "keys", "check", path), " ")
	require.Len(t, check, 16)
	require.Contains(t, out, "check value "+check)
	key, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, out, string(key[:20]))
	r := call(t, "", "keys", "generate", path)
	require.Equal(t, failed, r.code)
	require.Contains(t, r.err, "is there already")
	require.Equal(t, failed, call(t, "", "keys", "check", filepath.Join(dir, "none")).code)

	works(t, "", "keys", "repair-pair", "r1", dir)
	_, err = seal.LoadPublic(filepath.Join(dir, "r1.repair.pub"))
	require.NoError(t, err)
	_, err = seal.LoadPrivate(filepath.Join(dir, "r1.repair.key"))
	require.NoError(t, err)
	require.Equal(t, failed, call(t, "", "keys", "repair-pair", "r1", dir).code)
	require.NoError(t, os.Remove(filepath.Join(dir, "r1.repair.key")))
	require.Equal(t, failed, call(t, "", "keys", "repair-pair", "r1", dir).code)
	_, err = os.Stat(filepath.Join(dir, "r1.repair.key"))
	require.ErrorIs(t, err, os.ErrNotExist, "half a pair is none")

	one, two := works(t, "", "keys", "token", "ann"), works(t, "", "keys", "token", "--allow", "detokenize,erase", "ann")
	require.Regexp(t, `^ann [A-Za-z0-9_-]{43}\n$`, one)
	require.Regexp(t, `^ann [A-Za-z0-9_-]{43} detokenize,erase\n$`, two)
	require.NotEqual(t, one[:20], two[:20])
}

// world is keys and what they made.
type world struct {
	dir, key, audit string
	ring            *keyring.KeyRing
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	w.key, w.audit = filepath.Join(w.dir, "k1.key"), filepath.Join(w.dir, "audit")
	works(t, "", "keys", "generate", w.key)
	var err error
	w.ring, err = keyring.Open(t.Context(), keyring.Config{{ID: "k1", File: w.key}}, keyring.Options{})
	require.NoError(t, err)
	return w
}

func (w *world) mask(t *testing.T, kind masking.Kind, tenant, value string) string {
	t.Helper()
	a, err := masking.New(masking.Spec{Action: kind}, w.ring)
	require.NoError(t, err)
	v, err := a.Mask(masking.Value{Text: value}, &masking.Target{Tenant: tenant, Class: "email"})
	require.NoError(t, err)
	return v.Text
}

// records reads the audit log of a command.
func (w *world) records(t *testing.T) (list []audit.Record) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.audit, "*.jsonl"))
	require.NoError(t, err)
	for _, p := range paths {
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		for line := range bytes.Lines(b) {
			var r audit.Record
			require.NoError(t, json.Unmarshal(line, &r))
			require.False(t, r.Time.IsZero())
			list = append(list, r)
		}
	}
	return list
}

func TestTokensAreReadBackWithTheKeyAndRecordedFirst(t *testing.T) {
	w := newWorld(t)
	token := w.mask(t, masking.Token, "shop", "ann@example.com")
	odd := w.mask(t, masking.Token, "shop", "\x1b[2Jred\n")
	flags := []string{"detokenize", "--key", "k1=" + w.key, "--audit", w.audit, "--purpose", "ticket 7", "--tenant", "shop", "--actor", "eve"}
	require.Equal(t, "ann@example.com\nmail to ann@example.com!\n\"\\x1b[2Jred\\n\"\n", works(t, "", append(flags, token, "mail to "+token+"!", odd)...))
	records := w.records(t)
	require.Len(t, records, 1)
	records[0].Time = records[0].Time.Truncate(0)
	require.Equal(t, audit.Record{
		Time: records[0].Time, Action: audit.Detokenized, Component: "millrace detokenize", Actor: "eve", Purpose: "ticket 7", Tenant: "shop", KeyID: "k1",
		Masking: "token", Count: 3, Outcome: "ok",
	}, records[0])

	// Lines of a stream, most of which have no token, and more than are read at once.
	var in, want strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&in, "%d,%s\r\nnothing\n", i, token)
		fmt.Fprintf(&want, "%d,ann@example.com\nnothing\n", i)
	}
	require.Equal(t, want.String(), works(t, in.String(), flags...))

	r := call(t, "", append(flags, token[:len(token)-1]+"x", w.mask(t, masking.Pseudonym, "", "ann@example.com"), "hello", token)...)
	require.Equal(t, failed, r.code)
	require.Equal(t, "ann@example.com", strings.Split(r.out, "\n")[3])
	require.Contains(t, r.err, "value 2: it is a pseudonym")
	require.Contains(t, r.err, "value 3: there is no token in it")
	require.Contains(t, r.err, "3 of 4 could not be read")
	require.JSONEq(t, `{"value":"ann@example.com"}`, works(t, "", append(flags, "--json", token)...))
	r = call(t, "", append(flags, "--json", "hello")...)
	require.JSONEq(t, `{"error":"not_masked"}`, r.out)

	// Another has the log: nothing is told.
	log, err := audit.Open(w.audit, audit.Options{})
	require.NoError(t, err)
	r = call(t, "", append(flags, token)...)
	require.NoError(t, log.Close())
	require.Equal(t, failed, r.code)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "another process writes the audit log")
	require.NotContains(t, r.err, "ann@")
}

func TestAPersonsPseudonymsAreFoundWithTheKey(t *testing.T) {
	w := newWorld(t)
	out := works(t, "", "pseudonym", "--key", "k1="+w.key, "--audit", w.audit, "--purpose", "request 1", "--class", "email", "--tenant", "shop", "Ann@Example.com")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], "k1  shared  "+w.mask(t, masking.Pseudonym, "", "ann@example.com"))
	require.Contains(t, lines[1], "k1  per_tenant  pn_k1_")
	records := w.records(t)
	require.Len(t, records, 1)
	require.Equal(t, audit.LookedUp, records[0].Action)
}

func TestVerifyTellsAChangedLog(t *testing.T) {
	w := newWorld(t)
	require.Contains(t, call(t, "", "audit", "verify", w.audit).err, "no such file")
	log, err := audit.Open(w.audit, audit.Options{})
	require.NoError(t, err)
	require.Equal(t, "There is no record in "+w.audit+".\n", works(t, "", "audit", "verify", w.audit))
	require.NoError(t, log.Write(audit.Record{Action: audit.Erased, Actor: "ann"}, audit.Record{Action: audit.Erased, Actor: "bob"}))
	out := works(t, "", "audit", "verify", w.audit) // while it is in use
	require.Contains(t, out, "2 records in 1 files")
	head := strings.TrimSpace(out[strings.Index(out, "head ")+5:])
	works(t, "", "audit", "verify", "--head", head, w.audit)
	require.NoError(t, log.Close())
	paths, err := filepath.Glob(filepath.Join(w.audit, "*.jsonl"))
	require.NoError(t, err)
	b, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(paths[0], bytes.Replace(b, []byte("ann"), []byte("eve"), 1), 0o600))
	r := call(t, "", "audit", "verify", w.audit)
	require.Equal(t, failed, r.code)
	require.Contains(t, r.err, ":2: the line does not follow the one before it")
	require.NoError(t, os.WriteFile(paths[0], b[:bytes.IndexByte(b, '\n')+1], 0o600))
	works(t, "", "audit", "verify", w.audit)
	r = call(t, "", "audit", "verify", "--head", head, w.audit)
	require.Equal(t, failed, r.code)
	require.Contains(t, r.err, "the log was cut off")
}

func TestSealedEventsAreOpened(t *testing.T) {
	w := newWorld(t)
	works(t, "", "keys", "repair-pair", "r1", w.dir)
	works(t, "", "keys", "repair-pair", "r2", w.dir)
	one, two := filepath.Join(w.dir, "r1.repair.key"), filepath.Join(w.dir, "r2.repair.key")
	sealed := func(id, text string) string {
		k, err := seal.LoadPublic(filepath.Join(w.dir, id+".repair.pub"))
		require.NoError(t, err)
		b, err := k.Seal(nil, []byte(text))
		require.NoError(t, err)
		return string(b)
	}
	event := `{"event": "a",  "properties": {"big": 12345678901234567890, "html": "<b>"}}`
	compact := `{"event":"a","properties":{"big":12345678901234567890,"html":"<b>"}}`
	row := func(raw string) string {
		b, err := json.Marshal(map[string]any{"n": json.Number("1.50"), "raw": raw, "more": []any{raw}})
		require.NoError(t, err)
		return string(b)
	}
	in := sealed("r1", event) + "\n" + row(sealed("r2", event)) + "\n" + row("clear") + "\n" + sealed("r1", "no JSON\n") + "\n"
	require.Equal(t, compact+"\n"+`{"more":[`+compact+`],"n":1.50,"raw":`+compact+`}`+"\n"+row("clear")+"\n"+`"no JSON\n"`+"\n",
		works(t, in, "unseal", "--key", one, "--key", two, "--audit", w.audit, "--purpose", "repair 3"))
	counts := map[string]int64{}
	for _, r := range w.records(t) {
		require.Equal(t, audit.Unsealed, r.Action)
		require.Equal(t, "repair 3", r.Purpose)
		counts[r.KeyID] = r.Count
	}
	require.Equal(t, map[string]int64{"r1": 2, "r2": 2}, counts)

	r := call(t, in+"nonsense\n"+sealed("r1", "x")[:60]+"\n", "unseal", "--key", one)
	require.Equal(t, failed, r.code)
	lines := strings.Split(r.out, "\n")
	require.Equal(t, compact, lines[0])
	require.Contains(t, lines[1], seal.Prefix+"r2:", "what cannot be opened stays")
	require.Contains(t, r.err, "line 2: it is sealed to key r2, which was not given")
	require.Contains(t, r.err, "line 5: it is neither")
	require.Contains(t, r.err, "line 6: ")
	require.Equal(t, failed, call(t, "", "unseal", "--key", filepath.Join(w.dir, "none")).code)
}

// endpoint stands for a key_store's: it answers what it is told to.
func endpoint(t *testing.T, status int, answer string) (flags []string, asked func() []string) {
	t.Helper()
	var all []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		all = append(all, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("X-Millrace-Actor"), b))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("# mine\nann the-token erase\n"), 0o600))
	return []string{"--admin", s.URL + "/", "--token-file", file, "--purpose", "p", "--tenant", "t", "--actor", "eve"}, func() []string { return all }
}

func TestACollectorIsAsked(t *testing.T) {
	flags, asked := endpoint(t, 200, `{"values": [{"value": "ann\nb"}, {"error": "erased"}]}`)
	r := call(t, "", append(append([]string{"detokenize"}, flags...), "tk_1", "er_2")...)
	require.Equal(t, result{failed, "\"ann\\nb\"\ner_2\n", "value 2: the person was erased: nobody can read it any more\n1 of 2 could not be read.\n"}, r)
	require.Equal(t, []string{`POST /v1/detokenize Bearer the-token eve {"purpose":"p","tenant":"t","values":["tk_1","er_2"]}`}, asked())

	flags, asked = endpoint(t, 200, `{"handle": "abc", "at": "2026-03-01T10:00:00Z", "had_key": true}`)
	require.Equal(t, "abc  2026-03-01T10:00:00Z  erased  u-1\nabc  2026-03-01T10:00:00Z  erased  u-2\n", works(t, "", append(append([]string{"erase"}, flags...), "u-1", "u-2")...))
	require.Equal(t, `POST /v1/erase Bearer the-token eve {"purpose":"p","subject":"u-2","tenant":"t"}`, asked()[1])
	flags, _ = endpoint(t, 200, `{"handle": "abc", "at": "2026-03-01T10:00:00Z", "pending": true}`)
	r = call(t, "", append(append([]string{"erase"}, flags...), "u-1")...)
	require.Equal(t, failed, r.code)
	require.Contains(t, r.out, "there was no key yet")
	require.Contains(t, r.err, "still to be removed")

	flags, asked = endpoint(t, 200, `{"pseudonyms": [{"key_id": "k1", "text": "pn_k1_x", "uuid": "u"}]}`)
	require.Equal(t, "k1  shared  pn_k1_x  u\n", works(t, "", append(append([]string{"pseudonym", "--class", "email"}, flags...), "ann@example.com")...))
	require.Contains(t, asked()[0], `"class":"email"`)
}

func TestWhatACollectorRefusesIsSaid(t *testing.T) {
	f := func(status int, answer, want string) {
		t.Helper()
		flags, _ := endpoint(t, status, answer)
		r := call(t, "", append(append([]string{"detokenize"}, flags...), "tk_1")...)
		require.Equal(t, failed, r.code)
		require.Empty(t, r.out)
		require.Contains(t, r.err, want)
	}
	f(403, `{"error": "forbidden", "message": "the token of ann does not allow to detokenize"}`, "millrace detokenize: the token of ann does not allow to detokenize\n")
	f(502, `<html>`, "the collector answered 502 Bad Gateway")
	f(302, ``, "the collector answered 302 Found")
	f(200, `<html>`, "does --admin name its endpoint?")
	f(200, `{}`, "answered 0 of 1 values")
	flags, _ := endpoint(t, 503, `{"error": "audit", "message": "it cannot be recorded"}`)
	r := call(t, "", append(append([]string{"erase"}, flags...), "u-1", "u-2")...)
	require.Equal(t, failed, r.code)
	require.Contains(t, r.err, "Erased 0 of 2; asking again for those changes nothing.\nmillrace erase: it cannot be recorded\n")
}

func TestAnEndpointIsTrustedByItsCertificateOnly(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"values": [{"value": "ann"}]}`)
	}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	dir := t.TempDir()
	file, ca := filepath.Join(dir, "token"), filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(file, []byte("the-token"), 0o600))
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	args := []string{"detokenize", "--admin", s.URL, "--token-file", file, "--purpose", "p", "tk_1"}
	r := call(t, "", args...)
	require.Equal(t, failed, r.code)
	require.Contains(t, r.err, "certificate")
	require.Equal(t, "ann\n", works(t, "", append([]string{"detokenize", "--ca-file", ca}, args[1:]...)...))
	require.Contains(t, call(t, "", append([]string{"detokenize", "--ca-file", file}, args[1:]...)...).err, "has none in PEM")
	require.NoError(t, os.WriteFile(file, []byte("# none\n"), 0o600))
	require.Contains(t, call(t, "", args...).err, "reading token")
}
