// SPDX-License-Identifier: Apache-2.0

// Package fetched is what scripts/*.sh fetch or build for tests: a real Kafka, MinIO, Python. Each script prints where it lies,
// and exits with 3 and the reason where it cannot be had.
package fetched

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Thing is one of them, fetched at most once by a process. Any goroutine may use it.
type Thing struct {
	name     string
	script   string
	variable string
	once     func() (string, error)
}

var errLacking = errors.New("it cannot be had on this machine")

// New names a thing for people, its script, and the variable that makes its lack a failure if it is set to anything.
func New(name, script, variable string) *Thing {
	t := &Thing{name: name, script: script, variable: variable}
	t.once = sync.OnceValues(t.fetch)
	return t
}

func (t *Thing) fetch() (string, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", fmt.Errorf("finding scripts/%s: the test binary does not know where its source is", t.script)
	}
	script := filepath.Join(filepath.Dir(here), "..", "..", "scripts", t.script)
	var said bytes.Buffer
	cmd := exec.Command(script)
	cmd.Stderr = &said
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		return "", fmt.Errorf("%w: %s", errLacking, strings.TrimSpace(said.String()))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", script, err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// Path returns where it lies, or ends the test: as skipped where it cannot be had.
func (t *Thing) Path(tb testing.TB) string {
	tb.Helper()
	path, err := t.once()
	switch {
	case errors.Is(err, errLacking) && os.Getenv(t.variable) == "":
		tb.Skipf("SKIPPED, NOT PASSED: nothing was tried with a real %s: %v", t.name, err)
	case err != nil:
		tb.Fatalf("fetching %s: %v", t.name, err)
	}
	return path
}
