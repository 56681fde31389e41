// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const stopTimeout = 30 * time.Second

// process is a child. exited is closed when it has ended; err and cpu are set before.
type process struct {
	name   string
	cmd    *exec.Cmd
	log    string // file of its standard error
	exited chan struct{}
	err    error
	cpu    time.Duration // its own and its children's
}

// launch starts a child that ends with us, even if we are killed. Standard output goes to out, or to the log where it
// is nil. A Ctrl-C at the terminal is ours alone: we end the child.
func launch(name, log string, out *bytes.Buffer, env []string, path string, args ...string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	cmd := exec.Command(path, args...) // no context: stop ends it, in order
	cmd.Stdout, cmd.Stderr = f, f
	if out != nil {
		cmd.Stdout = out
	}
	cmd.SysProcAttr = childAttr()
	cmd.Env = append(os.Environ(), env...)
	p := &process{name: name, cmd: cmd, log: log, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child with the thread that started it: keep that thread.
		runtime.LockOSThread()
		defer close(p.exited)
		err := cmd.Start()
		_ = f.Close() // the child has its own
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		p.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// died describes an end that nobody asked for. Only after exited is closed.
func (p *process) died() error {
	why := "it ended by itself"
	if p.err != nil {
		why = p.err.Error()
	}
	return fmt.Errorf("%s is gone: %s. Its last words:\n%s", p.name, why, tail(p.log, 12))
}

func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// stop ends the child, by force if it does not end by itself.
func (p *process) stop() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill() // it is the last thing to try
		<-p.exited
		return fmt.Errorf("%s did not stop within %s and was killed", p.name, stopTimeout)
	}
}

// finish waits for a child that ends by itself.
func (p *process) finish(ctx context.Context) error {
	select {
	case <-p.exited:
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.stop())
	}
	if p.err != nil {
		return p.died()
	}
	return nil
}

// runToEnd runs a command and returns what it wrote and the CPU time of it and its children.
func (b *bench) runToEnd(ctx context.Context, env []string, path string, args ...string) (string, time.Duration, error) {
	name := filepath.Base(path)
	var out bytes.Buffer
	p, err := launch(name, filepath.Join(b.dir, name+".log"), &out, env, path, args...)
	if err != nil {
		return "", 0, err
	}
	if err := p.finish(ctx); err != nil {
		return "", 0, err
	}
	return out.String(), p.cpu, nil
}

// freeAddrs returns loopback addresses nobody listens on now.
func freeAddrs(n int) ([]string, error) {
	addrs := make([]string, n)
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer func() { _ = l.Close() }() // after all, so that they differ
		addrs[i] = l.Addr().String()
	}
	return addrs, nil
}

// poll asks until the answer is yes, or an error, or patience ends.
func poll(ctx context.Context, what string, every, patience time.Duration, f func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		ok, err := f()
		switch {
		case err != nil:
			return err
		case ok:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("after %s still not: %s", patience, what)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(every):
		}
	}
}
