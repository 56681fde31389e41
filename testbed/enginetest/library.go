// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/internal/clickhouseengine"
)

// fetched is this process's one fetch; packages tested at the same time meet in the script's lock.
var fetched = sync.OnceValues(func() (string, error) {
	path, err := clickhouseengine.DefaultLibraryPath()
	if err != nil {
		return "", err
	}
	if err := clickhouseengine.CheckLibrary(path); err == nil {
		return path, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("finding scripts/engine.sh: the test binary does not know where its source is")
	}
	script, err := findScript(filepath.Dir(here))
	if err != nil {
		return "", err
	}
	var said bytes.Buffer
	cmd := exec.Command(script)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", errors.New(script + ": " + err.Error() + "\n" + said.String())
	}
	return strings.TrimSpace(string(out)), nil
})

// findScript looks for the module's root from the source's directory up, or, in a binary built with -trimpath, from the working directory.
func findScript(source string) (string, error) {
	starts := []string{source}
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	for _, dir := range starts {
		for ; filepath.IsAbs(dir); dir = filepath.Dir(dir) {
			script := filepath.Join(dir, "scripts", "engine.sh")
			if _, err := os.Stat(script); err == nil {
				return script, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("scripts/engine.sh is not above " + strings.Join(starts, " nor above "))
}

// Library returns the path of the engine's library, fetching it when it is not there.
func Library(tb testing.TB) string {
	tb.Helper()
	path, err := fetched()
	if err != nil {
		tb.Fatalf("the ClickHouse engine that this test runs on is not there and cannot be fetched: %v", err)
	}
	return path
}
