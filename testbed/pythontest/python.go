// SPDX-License-Identifier: Apache-2.0

// Package pythontest runs Python for a test: to read Parquet files as their users do (pyarrow, DuckDB), and to ask what others say of
// personal data (python-stdnum, faker).
//
//	out := pythontest.Run(t, "import sys, pyarrow.parquet as pq; print(pq.read_metadata(sys.argv[1]).num_rows)", path)
//
// It runs in the environment that scripts/python.sh makes. Where there is no Python, or its packages cannot be had, the test is
// skipped and says so; with MILLRACE_REQUIRE_PYTHON=1 it fails.
package pythontest

import (
	"bytes"
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/millrace/millrace/testbed/fetched"
)

// RequireVariable makes a missing Python a failure instead of a skip, if it is set to anything.
const RequireVariable = "MILLRACE_REQUIRE_PYTHON"

// timeout is for one script, on a busy machine.
const timeout = 10 * time.Minute

var it = fetched.New("Python with pyarrow, DuckDB, python-stdnum and faker", "python.sh", RequireVariable)

// Path returns the path of the environment's python, or ends the test.
func Path(tb testing.TB) string {
	tb.Helper()
	return it.Path(tb)
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
