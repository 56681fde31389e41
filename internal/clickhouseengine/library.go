// SPDX-License-Identifier: Apache-2.0

// Package clickhouseengine runs a real ClickHouse as a supervised child process. The extension clickhouse_engine and
// the test helper testbed/enginetest are thin shells around it.
package clickhouseengine

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Version is the engine's pinned version. scripts/engine.sh fetches it and knows its checksum.
const Version = "26.7.3-stable.1"

// LibraryError says why the engine's library cannot be run.
type LibraryError struct {
	Path   string
	Reason string
	Err    error // may be nil
}

func (e *LibraryError) Error() string {
	return fmt.Sprintf("ClickHouse engine library %s %s", e.Path, e.Reason)
}

func (e *LibraryError) Unwrap() error { return e.Err }

// DefaultLibraryPath is where scripts/engine.sh keeps the library: below $MILLRACE_CACHE, or millrace in the user's
// cache directory.
func DefaultLibraryPath() (string, error) {
	cache := os.Getenv("MILLRACE_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir() // $XDG_CACHE_HOME or $HOME/.cache
		if err != nil {
			return "", fmt.Errorf("finding the cache directory of the ClickHouse engine: %w", err)
		}
		cache = filepath.Join(dir, "millrace")
	}
	return filepath.Abs(filepath.Join(cache, "clickhouse-"+Version, "libchdb.so"))
}

// CheckLibrary says whether the file at path is the engine for this machine, without loading it. The error is a *LibraryError.
func CheckLibrary(path string) error {
	bad := func(err error, format string, args ...any) error {
		return &LibraryError{Path: path, Reason: fmt.Sprintf(format, args...), Err: err}
	}
	if runtime.GOOS != "linux" {
		return bad(nil, "runs on Linux only, this is %s: use a ClickHouse server instead", runtime.GOOS)
	}
	m, ok := machines[runtime.GOARCH]
	if !ok {
		return bad(nil, "has no build for %s processors: use a ClickHouse server instead", runtime.GOARCH)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad(err, "is missing: run `make engine` (scripts/engine.sh) to fetch it")
	case err != nil:
		return bad(err, "cannot be read: %v", err)
	case !info.Mode().IsRegular():
		return bad(nil, "is not a file: it must be libchdb.so; run `make engine` (scripts/engine.sh) to fetch it")
	}
	f, err := elf.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return bad(err, "cannot be read by this user: %v", err)
		}
		return bad(err, "is not a shared library (%v): remove it and run `make engine`", err)
	}
	defer func() { _ = f.Close() }()
	if f.Machine != m.elf || f.Class != elf.ELFCLASS64 {
		return bad(nil, "is built for %v, this machine is %v: remove it and run `make engine`", f.Machine, m.elf)
	}
	if f.Type != elf.ET_DYN {
		return bad(nil, "is no shared library but %v: it must be libchdb.so; run `make engine` to fetch it", f.Type)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return bad(err, "is damaged (%v): remove it and run `make engine`", err)
	}
	exported := map[string]bool{}
	for i := range symbols {
		if symbols[i].Section != elf.SHN_UNDEF {
			exported[symbols[i].Name] = true
		}
	}
	for _, name := range []string{importedSymbols[importQuery], importedSymbols[importError], importedSymbols[importSignals]} {
		if !exported[name] {
			return bad(nil, "does not export %s, so it is not libchdb.so of version %s: remove it and run `make engine`", name, Version)
		}
	}
	if _, err := os.Stat(m.interp); err != nil {
		return bad(err, "needs glibc, whose loader %s is missing (Alpine and other musl systems lack it): use a ClickHouse server instead", m.interp)
	}
	return nil
}
