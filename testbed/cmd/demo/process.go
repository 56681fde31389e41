// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/testbed/chhttp"
)

// process is the collector as a child.
type process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when it has ended; err is set before
	err    error
}

// start runs the collector in a process group of its own: a Ctrl-C at the terminal is the demo's, which then
// stops it in order.
func start(o *options, places map[string]*place) (*process, error) {
	if _, err := os.Stat(o.binary); err != nil {
		return nil, fmt.Errorf("%s is missing: run make build first", o.binary)
	}
	log, err := os.Create(logPath(o))
	if err != nil {
		return nil, fmt.Errorf("starting the collector: %w", err)
	}
	cmd := exec.Command(o.binary, "--config", o.config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	cmd.Env = append(os.Environ(), "MILLRACE_DATA_DIR="+o.dataDir)
	for name, p := range places {
		cmd.Env = append(cmd.Env, name+"="+p.addr)
	}
	p := &process{cmd: cmd, log: logPath(o), exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child with the thread that started it: keep that thread.
		runtime.LockOSThread()
		defer close(p.exited)
		err := cmd.Start()
		_ = log.Close() // the child has its own
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting the collector: %w", err)
	}
	return p, nil
}

// died describes an end that nobody asked for. Only after exited is closed.
func (p *process) died() error {
	why := "it ended by itself"
	if p.err != nil {
		why = p.err.Error()
	}
	return fmt.Errorf("the collector is gone: %s. The end of %s:\n%s", why, p.log, tail(p.log, 12))
}

func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// awaitReady returns when ClickHouse answers and every receiver listens.
func (p *process) awaitReady(ctx context.Context, ch *chhttp.Client, places map[string]*place) error {
	deadline := time.NewTimer(readyTimeout)
	defer deadline.Stop()
	for {
		if ready(ctx, ch, places) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.exited:
			return p.died()
		case <-deadline.C:
			return fmt.Errorf("the collector is not ready after %s. The end of %s:\n%s", readyTimeout, p.log, tail(p.log, 12))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ready(ctx context.Context, ch *chhttp.Client, places map[string]*place) bool {
	for _, name := range []string{otlpGRPC, otlpHTTP, segment} {
		conn, err := net.DialTimeout("tcp", places[name].addr, time.Second)
		if err != nil {
			return false
		}
		_ = conn.Close() // nothing was said
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := ch.Int(ctx, "SELECT count() FROM system.databases WHERE name = 'analytics'")
	return err == nil
}

const stopTimeout = 20 * time.Second

// stop ends the collector, and with it the engine that it supervises.
func (p *process) stop() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the collector: %w", err)
	}
	select {
	case <-p.exited:
		if p.err != nil {
			return fmt.Errorf("stopping the collector: %w", p.died())
		}
		return nil
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill() // it is the last thing to try
		<-p.exited
		return fmt.Errorf("the collector did not stop within %s and was killed; see %s", stopTimeout, p.log)
	}
}
