// SPDX-License-Identifier: Apache-2.0

package privacycommand

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/seal"
)

func keysCommand() command {
	return group("keys", "Make keys and tokens",
		command{
			name: "generate", usage: "FILE", summary: "Make a key for the key_store's keys",
			about: "It writes 32 random bytes in base64, readable by this user only, and prints the check value that GET /v1/keys\nof the admin endpoint shows too. A file that is there is never written over.",
			flags: func(s *session, _ *flag.FlagSet) func([]string) error {
				return func(args []string) error {
					if len(args) != 1 {
						return misuse("name one file")
					}
					return s.generate(args[0])
				}
			},
		},
		command{
			name: "check", usage: "FILE…", summary: "Print the check values of keys, which tell one from another and nothing else",
			flags: func(s *session, _ *flag.FlagSet) func([]string) error {
				return func(args []string) error {
					if len(args) == 0 {
						return misuse("name at least one file")
					}
					for _, path := range args {
						check, err := s.checkValue(path, false)
						if err != nil {
							return err
						}
						s.print("%s  %s\n", check, path)
					}
					return nil
				}
			},
		},
		command{
			name: "repair-pair", usage: "ID DIRECTORY", summary: "Make a pair of keys for sealing failed events",
			about: "ID.repair.pub is for the collector: repair_key::public_key_file. ID.repair.key opens what is sealed to it: keep it\nelsewhere, with whoever repairs. The ID, 1 to 16 lower-case letters and digits, stands in all that is sealed.",
			flags: func(s *session, _ *flag.FlagSet) func([]string) error {
				return func(args []string) error {
					if len(args) != 2 {
						return misuse("give an ID and a directory")
					}
					return s.repairPair(args[0], args[1])
				}
			},
		},
		command{
			name: "token", usage: "[--allow WHAT] NAME", summary: "Make a token for the key_store's admin endpoint",
			about: "It prints a line for admin::token_file. The name stands in the audit log.",
			flags: func(s *session, f *flag.FlagSet) func([]string) error {
				allow := f.String("allow", "", "`WHAT` the token is good for: some of detokenize,erase,pseudonym; all by default")
				return func(args []string) error {
					if len(args) != 1 {
						return misuse("give one name")
					}
					return s.token(args[0], *allow)
				}
			},
		},
	)
}

// checkValue reads a key's file, or makes it before.
func (s *session) checkValue(path string, generate bool) (string, error) {
	const id = "key" // of no matter for the value
	ring, err := keyring.Open(s.ctx, keyring.Config{{ID: id, File: path, Generate: generate}}, keyring.Options{})
	if err != nil {
		return "", err
	}
	return ring.CheckValues()[id], nil
}

func (s *session) generate(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%s is there already: name another file", path)
		}
		return err
	}
	check, err := s.checkValue(path, true)
	if err != nil {
		return err
	}
	s.print("Wrote %s, check value %s.\nKeep a copy in a safe place: what is made with it can be read by nothing else.\n", path, check)
	return nil
}

func (s *session) repairPair(id, dir string) error {
	private, err := seal.Generate(id)
	if err != nil {
		return err
	}
	secret, public := filepath.Join(dir, id+".repair.key"), filepath.Join(dir, id+".repair.pub")
	if err := private.Save(secret); err != nil {
		return err
	}
	if err := private.Public().Save(public); err != nil {
		return errors.Join(err, os.Remove(secret)) // half a pair is none
	}
	s.print("Wrote %s and %s, fingerprint %s.\nThe first one opens failed events: keep it away from the collector.\n", secret, public, private.Public().Fingerprint())
	return nil
}

var (
	tokenName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
	tokenAllow = regexp.MustCompile(`^(detokenize|erase|pseudonym)(,(detokenize|erase|pseudonym))*$`)
)

func (s *session) token(name, allow string) error {
	if !tokenName.MatchString(name) {
		return misuse("%q must be up to 64 letters, digits and ._@-, such as support-team", name)
	}
	if allow != "" && !tokenAllow.MatchString(allow) {
		return misuse("--allow %s: must be some of detokenize,erase,pseudonym with commas between", allow)
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	s.print("%s %s", name, base64.RawURLEncoding.EncodeToString(b[:]))
	if allow != "" {
		s.print(" %s", allow)
	}
	s.print("\n")
	return nil
}

// ringOf reads keys given as ID=FILE.
func ringOf(ctx context.Context, keys []string) (*keyring.KeyRing, error) {
	var cfg keyring.Config
	for _, k := range keys {
		m := keyFlag.FindStringSubmatch(k)
		if m == nil {
			return nil, misuse("--key must be ID=FILE, with the ID of the key_store's configuration")
		}
		cfg = append(cfg, keyring.KeyConfig{ID: m[1], File: m[2]})
	}
	return keyring.Open(ctx, cfg, keyring.Options{})
}

var keyFlag = regexp.MustCompile(`^([a-z0-9]{1,16})=(.+)$`)
