// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// A collector that was killed leaves an engine that is being killed: its lock and its ports are free a moment later.
	leftoverPatience = 6 * time.Second
	pollInterval     = 20 * time.Millisecond
)

// AddressError says that an address cannot be listened on.
type AddressError struct {
	Field string // the option: tcp_endpoint or http_endpoint
	Addr  string
	Err   error
}

func (e *AddressError) Error() string {
	if isPortTaken(e.Err) {
		return fmt.Sprintf("%s %s: another program listens there: stop it or choose another port", e.Field, e.Addr)
	}
	return fmt.Sprintf("%s %s: cannot listen there: %v", e.Field, e.Addr, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// DataDirError says that the data directory cannot be used.
type DataDirError struct {
	Dir    string
	Reason string
	Err    error
}

func (e *DataDirError) Error() string { return fmt.Sprintf("data_dir %s %s", e.Dir, e.Reason) }

func (e *DataDirError) Unwrap() error { return e.Err }

// ErrNotRunning is returned where a running engine is needed.
var ErrNotRunning = errors.New("the ClickHouse engine is not running")

// Engine is one supervised ClickHouse. Start and Stop are called once each, in this order; the rest at any time.
type Engine struct {
	opts    Options
	library string
	files   layout
	lock    *os.File // from Start to Stop

	child    atomic.Pointer[child] // set by Start and the supervisor; nil while none runs
	restarts atomic.Int64          // written by the supervisor

	stopOnce sync.Once
	stopping chan struct{} // closed by Stop
	done     chan struct{} // closed when the supervisor has ended; nil before it runs
}

// New checks nothing yet: Start does.
func New(o Options) *Engine {
	return &Engine{opts: o.withDefaults(), stopping: make(chan struct{})}
}

// Start returns when the engine answers on both ports, or with the reason why it does not; nothing is left behind then.
// The context bounds the start only.
func (e *Engine) Start(ctx context.Context) (err error) {
	e.library = e.opts.Library
	if e.library == "" {
		if e.library, err = DefaultLibraryPath(); err != nil {
			return err
		}
	}
	if e.library, err = filepath.Abs(e.library); err != nil {
		return fmt.Errorf("finding the ClickHouse engine library: %w", err)
	}
	if err := CheckLibrary(e.library); err != nil {
		return err
	}
	root, err := filepath.Abs(e.opts.DataDir)
	if err != nil {
		return fmt.Errorf("finding the ClickHouse engine's data directory: %w", err)
	}
	e.files = layout{root: root}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return &DataDirError{Dir: root, Reason: fmt.Sprintf("cannot be created: %v", err), Err: err}
	}

	if err := e.confine(); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, e.opts.StartTimeout)
	defer cancel()
	if e.lock, err = e.acquire(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.lock.Close())
		}
	}()
	c, err := e.launch(ctx)
	if err != nil {
		return err
	}
	e.child.Store(c)
	e.done = make(chan struct{})
	go e.supervise(c)
	return nil
}

// confine settles whether the kernel keeps the engine to its files, and with it whether users may read any.
func (e *Engine) confine() error {
	if err := canConfine(); err != nil && !e.opts.Unconfined {
		e.opts.Unconfined = true
		e.opts.Logger.Warn("ClickHouse engine cannot be confined: users who may INSERT can read every file that the collector can, by FROM INFILE",
			zap.Error(err))
	}
	if e.opts.Unconfined && len(e.opts.Readable) > 0 {
		e.opts.Logger.Warn("ClickHouse engine is not confined: users get no right to read files", zap.Strings("readable", e.opts.Readable))
		e.opts.Readable = nil
	}
	dirs := make([]string, len(e.opts.Readable))
	for i, dir := range e.opts.Readable {
		var err error
		if dirs[i], err = filepath.Abs(dir); err != nil {
			return fmt.Errorf("finding readable directory %q: %w", dir, err)
		}
		if err := os.MkdirAll(dirs[i], 0o755); err != nil { //nolint:gosec // as whoever writes the files would
			return fmt.Errorf("creating readable directory: %w", err)
		}
	}
	e.opts.Readable = dirs
	return nil
}

