// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/internal/syncedfile"
)

// Source has a key.
type Source interface {
	// Load returns the key's bytes, or text of them, which the caller may change. The error wraps ErrGone where the key was taken
	// away: after any other error it may be there still.
	Load(ctx context.Context) ([]byte, error)
}

// ErrGone says that a source has no key, or does not give it any more.
var ErrGone = errors.New("the key is not there")

func (k *KeyConfig) source() (Source, error) {
	switch {
	case k.File != "":
		return &fileSource{path: k.File, worldReadable: k.AllowWorldReadable}, nil
	case k.Env != "":
		return envSource(k.Env), nil
	}
	return newTransitSource(k.Transit)
}

type envSource string

func (name envSource) Load(context.Context) ([]byte, error) {
	text := os.Getenv(string(name))
	if text == "" {
		return nil, fmt.Errorf("environment variable %s: %w: set it to the key in base64", string(name), ErrGone)
	}
	return []byte(text), nil
}

type fileSource struct {
	path          string
	worldReadable bool
}

func (s *fileSource) Load(context.Context) ([]byte, error) {
	raw, err := s.read()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: %w: put the file back, readable by this process", ErrGone, err)
	}
	return raw, err
}

func (s *fileSource) read() ([]byte, error) { return ReadSecretFile(s.path, s.worldReadable) }

// ReadSecretFile reads a file that only some users of the machine may read: mode 0640 or less, unless worldReadable. It has at most
// 64 KiB.
func ReadSecretFile(path string, worldReadable bool) ([]byte, error) {
	// Before opening: that would wait for ever on a pipe. Links are followed, since Kubernetes mounts secrets as links.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no file: name the file that holds the key", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkMode(path, info.Mode(), worldReadable); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSourceBytes+1))
	if err == nil && len(raw) > maxSourceBytes {
		err = fmt.Errorf("%s: has more than %d bytes: name the file that holds the key", path, maxSourceBytes)
	}
	return raw, err
}

// checkMode refuses what users can read or change that the key is none of the business of. Kubernetes and Docker mount secrets
// readable by all unless told otherwise, which is why there is a way to take such a file.
func checkMode(path string, mode fs.FileMode, worldReadable bool) error {
	switch perm := mode.Perm(); {
	case perm&0o022 != 0:
		return fmt.Errorf("%s: has mode %04o, so that others than its owner may change it: run chmod 0640 on it", path, perm)
	case perm&0o005 != 0 && !worldReadable:
		return fmt.Errorf("%s: has mode %04o, so that every user may read it: run chmod 0640 on it (Kubernetes: defaultMode: 0440 on the secret's volume"+
			" and fsGroup in the pod's securityContext), or set allow_world_readable: true", path, perm)
	}
	return nil
}

// generate makes the file with a new key where it is missing, and returns when it is on the disk.
func (s *fileSource) generate() error {
	if _, err := os.Lstat(s.path); !errors.Is(err, fs.ErrNotExist) {
		return nil // there, or Load says what is wrong with it
	}
	secret := make([]byte, minSecretBytes)
	_, _ = rand.Read(secret) // never fails
	// Written and synced beside it and linked then: a crash leaves a whole key or none, and a link never replaces a file.
	folder := filepath.Dir(s.path)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		if err := syncedfile.Sync(filepath.Dir(folder)); err != nil {
			return fmt.Errorf("syncing the folder of a new key: %w", err)
		}
	}
	beside := fmt.Sprintf("%s.new-%d", s.path, os.Getpid())
	defer func() { _ = os.Remove(beside) }()
	if err := syncedfile.Create(beside, base64.StdEncoding.EncodeToString(secret)+"\n", 0o600); err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	if err := os.Link(beside, s.path); err != nil && !errors.Is(err, fs.ErrExist) { // else another process was faster
		return fmt.Errorf("making a key: %w", err)
	}
	if err := syncedfile.Sync(folder); err != nil {
		return fmt.Errorf("syncing the folder of a new key: %w", err)
	}
	return nil
}
