// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// childAttributes makes the engine die with the thread that started it, and keeps a terminal's interrupt from it: the collector still has to
// write to it while it shuts down.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked")

// tryLock takes the lock file. The returned file is the lock: whoever inherits it holds it too.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := make([]byte, 32)
		n, _ := f.ReadAt(holder, 0)
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w by process %s", errLocked, strings.TrimSpace(string(holder[:n])))
		}
		return nil, err
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0) // only for the message above
	}
	return f, nil
}

const errPortTaken = syscall.EADDRINUSE

func isBusy(err error) bool      { return errors.Is(err, syscall.ETXTBSY) }
func isNoExec(err error) bool    { return errors.Is(err, syscall.EACCES) }
func isPortTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
