// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/freeport"
)

// privacyConfig is a collector that shows what it makes of events. The key store stands before the state store that it needs: the
// collector has to find the order.
const privacyConfig = `
extensions:
  key_store:
    keys: [{id: k1, file: keys/k1.key}]
    reload_interval: 100ms
    subjects: {enabled: true}
    audit: {directory: audit}
    admin: {endpoint: "%s", token_file: keys/tokens}
  state_store: {directory: state, reserve_bytes: 0}
receivers:
  otlp: {protocols: {http: {endpoint: "%s"}}}
processors:
  pii_masking:
    key_store: key_store
    actions:
      email: {action: erasable}
      phone: {action: token}
exporters:
  debug: {verbosity: detailed}
service:
  telemetry: {metrics: {level: none}}
  extensions: [key_store, state_store]
  pipelines:
    logs: {receivers: [otlp], processors: [pii_masking], exporters: [debug]}
`

// privacy is such a collector.
type privacy struct {
	*process
	dir, admin, otlp string
	starts           int
}

func (p *privacy) start(t *testing.T) {
	t.Helper()
	p.starts++
	p.process = launch(t, p.dir, filepath.Join(p.dir, "log"), nil, "--config", "config.yaml")
	require.Eventually(t, func() bool {
		return !p.running() || strings.Count(p.said(), "Everything is ready") == p.starts
	}, patience, 20*time.Millisecond)
	require.True(t, p.running(), p.tail())
}

// run runs a command of the binary, and returns its exit code and what it printed.
func (p *privacy) run(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(millrace(t), args...)
	cmd.Dir = p.dir
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(b)
	}
	require.NoError(t, err)
	return 0, string(b)
}

func (p *privacy) ask(t *testing.T, command string, args ...string) (code int, out string) {
	t.Helper()
	return p.run(t, append([]string{command, "--admin", "http://" + p.admin, "--token-file", "keys/tokens", "--purpose", "a test"}, args...)...)
}

// send sends an event of a person.
func (p *privacy) send(t *testing.T, person, address, phone string) {
	t.Helper()
	body := fmt.Sprintf(`{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "signed_up", "attributes": [
		{"key": "user.id", "value": {"stringValue": %q}},
		{"key": "email", "value": {"stringValue": %q}},
		{"key": "phone", "value": {"stringValue": %q}}]}]}]}]}`, person, address, phone)
	status, answer := post(t, "http://"+p.otlp+"/v1/logs", []byte(body), "Content-Type", jsonType)
	require.Equal(t, http.StatusOK, status, answer)
}

var (
	erasableText = regexp.MustCompile(`er_[a-z2-7]{26}_[a-z2-7@.]+`)
	tokenText    = regexp.MustCompile(`tk_k1_[a-z2-7]+`)
)

func TestAPersonIsReadBackByRightAndForgottenForGood(t *testing.T) {
	t.Parallel()
	places := freeport.Must(t, 2)
	p := &privacy{dir: t.TempDir(), admin: places[0], otlp: places[1]}
	require.NoError(t, os.Mkdir(filepath.Join(p.dir, "keys"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "config.yaml"), fmt.Appendf(nil, privacyConfig, p.admin, p.otlp), 0o600))
	code, out := p.run(t, "keys", "generate", "keys/k1.key")
	require.Zero(t, code, out)
	code, out = p.run(t, "keys", "token", "root")
	require.Zero(t, code, out)
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "keys", "tokens"), []byte(out), 0o600))
	p.start(t)
	t.Cleanup(func() { p.end(t, syscall.SIGKILL) })

	p.send(t, "u-77", "ann.mayer@example.com", "+49 30 1234567")
	require.Eventually(t, func() bool { return tokenText.MatchString(p.said()) }, patience, 20*time.Millisecond)
	require.NotContains(t, p.said(), "ann.mayer")
	require.NotContains(t, p.said(), "1234567")
	erasable, token := erasableText.FindString(p.said()), tokenText.FindString(p.said())
	require.NotEmpty(t, erasable)

	code, out = p.ask(t, "detokenize", erasable, token)
	require.Equal(t, "ann.mayer@example.com\n+49 30 1234567\n", out)
	require.Zero(t, code)
	code, out = p.run(t, "detokenize", "--key", "k1=keys/k1.key", "--audit", "audit2", "--purpose", "a test", token)
	require.Equal(t, "+49 30 1234567\n", out)
	require.Zero(t, code)

	code, out = p.ask(t, "erase", "u-77")
	require.Zero(t, code, out)
	require.Contains(t, out, "  erased  u-77")
	erased := func() {
		t.Helper()
		code, out = p.ask(t, "detokenize", erasable, token)
		require.Equal(t, 1, code)
		require.Contains(t, out, "value 1: the person was erased")
		require.Contains(t, out, "+49 30 1234567\n", "what is no person's key's is read as before: a token goes with its key")
		require.NotContains(t, out, "ann.mayer")
	}
	erased()

	// Killed at once, the collector remembers.
	p.end(t, syscall.SIGKILL)
	p.start(t)
	erased()
	code, out = p.ask(t, "erase", "u-77")
	require.Zero(t, code, out)
	require.Contains(t, out, "was erased before")
	before := len(tokenText.FindAllString(p.said(), -1))
	p.send(t, "u-77", "ann.mayer@example.com", "+49 30 1234567")
	p.send(t, "u-78", "bob@example.com", "+49 30 7654321")
	require.Eventually(t, func() bool { return len(tokenText.FindAllString(p.said(), -1)) > before }, patience, 20*time.Millisecond)
	require.Len(t, tokenText.FindAllString(p.said(), -1), before+1, "events of who was erased are suppressed")

	code, out = p.run(t, "audit", "verify", "audit")
	require.Zero(t, code, out)
	p.end(t, syscall.SIGTERM)
	require.NoError(t, p.Err(), p.tail())
	code, out = p.run(t, "audit", "verify", "audit")
	require.Zero(t, code, out)
	audit := ""
	for _, pattern := range []string{"audit/*.jsonl", "audit2/*.jsonl"} {
		paths, err := filepath.Glob(filepath.Join(p.dir, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			audit += string(b)
		}
	}
	for _, action := range []string{"detokenized", "erased", "key_changed", "masked", "refused"} {
		require.Contains(t, audit, `"action":"`+action+`"`)
	}
	for _, secret := range []string{"ann.mayer", "1234567", "u-77", erasable, token} {
		require.NotContains(t, audit, secret)
		require.NotContains(t, p.said(), "Bearer")
	}

	// Another key under the same name is refused, and said so.
	require.NoError(t, os.Remove(filepath.Join(p.dir, "keys", "k1.key")))
	code, out = p.run(t, "keys", "generate", "keys/k1.key")
	require.Zero(t, code, out)
	again := launch(t, p.dir, filepath.Join(p.dir, "log2"), nil, "--config", "config.yaml")
	<-again.Exited()
	require.Contains(t, again.said(), "put the old key back")
}
