// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// terminateGrace is what a child has between SIGTERM and SIGKILL. SIGTERM's default action ends it at once.
const terminateGrace = time.Second

// child is one engine process. exited is closed when it is gone and err and tail may be read.
type child struct {
	pid     int
	process *os.Process
	stdin   *os.File // held open as long as the engine shall run
	started time.Time
	exited  chan struct{}
	ended   time.Time
	err     error // how it ended; never nil after exited
	tail    tail
}

// spawn starts the engine's process.
func (e *Engine) spawn() (*child, error) {
	host, tcpPort, err := net.SplitHostPort(e.opts.TCPAddr)
	if err != nil {
		return nil, fmt.Errorf("reading tcp_endpoint: %w", err)
	}
	_, httpPort, err := net.SplitHostPort(e.opts.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("reading http_endpoint: %w", err)
	}
	stdinRead, stdinWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting the ClickHouse engine: %w", err)
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the ClickHouse engine: %w", err), stdinRead.Close(), stdinWrite.Close())
	}
	cmd := &exec.Cmd{
		Path: e.files.launcher(),
		Args: []string{
			"clickhouse", "--config-file", e.files.config(), "--path", e.files.server(), "--log-level", "warning",
			"--listen_host", host, "--tcp_port", tcpPort, "--http_port", httpPort, "--query", startQuery(&e.opts),
		},
		// The collector's environment can hold keys that are none of the engine's business.
		Env:         []string{"PATH=" + os.Getenv("PATH"), "HOME=" + e.files.run(), "TZ=UTC", "LANG=C.UTF-8"},
		Dir:         e.files.server(),
		Stdin:       stdinRead,
		Stdout:      outWrite,
		Stderr:      outWrite,
		ExtraFiles:  []*os.File{e.lock}, // 3: the data directory is taken until the engine is gone too
		SysProcAttr: childAttributes(),
	}
	if len(e.opts.Readable) > 0 {
		cmd.Dir = filepath.Dir(e.opts.Readable[0])
	}
	if !e.opts.Unconfined {
		rules, err := ruleset(e.files, e.opts.Readable)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("confining the ClickHouse engine: %w: set confined: false to go without", err),
				stdinRead.Close(), stdinWrite.Close(), outRead.Close(), outWrite.Close())
		}
		defer func() { _ = rules.Close() }()
		cmd.ExtraFiles = append(cmd.ExtraFiles, rules) // rulesDescriptor
	}
	c := &child{stdin: stdinWrite, exited: make(chan struct{})}
	up := make(chan error)
	go c.run(cmd, up, outRead, e)
	err = <-up
	_ = stdinRead.Close()
	_ = outWrite.Close()
	if err != nil {
		_, _ = stdinWrite.Close(), outRead.Close()
		if isNoExec(err) {
			return nil, &DataDirError{Dir: e.files.root, Reason: "allows no programs (mounted noexec?), and the engine's launcher lies there: choose another directory", Err: err}
		}
		return nil, fmt.Errorf("starting the ClickHouse engine: %w", err)
	}
	return c, nil
}

// run starts the process and waits for its end on one thread: the kernel's parent-death signal is sent when the thread that started the process
// ends, and Go ends threads.
func (c *child) run(cmd *exec.Cmd, up chan<- error, out *os.File, e *Engine) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	// Another goroutine may fork while the launcher is open for writing; its child closes the file at its exec.
	for i := 0; isBusy(err) && i < 50; i++ {
		time.Sleep(pollInterval)
		retry := *cmd
		cmd = &exec.Cmd{
			Path: retry.Path, Args: retry.Args, Env: retry.Env, Dir: retry.Dir, Stdin: retry.Stdin, Stdout: retry.Stdout,
			Stderr: retry.Stderr, ExtraFiles: retry.ExtraFiles, SysProcAttr: retry.SysProcAttr,
		}
		err = cmd.Start()
	}
	if err != nil {
		up <- err
		return
	}
	c.started, c.process, c.pid = time.Now(), cmd.Process, cmd.Process.Pid
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		forward(out, e.opts.Logger, &c.tail)
	}()
	up <- nil

	c.err = cmd.Wait()
	c.ended = time.Now()
	if c.err == nil {
		c.err = errors.New("exit status 0")
	}
	_ = out.SetReadDeadline(time.Now().Add(time.Second)) // should something else hold the pipe
	<-logged
	_ = out.Close()
	_ = c.stdin.Close()
	close(c.exited)
}

// age is how long a child ran that has ended.
func (c *child) age() time.Duration { return c.ended.Sub(c.started) }

func (c *child) kill() { _ = c.process.Kill() }

// stop ends the child and returns when it is gone. The error says that force was needed.
func (c *child) stop(ctx context.Context, timeout time.Duration) error {
	_ = c.stdin.Close() // the engine's session ends, and with it the engine, in order
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
	case <-time.After(timeout):
	}
	_ = c.process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(terminateGrace):
		c.kill()
		<-c.exited
	}
	return fmt.Errorf("stopping the ClickHouse engine: it did not end within %s and was killed (what it had acknowledged is safe)", timeout)
}
