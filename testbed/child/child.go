// SPDX-License-Identifier: Apache-2.0

// Package child runs programs that end with us, however we end.
package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Process is a child that was started. Safe for concurrent use.
type Process struct {
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when the child has ended; err is set before
	err    error
}

// Start runs cmd in a process group of its own: a Ctrl-C at the terminal is ours alone, and we end the child. If we are
// killed, the kernel sends it orphaned (Linux only). Its output goes to log, which is closed whatever happens; a
// standard output that cmd has already is kept. The name is the child's in errors.
func Start(name string, cmd *exec.Cmd, log *os.File, orphaned syscall.Signal) (*Process, error) {
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Stderr = log
	cmd.SysProcAttr = attributes(orphaned)
	p := &Process{name: name, cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child with the thread that started it: keep that thread.
		runtime.LockOSThread()
		defer close(p.exited)
		err := cmd.Start()
		_ = log.Close() // the child has its own
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// PID is valid until the child has exited; then it may become another process'.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the child has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err says how the child ended, as exec.Cmd.Wait does. It waits for that.
func (p *Process) Err() error {
	<-p.exited
	return p.err
}

// CPU returns the user and system time that the child and its own children took. It waits for its end.
func (p *Process) CPU() time.Duration {
	<-p.exited
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// Died describes an end that nobody asked for. It waits for that.
func (p *Process) Died() error {
	why := "it ended by itself"
	if err := p.Err(); err != nil {
		why = err.Error()
	}
	return fmt.Errorf("%s is gone: %s. The end of %s:\n%s", p.name, why, p.log, p.Tail(12))
}

// Tail returns the last lines of the child's log, indented.
func (p *Process) Tail(lines int) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// Stop ends the child in order, if it still runs; see End.
func (p *Process) Stop(timeout time.Duration) error {
	select {
	case <-p.exited:
		return nil
	default:
		return p.End(syscall.SIGTERM, timeout)
	}
}

// End sends the signal and waits. A child that has not ended after the timeout is killed, which is an error; how it
// ended otherwise is Err's to say.
func (p *Process) End(signal syscall.Signal, timeout time.Duration) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(timeout):
		_ = p.cmd.Process.Kill() // it is the last thing to try
		<-p.exited
		return fmt.Errorf("%s did not stop within %s and was killed. The end of %s:\n%s", p.name, timeout, p.log, p.Tail(12))
	}
}
