// SPDX-License-Identifier: Apache-2.0

// Package enginetest starts a real ClickHouse for a test, in about a second.
//
//	engine := enginetest.Start(t)
//	engine.Exec("CREATE TABLE analytics.t (x UInt64) ENGINE = MergeTree ORDER BY x")
//	require.Equal(t, "0", engine.Query("SELECT count() FROM analytics.t"))
//
// It is the same process code as the extension clickhouse_engine. The library is fetched by scripts/engine.sh when it is not cached; when that fails,
// so does the test.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/testbed/freeport"
)

// The user and database of an engine that no option changes.
const (
	DefaultUser     = "default"
	DefaultDatabase = "analytics"
)

// Engine is a running ClickHouse. Its methods fail the test on an error, so they belong to the test's own goroutine, except Do, which returns it.
type Engine struct {
	TCPAddr  string // native protocol, 127.0.0.1:port
	HTTPAddr string
	User     string // who Query and Exec log in as
	Password string
	Database string // exists from the start; Query's and Exec's default
	DataDir  string

	tb         testing.TB
	opts       clickhouseengine.Options
	engine     *clickhouseengine.Engine
	fileAccess bool
}

// Option changes how an engine is started.
type Option func(*Engine)

// WithUser makes this the engine's user, in place of "default" without a password.
func WithUser(name, password string) Option {
	return func(e *Engine) {
		e.User, e.Password = name, password
		e.opts.Users = append(e.opts.Users, clickhouseengine.User{Name: name, Password: password})
	}
}

// WithOtherUser adds a user whom Query and Exec do not use.
func WithOtherUser(u clickhouseengine.User) Option {
	return func(e *Engine) { e.opts.Users = append(e.opts.Users, u) }
}

// WithDatabases creates these beside the default one.
func WithDatabases(names ...string) Option {
	return func(e *Engine) { e.opts.Databases = append(e.opts.Databases, names...) }
}

// WithQueryLog keeps system.query_log and system.part_log (after SYSTEM FLUSH LOGS).
func WithQueryLog() Option { return func(e *Engine) { e.opts.QueryLog = true } }

// WithSettings puts settings into the users' profile.
func WithSettings(settings map[string]string) Option {
	return func(e *Engine) { e.opts.Settings = maps.Clone(settings) }
}

// WithDataDir keeps the data in dir, which outlives the test, in place of a temporary directory.
func WithDataDir(dir string) Option { return func(e *Engine) { e.DataDir = dir } }

// WithMaxMemory bounds the engine's memory in bytes.
func WithMaxMemory(bytes int64) Option { return func(e *Engine) { e.opts.MaxMemory = bytes } }

// WithFileAccess lets the engine's user read and write every file the test may (table function file), for example Parquet files.
func WithFileAccess() Option { return func(e *Engine) { e.fileAccess = true } }

// Start runs an engine until the test ends.
func Start(tb testing.TB, options ...Option) *Engine {
	tb.Helper()
	e := &Engine{User: DefaultUser, Database: DefaultDatabase, tb: tb}
	for _, o := range options {
		o(e)
	}
	if e.DataDir == "" {
		e.DataDir = tb.TempDir()
	}
	if e.User == DefaultUser {
		e.opts.Users = append(e.opts.Users, clickhouseengine.User{Name: DefaultUser})
	}
	e.opts.Library = Library(tb)
	e.opts.DataDir = e.DataDir
	e.opts.Databases = append([]string{DefaultDatabase}, e.opts.Databases...)
	e.opts.Logger = zaptest.NewLogger(tb)
	e.opts.StartTimeout, e.opts.StopTimeout = 2*time.Minute, time.Minute // the machine may have other things to do
	if e.fileAccess {
		e.opts.Unconfined = true
		for i := range e.opts.Users {
			if u := &e.opts.Users[i]; u.Name == e.User {
				u.Grants = append(clickhouseengine.DefaultGrants(), "READ, WRITE ON FILE")
			}
		}
	}
	for attempt := 1; ; attempt++ {
		addrs := freeport.Must(tb, 2)
		e.TCPAddr, e.HTTPAddr = addrs[0], addrs[1]
		e.opts.TCPAddr, e.opts.HTTPAddr = e.TCPAddr, e.HTTPAddr
		e.engine = clickhouseengine.New(e.opts)
		err := e.engine.Start(context.Background())
		if err == nil {
			break
		}
		// A package tested at the same time can have taken a port that was free a moment ago.
		var taken *clickhouseengine.AddressError
		if !errors.As(err, &taken) || attempt == 3 {
			tb.Fatalf("starting the ClickHouse engine: %v", err)
		}
	}
	tb.Cleanup(func() {
		if err := e.engine.Stop(context.Background()); err != nil {
			tb.Errorf("stopping the ClickHouse engine: %v", err)
		}
	})
	return e
}

func (e *Engine) start() {
	e.tb.Helper()
	e.engine = clickhouseengine.New(e.opts)
	if err := e.engine.Start(context.Background()); err != nil {
		e.tb.Fatalf("starting the ClickHouse engine: %v", err)
	}
}

// Do runs one statement over HTTP and returns its answer as TabSeparated, without the last newline.
func (e *Engine) Do(ctx context.Context, sql string) (string, error) {
	q := url.Values{"database": {e.Database}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+e.HTTPAddr+"/?"+q.Encode(), strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-ClickHouse-User", e.User)
	if e.Password != "" {
		req.Header.Set("X-ClickHouse-Key", e.Password)
	}
	req.Close = true // leave no connection to an engine that a test kills
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", res.Status, body)
	}
	return strings.TrimSuffix(string(body), "\n"), nil
}

// Query returns the answer as TabSeparated, without the last newline.
func (e *Engine) Query(sql string) string {
	e.tb.Helper()
	out, err := e.Do(context.Background(), sql)
	if err != nil {
		e.tb.Fatalf("ClickHouse query %.300q: %v", sql, err)
	}
	return out
}

// Exec runs a statement whose answer does not matter.
func (e *Engine) Exec(sql string) {
	e.tb.Helper()
	e.Query(sql)
}

// Kill ends the engine by SIGKILL and leaves it down until Restart.
func (e *Engine) Kill() {
	e.tb.Helper()
	if err := e.engine.Abort(); err != nil {
		e.tb.Fatalf("killing the ClickHouse engine: %v", err)
	}
}

// Restart starts the engine again on the same data and addresses, after a clean stop if it runs.
func (e *Engine) Restart() {
	e.tb.Helper()
	if err := e.engine.Stop(context.Background()); err != nil {
		e.tb.Fatalf("stopping the ClickHouse engine: %v", err)
	}
	e.start()
}

// PID of the engine's process, or 0 while it is down.
func (e *Engine) PID() int { return e.engine.PID() }

// CPU is the user and system time the engine's process has used, in steps of 10 ms.
func (e *Engine) CPU() time.Duration {
	e.tb.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.PID()))
	if err != nil {
		e.tb.Fatalf("reading the ClickHouse engine's CPU time: %v", err)
	}
	// The second field is the program's name in parentheses, and may hold anything.
	stat := string(raw)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, fields 14 and 15 of the whole
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			e.tb.Fatalf("reading the ClickHouse engine's CPU time: %v", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ is 100 on every Linux
}
