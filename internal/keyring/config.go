// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Config lists the keys.
type Config []KeyConfig

// KeyConfig says where a key comes from: exactly one of File, Env and Transit.
type KeyConfig struct {
	// ID names the key in every value that is made with it: 1 to 16 lower-case letters and digits.
	ID string `mapstructure:"id"`
	// ActiveFrom is when values begin to be made with it, until another key's time comes. Zero: from the beginning of time.
	ActiveFrom time.Time `mapstructure:"active_from"`
	// File has at least 32 bytes: as base64 or hexadecimal text, or as they are.
	File string `mapstructure:"file"`
	// Generate makes the File where it is missing. Not for several machines, which would have different keys.
	Generate bool `mapstructure:"generate"`
	// AllowWorldReadable takes a File that every user of the machine may read.
	AllowWorldReadable bool `mapstructure:"allow_world_readable"`
	// Env names an environment variable with base64 or hexadecimal text.
	Env string `mapstructure:"env"`
	// Transit has the key decrypted by Vault or OpenBao.
	Transit *TransitConfig `mapstructure:"transit"`
}

// TransitConfig is a key that is stored encrypted, and decrypted by the Transit secrets engine of HashiCorp Vault or OpenBao.
type TransitConfig struct {
	Endpoint string `mapstructure:"endpoint"` // such as https://vault.example:8200
	// Insecure allows http:// to another machine.
	Insecure bool   `mapstructure:"insecure"`
	Mount    string `mapstructure:"mount"` // "transit" by default
	Key      string `mapstructure:"key"`   // the name of the engine's key
	// Ciphertext is what the engine encrypted: "vault:v1:…". It, or CiphertextFile that holds it.
	Ciphertext     string `mapstructure:"ciphertext"`
	CiphertextFile string `mapstructure:"ciphertext_file"`
	// TokenFile holds the token; it is read anew each time.
	TokenFile string        `mapstructure:"token_file"`
	CAFile    string        `mapstructure:"ca_file"` // PEM; the system's by default
	Timeout   time.Duration `mapstructure:"timeout"` // 10 s by default
}

// maxIDBytes bounds a key's ID, which stands in every value that is made with it.
const maxIDBytes = 16

// ValidID says whether id can name a key.
func ValidID(id string) bool {
	if id == "" || len(id) > maxIDBytes {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// Validate checks what can be checked without the sources.
func (c Config) Validate() error {
	if len(c) == 0 {
		return errors.New("keys: [] is empty: give at least one key, such as {id: k1, file: /etc/millrace/k1.key}")
	}
	seen := map[string]int{}
	var errs []error
	for i, k := range c {
		if err := k.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("keys[%d].%w", i, err))
		}
		if first, ok := seen[k.ID]; ok {
			errs = append(errs, fmt.Errorf("keys[%d].id: %q is keys[%d]'s too: give each key an ID of its own", i, k.ID, first))
		}
		seen[k.ID] = i
	}
	return errors.Join(errs...)
}

// Validate checks one key.
func (k *KeyConfig) Validate() error {
	if !ValidID(k.ID) {
		return fmt.Errorf("id: %q must be 1 to %d lower-case letters and digits, such as k1", k.ID, maxIDBytes)
	}
	var sources []string
	for _, s := range []struct {
		name  string
		given bool
	}{{"file", k.File != ""}, {"env", k.Env != ""}, {"transit", k.Transit != nil}} {
		if s.given {
			sources = append(sources, s.name)
		}
	}
	switch {
	case len(sources) == 0:
		return fmt.Errorf("file: key %s has no source: give one of file, env and transit", k.ID)
	case len(sources) > 1:
		return fmt.Errorf("%s: key %s has a source already: keep one of %s", sources[1], k.ID, strings.Join(sources, " and "))
	case k.Generate && k.File == "":
		return errors.New("generate: true is for file only: remove it")
	case k.AllowWorldReadable && k.File == "":
		return errors.New("allow_world_readable: true is for file only: remove it")
	case strings.ContainsAny(k.Env, "=\x00"):
		return fmt.Errorf("env: %q is no name of an environment variable: give the name, not the value", firstOf(k.Env, "=\x00"))
	}
	if k.Transit != nil {
		if err := k.Transit.validate(); err != nil {
			return fmt.Errorf("transit.%w", err)
		}
	}
	return nil
}

// firstOf returns what stands before a separator: what follows could be a secret.
func firstOf(s, separators string) string {
	if i := strings.IndexAny(s, separators); i >= 0 {
		return s[:i+1] + "…"
	}
	return s
}

func (t *TransitConfig) validate() error {
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("endpoint: give the server's address, such as https://vault.example:8200")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("endpoint: give scheme, host and port only, such as https://vault.example:8200")
	case u.Scheme == "http" && !t.Insecure && !loopback(u.Hostname()):
		return fmt.Errorf("endpoint: %q would send the key in clear: use https, or set insecure: true", t.Endpoint)
	case t.Key == "":
		return errors.New("key: \"\" is empty: give the name of the transit engine's key")
	case strings.ContainsAny(t.Key, "/?#%"):
		return fmt.Errorf("key: %q has characters that no transit key's name has: give the name alone", t.Key)
	case strings.ContainsAny(t.Mount, "?#%"):
		return fmt.Errorf("mount: %q must be the path that the engine is mounted at, such as transit", t.Mount)
	case (t.Ciphertext == "") == (t.CiphertextFile == ""):
		return errors.New("ciphertext: give either it or ciphertext_file: what the transit engine encrypted, vault:v1:…")
	case t.TokenFile == "":
		return errors.New("token_file: \"\" is empty: give the file that holds the token")
	case t.Timeout < 0:
		return fmt.Errorf("timeout: %s must be more than 0, such as 10s", t.Timeout)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