// acquire takes the data directory's lock.
func (e *Engine) acquire(ctx context.Context) (*os.File, error) {
	var lock *os.File
	err := retry(ctx, leftoverPatience, func() (bool, error) {
		var err error
		lock, err = tryLock(e.files.lock())
		return errors.Is(err, errLocked), err
	})
	switch {
	case errors.Is(err, errLocked):
		return nil, &DataDirError{Dir: e.files.root, Reason: fmt.Sprintf("is in use (%v): give every collector a directory of its own", err), Err: err}
	case err != nil:
		return nil, &DataDirError{Dir: e.files.root, Reason: fmt.Sprintf("cannot be written to: %v", err), Err: err}
	}
	return lock, nil
}

// retry calls f until it succeeds, says that trying again is useless, or patience or context end. It returns f's last error.
func retry(ctx context.Context, patience time.Duration, f func() (again bool, err error)) error {
	deadline := time.Now().Add(patience)
	for {
		again, err := f()
		if err == nil || !again || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
}

func (e *Engine) addresses() []AddressError {
	return []AddressError{{Field: "tcp_endpoint", Addr: e.opts.TCPAddr}, {Field: "http_endpoint", Addr: e.opts.HTTPAddr}}
}

// checkPorts says which address is taken: the engine's own message names no option, and comes after its files are open.
func (e *Engine) checkPorts(ctx context.Context) error {
	for _, a := range e.addresses() {
		err := retry(ctx, leftoverPatience, func() (bool, error) {
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Addr)
			if err != nil {
				return isPortTaken(err), err
			}
			return false, l.Close()
		})
		if err != nil {
			a.Err = err
			return &a
		}
	}
	return nil
}

// launch starts one child and waits until it answers. The context bounds the wait.
func (e *Engine) launch(ctx context.Context) (*child, error) {
	if err := e.checkPorts(ctx); err != nil {
		return nil, err
	}
	if err := prepare(e.files, &e.opts, e.library); err != nil {
		return nil, &DataDirError{Dir: e.files.root, Reason: fmt.Sprintf("cannot be used: %v", err), Err: err}
	}
	c, err := e.spawn()
	if err != nil {
		return nil, err
	}
	if err := e.awaitReady(ctx, c); err != nil {
		c.kill()
		<-c.exited
		return nil, err
	}
	// It has been read, and what the engine can open its users may be able to.
	if err := os.Remove(e.files.users()); err != nil {
		e.opts.Logger.Warn("ClickHouse engine's list of users was not removed", zap.Error(err))
	}
	return c, nil
}

// awaitReady returns when HTTP and native TCP answer.
func (e *Engine) awaitReady(ctx context.Context, c *child) error {
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil},
		Timeout:   2 * time.Second,
	}
	started := time.Now()
	for {
		err := ping(ctx, client, e.opts.HTTPAddr)
		if err == nil {
			var conn net.Conn
			if conn, err = (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", e.opts.TCPAddr); err == nil {
				_ = conn.Close()
			}
		}
		select {
		case <-c.exited: // even if something answered: it was not this engine
			return e.diedError(c)
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
		case <-e.stopping:
			return ErrNotRunning
		case <-ctx.Done():
			return fmt.Errorf("waiting for the ClickHouse engine: no answer on %s after %s (start_timeout %s): %w: %w",
				e.opts.HTTPAddr, time.Since(started).Round(time.Millisecond), e.opts.StartTimeout, ctx.Err(), err)
		case <-time.After(pollInterval):
		}
	}
}

func ping(ctx context.Context, client *http.Client, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/ping", http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 100))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "Ok.") {
		return fmt.Errorf("%s answered /ping with %s %q", addr, res.Status, body)
	}
	return nil
}

