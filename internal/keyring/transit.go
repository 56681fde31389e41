// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// transitSource asks the Transit secrets engine of HashiCorp Vault or OpenBao to decrypt a key: POST /v1/MOUNT/decrypt/KEY, as their
// HTTP API's reference describes it.
type transitSource struct {
	config TransitConfig
	url    string
	client *http.Client
}

const (
	defaultTransitTimeout = 10 * time.Second
	maxAnswerBytes        = 1 << 20
)

func newTransitSource(c *TransitConfig) (Source, error) {
	mount := strings.Trim(c.Mount, "/")
	if mount == "" {
		mount = "transit"
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w: name a PEM file", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s has no certificate: name a PEM file", c.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	transport.DisableKeepAlives = true // asked once in a long while
	timeout := c.Timeout
	if timeout == 0 {
		timeout = defaultTransitTimeout
	}
	return &transitSource{
		config: *c,
		url:    strings.TrimRight(c.Endpoint, "/") + "/v1/" + mount + "/decrypt/" + url.PathEscape(c.Key),
		client: &http.Client{
			Transport: transport,
			Timeout:   timeout,
			// The token is for this server.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (s *transitSource) Load(ctx context.Context) ([]byte, error) {
	ciphertext := s.config.Ciphertext
	if s.config.CiphertextFile != "" {
		text, err := readSmall(s.config.CiphertextFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the ciphertext: %w: %w: put the file back", ErrGone, err)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the ciphertext: %w", err)
		}
		ciphertext = text
	}
	token, err := readSmall(s.config.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	// net/http names a header's value that it cannot send.
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) || token == "" {
		return nil, fmt.Errorf("reading the token: %s has no token: it must hold one and nothing else", s.config.TokenFile)
	}
	body, err := json.Marshal(map[string]string{"ciphertext": strings.TrimSpace(ciphertext)})
	if err != nil {
		return nil, fmt.Errorf("asking for the key: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking for the key: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Vault-Request", "true")
	request.Header.Set("X-Vault-Token", token)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking for the key: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, fmt.Errorf("asking for the key: %w", err)
	}
	if len(answer) > maxAnswerBytes {
		return nil, fmt.Errorf("asking for the key: %s answers with more than %d bytes: it is no transit engine", s.url, maxAnswerBytes)
	}
	if response.StatusCode != http.StatusOK {
		return nil, s.refused(response.StatusCode, answer)
	}
	return s.plaintext(answer)
}

func (s *transitSource) plaintext(answer []byte) ([]byte, error) {
	var decrypted struct {
		Data struct {
			Plaintext []byte `json:"plaintext"` // base64
		} `json:"data"`
	}
	// Not wrapped: encoding/json's errors can name a part of what they read.
	if json.Unmarshal(answer, &decrypted) != nil || len(decrypted.Data.Plaintext) == 0 {
		return nil, fmt.Errorf("asking for the key: %s answers without data.plaintext: check endpoint and mount", s.url)
	}
	return decrypted.Data.Plaintext, nil
}

// refused says what a status means. What is refused for the key's sake takes the key away: the engine's key or what it may decrypt is
// gone (400, 404), or this token may not use it any more (403). A token that ran out says nothing of the key, nor does a
// sealed, standby or overrun server.
func (s *transitSource) refused(status int, answer []byte) error {
	var explained struct {
		Errors []string `json:"errors"`
	}
	_ = json.Unmarshal(answer, &explained)
	why := strings.ToLower(strings.Join(explained.Errors, " "))
	badToken := strings.Contains(why, "invalid token") || strings.Contains(why, "bad token") || strings.Contains(why, "missing client token")
	refusal := fmt.Errorf("%s answers %d %s", s.url, status, http.StatusText(status))
	switch {
	case badToken:
		return fmt.Errorf("asking for the key: %w: put a valid token into %s", refusal, s.config.TokenFile)
	case status == http.StatusForbidden:
		return fmt.Errorf("asking for the key: %w: %w: let the token update %s/decrypt/%s", ErrGone, refusal, s.mount(), s.config.Key)
	case status == http.StatusBadRequest:
		return fmt.Errorf("asking for the key: %w: %w: the engine cannot decrypt the ciphertext: check key and ciphertext, and its min_decryption_version",
			ErrGone, refusal)
	case status == http.StatusNotFound:
		return fmt.Errorf("asking for the key: %w: %w: check mount and key", ErrGone, refusal)
	case status == http.StatusServiceUnavailable:
		return fmt.Errorf("asking for the key: %w: unseal the server", refusal)
	}
	return fmt.Errorf("asking for the key: %w", refusal)
}

func (s *transitSource) mount() string {
	if m := strings.Trim(s.config.Mount, "/"); m != "" {
		return m
	}
	return "transit"
}

func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxSourceBytes+1))
	if err != nil {
		return "", err
	}
	if len(raw) > maxSourceBytes {
		return "", errors.New(path + ": has more than 64 KiB: name another file")
	}
	return strings.TrimSpace(string(raw)), nil
}

var (
	_ Source = (*transitSource)(nil)
	_ Source = (*fileSource)(nil)
	_ Source = envSource("")
)
