// SPDX-License-Identifier: Apache-2.0

// Package pythontest runs Python with pyarrow and DuckDB for a test: to read Parquet files as their users do.
//
//	out := pythontest.Run(t, "import sys, pyarrow.parquet as pq; print(pq.read_metadata(sys.argv[1]).num_rows)", path)
//
// It runs in the environment that scripts/python.sh makes. Where there is no Python, or its packages cannot be had, the test is
// skipped and says so; with MILLRACE_REQUIRE_PYTHON=1 it fails.
package pythontest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// RequireVariable makes a missing Python a failure instead of a skip, if it is set to anything.
const RequireVariable = "MILLRACE_REQUIRE_PYTHON"

// timeout is for one script, on a busy machine.
const timeout = 2 * time.Minute

var errLacking = errors.New("this machine lacks what Python with pyarrow and DuckDB needs")

// fetched is this process's one fetch.
var fetched = sync.OnceValues(func() (string, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("finding scripts/python.sh: the test binary does not know where its source is")
	}
	script := filepath.Join(filepath.Dir(here), "..", "..", "scripts", "python.sh")
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
})

// Path returns the path of the environment's python, or ends the test.
func Path(tb testing.TB) string {
	tb.Helper()
	path, err := fetched()
	switch {
	case errors.Is(err, errLacking) && os.Getenv(RequireVariable) == "":
		tb.Skipf("SKIPPED, NOT PASSED: nothing was tried with pyarrow and DuckDB: %v", err)
	case err != nil:
		tb.Fatalf("making a Python environment: %v", err)
	}
	return path
}

// Run runs the script with the arguments, sys.argv[1:] in it, and returns what it printed. A script that fails is the test's failure.
func Run(tb testing.TB, script string, args ...string) string {
	tb.Helper()
	path := Path(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"-I", "-c", script}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("running a Python script: %v\n%s", err, said.String())
	}
	return string(out)
}
