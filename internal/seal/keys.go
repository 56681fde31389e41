// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/syncedfile"
)

// The texts of key files: "PREFIX:ID:BASE64" of the key and four bytes that tell a slip of the pen.
const (
	publicPrefix  = "millrace-repair-public:v1:"
	privatePrefix = "millrace-repair-private:v1:"

	keyBytes   = 32 // X25519
	checkBytes = 4
)

// The suite: what version v1 means.
func suite() (hpke.KEM, hpke.KDF, hpke.AEAD) {
	return hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.AES256GCM()
}

// PublicKey is what is sealed to. It is no secret. Callable by any goroutine.
type PublicKey struct {
	id  string
	key hpke.PublicKey
}

// PrivateKey opens what was sealed to its public key. Printed, logged or encoded it is its name; ExportText alone gives it away.
// Callable by any goroutine.
type PrivateKey struct {
	id     string
	hidden func() hpke.PrivateKey // behind a function: nothing that prints values by reflection sees into it
}

// Generate makes a key. The ID stands in all that is sealed to it: 1 to 16 lower-case letters and digits.
func Generate(id string) (*PrivateKey, error) {
	if !keyring.ValidID(id) {
		return nil, fmt.Errorf("id: %q must be 1 to 16 lower-case letters and digits, such as r1", id)
	}
	kem, _, _ := suite()
	key, err := kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("making repair key: %w", err)
	}
	return newPrivate(id, key), nil
}

func newPrivate(id string, key hpke.PrivateKey) *PrivateKey {
	return &PrivateKey{id: id, hidden: func() hpke.PrivateKey { return key }}
}

// ID names the key in what is sealed to it.
func (k *PrivateKey) ID() string { return k.id }

// ID names the key in what is sealed to it.
func (k *PublicKey) ID() string { return k.id }

// Public returns the key to seal to.
func (k *PrivateKey) Public() *PublicKey { return &PublicKey{id: k.id, key: k.hidden().PublicKey()} }

// Fingerprint tells one key from another: 16 hexadecimal digits.
func (k *PublicKey) Fingerprint() string {
	sum := sha256.Sum256(k.key.Bytes())
	return hex.EncodeToString(sum[:8])
}

// Text returns the key as it stands in a file.
func (k *PublicKey) Text() string { return keyText(publicPrefix, k.id, k.key.Bytes()) }

// ExportText returns the private key as it stands in a file. Nothing else does.
func (k *PrivateKey) ExportText() (string, error) {
	raw, err := k.hidden().Bytes()
	if err != nil {
		return "", fmt.Errorf("exporting repair key %s: %w", k.id, err)
	}
	return keyText(privatePrefix, k.id, raw), nil
}

func keyText(prefix, id string, raw []byte) string {
	check := checkOf(prefix, id, raw)
	return prefix + id + ":" + base64.StdEncoding.EncodeToString(append(append(make([]byte, 0, keyBytes+checkBytes), raw...), check[:]...))
}

func checkOf(prefix, id string, raw []byte) (check [checkBytes]byte) {
	h := sha256.New()
	_, _ = h.Write([]byte(prefix + id + ":")) // never fails
	_, _ = h.Write(raw)
	copy(check[:], h.Sum(nil))
	return check
}

// ParsePublic reads what Text wrote.
func ParsePublic(text string) (*PublicKey, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, privatePrefix) {
		return nil, errors.New("reading repair key: this is the private key, which only the repair tooling may have: give the public one here")
	}
	id, raw, err := parseKey(text, publicPrefix)
	if err != nil {
		return nil, err
	}
	kem, _, _ := suite()
	key, err := kem.NewPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("reading repair key %s: it is no X25519 key: export it anew", id)
	}
	return &PublicKey{id: id, key: key}, nil
}

// ParsePrivate reads what ExportText wrote.
func ParsePrivate(text string) (*PrivateKey, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, publicPrefix) {
		return nil, errors.New("reading repair key: this is the public key, which opens nothing: give the private one here")
	}
	id, raw, err := parseKey(text, privatePrefix)
	if err != nil {
		return nil, err
	}
	kem, _, _ := suite()
	key, err := kem.NewPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("reading repair key %s: it is no X25519 key: take it from a backup", id)
	}
	return newPrivate(id, key), nil
}

// parseKey says nothing in its errors of what stands where the key should.
func parseKey(text, prefix string) (id string, raw []byte, err error) {
	rest, ok := strings.CutPrefix(text, prefix)
	id, encoded, colon := strings.Cut(rest, ":")
	if !ok || !colon || !keyring.ValidID(id) {
		return "", nil, fmt.Errorf("reading repair key: it does not read %sID:BASE64: name a file that the tooling made", prefix)
	}
	raw, err = base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != keyBytes+checkBytes {
		return "", nil, fmt.Errorf("reading repair key %s: it is not whole: copy the line again", id)
	}
	raw, given := raw[:keyBytes], [checkBytes]byte(raw[keyBytes:])
	if given != checkOf(prefix, id, raw) {
		return "", nil, fmt.Errorf("reading repair key %s: it was changed since it was made: copy the line again", id)
	}
	return id, raw, nil
}

const maxKeyFile = 4096

// LoadPublic reads a public key's file. Who may write it decides who can read failed events: others than owner and group may not.
func LoadPublic(path string) (*PublicKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading repair key: %w", err)
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() > maxKeyFile:
		return nil, fmt.Errorf("reading repair key: %s: is no key file: name a file that the tooling made", path)
	case info.Mode().Perm()&0o002 != 0:
		return nil, fmt.Errorf("reading repair key: %s: has mode %04o, so that everyone may put another key there: run chmod 0644 on it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading repair key: %w", err)
	}
	k, err := ParsePublic(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// LoadPrivate reads a private key's file, which others than owner and group may not read.
func LoadPrivate(path string) (*PrivateKey, error) {
	text, err := keyring.ReadSecretFile(path, false)
	if err != nil {
		return nil, fmt.Errorf("reading repair key: %w", err)
	}
	k, err := ParsePrivate(string(text))
	clear(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// Save writes the private key's file, which must not be there, and returns when it is on the disk.
func (k *PrivateKey) Save(path string) error {
	text, err := k.ExportText()
	if err != nil {
		return err
	}
	return save(path, text+"\n", 0o600)
}

// Save writes the public key's file, which must not be there, and returns when it is on the disk.
func (k *PublicKey) Save(path string) error { return save(path, k.Text()+"\n", 0o644) }

func save(path, text string, mode os.FileMode) error {
	if err := syncedfile.Create(path, text, mode); err != nil {
		return fmt.Errorf("writing repair key: %w", err)
	}
	if err := syncedfile.Sync(filepath.Dir(path)); err != nil {
		return fmt.Errorf("writing repair key: %w", err)
	}
	return nil
}

// String returns the key's name.
func (k PrivateKey) String() string { return "private repair key " + k.id }

// GoString returns the key's name.
func (k PrivateKey) GoString() string { return k.String() }

// Format prints the key's name, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// MarshalText returns the key's name.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue returns the key's name.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// String returns the key's name and fingerprint.
func (k *PublicKey) String() string { return "repair key " + k.id + " " + k.Fingerprint() }