// diedError says how a child ended, which it has.
func (e *Engine) diedError(c *child) error {
	said := c.tail.String()
	if strings.Contains(said, "Cannot lock file") {
		return &DataDirError{Dir: e.files.root, Reason: "is in use by another ClickHouse: give every engine a directory of its own", Err: c.err}
	}
	for _, a := range e.addresses() { // somebody took the port after it was found free
		if _, port, _ := net.SplitHostPort(a.Addr); strings.Contains(said, "]:"+port+" failed") && strings.Contains(said, "Address already in use") {
			a.Err = errPortTaken
			return &a
		}
	}
	var exit *exec.ExitError
	if said == "" && errors.As(c.err, &exit) && exit.ExitCode() == exitUnconfined {
		return fmt.Errorf("ClickHouse engine ended (%w): the kernel refused to confine it: set confined: false to go without", c.err)
	}
	if said == "" {
		said = "nothing"
	}
	return fmt.Errorf("ClickHouse engine ended (%w); its last words: %s", c.err, said)
}

// supervise restarts the engine until Stop.
func (e *Engine) supervise(c *child) {
	defer close(e.done)
	wait := e.opts.RestartInitial
	for {
		select {
		case <-c.exited:
		case <-e.stopping:
			return // Stop ends the child
		}
		e.child.Store(nil)
		if c.age() > e.opts.RestartMax {
			wait = e.opts.RestartInitial
		}
		select {
		case <-e.stopping: // it ended because the machine shuts down, or so
			return
		default:
		}
		err := e.diedError(c)
		for c = nil; c == nil; {
			e.opts.Logger.Error("ClickHouse engine is down, restarting", zap.Error(err), zap.Duration("wait", wait))
			e.opts.OnDown(err)
			select {
			case <-time.After(wait):
			case <-e.stopping:
				return
			}
			wait = min(2*wait, e.opts.RestartMax)
			c, err = e.relaunch()
			select {
			case <-e.stopping:
				e.child.Store(c) // for Stop to end
				return
			default:
			}
		}
		e.child.Store(c)
		n := e.restarts.Add(1)
		e.opts.Logger.Info("ClickHouse engine is back", zap.Int("pid", c.pid), zap.Int64("restarts", n))
		e.opts.OnUp(n)
	}
}

// relaunch is launch within StartTimeout and until Stop.
func (e *Engine) relaunch() (*child, error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.opts.StartTimeout)
	defer cancel()
	go func() {
		select {
		case <-e.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return e.launch(ctx)
}

// Stop ends the engine: in order within StopTimeout, then by force. It returns when the process is gone, and is harmless when nothing runs.
func (e *Engine) Stop(ctx context.Context) error {
	return e.end(func(c *child) error { return c.stop(ctx, e.opts.StopTimeout) })
}

// Abort ends the engine for good as a crash of the machine does: by SIGKILL, with no restart.
func (e *Engine) Abort() error {
	return e.end(func(c *child) error {
		c.kill()
		<-c.exited
		return nil
	})
}

func (e *Engine) end(how func(*child) error) error {
	var err error
	e.stopOnce.Do(func() {
		close(e.stopping)
		if e.done == nil {
			return
		}
		<-e.done
		if c := e.child.Swap(nil); c != nil {
			err = how(c)
		}
		err = errors.Join(err, e.lock.Close())
	})
	return err
}

// PID of the running engine, or 0.
func (e *Engine) PID() int {
	if c := e.child.Load(); c != nil {
		return c.pid
	}
	return 0
}

// Restarts counts the restarts since Start.
func (e *Engine) Restarts() int64 { return e.restarts.Load() }

// Kill ends the running engine by SIGKILL, as a crash does, and returns when it is gone. The supervisor restarts it.
func (e *Engine) Kill() error {
	c := e.child.Load()
	if c == nil {
		return ErrNotRunning
	}
	c.kill()
	<-c.exited
	return nil
}
