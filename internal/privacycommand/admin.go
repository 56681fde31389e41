// SPDX-License-Identifier: Apache-2.0

package privacycommand

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/keyring"
)

// admin asks a running collector's key_store.
type admin struct {
	url, tokenFile, caFile string
	actor                  string

	token  string
	client *http.Client
}

func adminFlags(f *flag.FlagSet) *admin {
	a := &admin{}
	f.StringVar(&a.url, "admin", "", "`URL` of the key_store's admin endpoint, such as http://127.0.0.1:8190")
	f.StringVar(&a.tokenFile, "token-file", "", "`FILE` whose first line is the token, or NAME TOKEN")
	f.StringVar(&a.caFile, "ca-file", "", "`FILE` with the certificates (PEM) that an https:// endpoint is trusted by; the system's by default")
	f.StringVar(&a.actor, "actor", actor(), "`WHO` asks, for the audit log; this user by default")
	return a
}

const answerTimeout = 3 * time.Minute

// open checks the flags and reads the token.
func (a *admin) open() error {
	u, err := url.Parse(a.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return misuse("--admin %q is no address: give one such as http://127.0.0.1:8190", a.url)
	}
	if a.tokenFile == "" {
		return misuse("--token-file is needed with --admin")
	}
	text, err := keyring.ReadSecretFile(a.tokenFile, false)
	if err != nil {
		return fmt.Errorf("reading token: %w", err)
	}
	for l := range strings.Lines(string(text)) {
		fields := strings.Fields(l)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		a.token = fields[min(1, len(fields)-1)]
		break
	}
	if a.token == "" {
		return fmt.Errorf("reading token: %s has none: give it a line with the token", a.tokenFile)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if a.caFile != "" {
		pem, err := os.ReadFile(a.caFile)
		if err != nil {
			return fmt.Errorf("reading certificates: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("reading certificates: %s has none in PEM", a.caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	a.client = &http.Client{
		Timeout: answerTimeout, Transport: transport,
		// The token is for that address only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// refused is an answer that is none.
type refused struct {
	Status  int    `json:"-"`
	Code    string `json:"error"`
	Message string `json:"message"`
}

func (r *refused) Error() string {
	if r.Message == "" {
		return fmt.Sprintf("the collector answered %d %s", r.Status, http.StatusText(r.Status))
	}
	return printable(r.Message)
}

const maxAnswer = 64 << 20

func (a *admin) post(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encoding request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(a.url, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+a.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Millrace-Actor", a.actor)
	response, err := a.client.Do(r)
	if err != nil {
		return fmt.Errorf("asking the collector: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("reading the collector's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		no := &refused{Status: response.StatusCode}
		_ = json.Unmarshal(text, no) // something else may have answered
		return no
	}
	if len(text) > maxAnswer {
		return errors.New("reading the collector's answer: it is too long")
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return errors.New("reading the collector's answer: it is not what a key_store answers: does --admin name its endpoint?")
	}
	return nil
}
