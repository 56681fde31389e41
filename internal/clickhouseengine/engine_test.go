// SPDX-License-Identifier: Apache-2.0

//go:build linux

package clickhouseengine_test

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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/freeport"
)

// patience with the engine: the machine may have other things to do.
const patience = 2 * time.Minute

// parentVariable makes the test binary a collector that holds an engine; its value is the data directory.
const parentVariable = "MILLRACE_TEST_ENGINE_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVariable); dir != "" {
		beParent(dir)
	}
	goleak.VerifyTestMain(m)
}

// beParent starts an engine, says so, and waits to be killed.
func beParent(dir string) {
	e := clickhouseengine.New(clickhouseengine.Options{
		DataDir: dir, TCPAddr: os.Args[1], HTTPAddr: os.Args[2], Library: os.Args[3], StartTimeout: patience,
		Users: []clickhouseengine.User{{Name: "default"}}, Databases: []string{"kept"},
	})
	if err := e.Start(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("pid", e.PID())
	select {}
}

func options(t *testing.T) clickhouseengine.Options {
	t.Helper()
	addrs := freeport.Must(t, 2)
	return clickhouseengine.Options{
		Library: enginetest.Library(t), DataDir: t.TempDir(), TCPAddr: addrs[0], HTTPAddr: addrs[1],
		StartTimeout: patience, StopTimeout: patience,
		Users:     []clickhouseengine.User{{Name: "app", Password: "secret"}},
		Databases: []string{"kept"},
		Logger:    zaptest.NewLogger(t),
	}
}

func start(t *testing.T, o clickhouseengine.Options) *clickhouseengine.Engine {
	t.Helper()
	e := clickhouseengine.New(o)
	require.NoError(t, e.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, e.Stop(context.Background())) })
	return e
}

// query returns the status, ClickHouse's error code and the answer.
func query(addr, user, password, sql string) (int, string, string, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/", strings.NewReader(sql))
	if err != nil {
		return 0, "", "", err
	}
	req.Header.Set("X-ClickHouse-User", user)
	req.Header.Set("X-ClickHouse-Key", password)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header.Get("X-ClickHouse-Exception-Code"), strings.TrimSpace(string(body)), err
}

func mustQuery(t *testing.T, addr, sql string) string {
	t.Helper()
	status, _, body, err := query(addr, "app", "secret", sql)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, body)
	return body
}

// gone says whether no process has this ID any more; one that nobody has waited for yet counts as gone.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}
	return strings.HasPrefix(string(stat)[strings.LastIndexByte(string(stat), ')')+1:], " Z")
}

func TestEngineIsReadyWhenStartReturnsAndGoneWhenStopDoes(t *testing.T) {
	t.Parallel()
	o := options(t)
	e := clickhouseengine.New(o)
	require.NoError(t, e.Start(context.Background()))
	pid := e.PID()
	require.NotZero(t, pid)
	require.Equal(t, "app", mustQuery(t, o.HTTPAddr, "SELECT currentUser()"))
	require.Equal(t, "Atomic", mustQuery(t, o.HTTPAddr, "SELECT engine FROM system.databases WHERE name = 'kept'"))
	require.Equal(t, "UTC", mustQuery(t, o.HTTPAddr, "SELECT serverTimezone()"))
	conn, err := net.Dial("tcp", o.TCPAddr)
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	require.NoError(t, e.Stop(context.Background()))
	require.True(t, gone(pid))
	require.Zero(t, e.PID())
	require.NoError(t, e.Stop(context.Background()), "a second Stop is harmless")
	for _, addr := range []string{o.TCPAddr, o.HTTPAddr} {
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}

func TestEngineThatWasNeverStartedStops(t *testing.T) {
	t.Parallel()
	e := clickhouseengine.New(clickhouseengine.Options{})
	require.NoError(t, e.Stop(context.Background()))
	require.ErrorIs(t, e.Kill(), clickhouseengine.ErrNotRunning)
}

func TestEngineRefusesAWrongPasswordAndShutsDefaultOut(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Users = append(o.Users, clickhouseengine.User{Name: "reader", Password: "r", Databases: []string{"kept"}, ReadOnly: true},
		clickhouseengine.User{Name: "far", Password: "f", Networks: []string{"192.0.2.0/24"}})
	start(t, o)
	f := func(user, password, sql, wantCode string) {
		t.Helper()
		_, code, body, err := query(o.HTTPAddr, user, password, sql)
		require.NoError(t, err)
		require.Equal(t, wantCode, code, body)
	}
	const authenticationFailed, accessDenied, quotaExceeded = "516", "497", "201"
	f("app", "secret", "CREATE TABLE kept.t (x UInt64) ENGINE = MergeTree ORDER BY x", "")
	f("app", "wrong", "SELECT 1", authenticationFailed)
	f("app", "", "SELECT 1", authenticationFailed)
	f("nobody", "", "SELECT 1", authenticationFailed)
	f("far", "f", "SELECT 1", authenticationFailed)
	f("reader", "r", "SELECT count() FROM kept.t", "")
	f("reader", "r", "INSERT INTO kept.t VALUES (1)", accessDenied)
	f("reader", "r", "SELECT count() FROM default.t", "60")
	// The engine's own session needs this user.
	f("default", "", "SELECT sum(number) FROM numbers(10)", quotaExceeded)
	f("default", "", "CREATE DATABASE other", quotaExceeded)
	// What lies outside the engine stays outside.
	f("app", "secret", "SELECT * FROM file('/etc/passwd', 'LineAsString', 'line String')", accessDenied)
	f("app", "secret", "CREATE TABLE kept.f (line String) ENGINE = File(LineAsString, '/etc/passwd')", accessDenied)
	f("app", "secret", "SELECT * FROM url('http://"+o.HTTPAddr+"/ping', 'LineAsString', 'line String')", accessDenied)
	f("app", "secret", "CREATE DICTIONARY kept.d (k String) PRIMARY KEY k SOURCE(FILE(path '/etc/passwd' format 'LineAsString')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0)", accessDenied)
	f("app", "secret", "SYSTEM SHUTDOWN", accessDenied)
}

func TestEngineWritesItsFilesForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Users[0].Password = "correct horse"
	start(t, o)
	for name, mode := range map[string]os.FileMode{"run/config.xml": 0o600, "run/clickhouse": 0o700, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(o.DataDir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
	require.NoFileExists(t, filepath.Join(o.DataDir, "run", "users.xml"), "it has been read")
}

func TestKilledEngineIsRestartedWithWhatItHadAcknowledged(t *testing.T) {
	t.Parallel()
	o := options(t)
	down, up := make(chan error, 10), make(chan int64, 10)
	o.OnDown, o.OnUp = func(err error) { down <- err }, func(n int64) { up <- n }
	o.QueryLog = true // its tables must not be in the way of the next start
	e := start(t, o)
	mustQuery(t, o.HTTPAddr, "CREATE TABLE kept.t (x UInt64) ENGINE = MergeTree ORDER BY x")
	for round := range 3 {
		mustQuery(t, o.HTTPAddr, "INSERT INTO kept.t SELECT number FROM numbers(100)")
		mustQuery(t, o.HTTPAddr, "SYSTEM FLUSH LOGS")
		pid := e.PID()
		require.NoError(t, e.Kill())
		require.ErrorContains(t, <-down, "signal: killed")
		require.EqualValues(t, round+1, <-up)
		require.NotEqual(t, pid, e.PID())
		require.True(t, gone(pid))
		require.Equal(t, strconv.Itoa(100*(round+1)), mustQuery(t, o.HTTPAddr, "SELECT count() FROM kept.t"))
	}
	require.EqualValues(t, 3, e.Restarts())
	require.Empty(t, down)
}

func TestEngineThatARefusedNativeLoginAbortedIsRestarted(t *testing.T) {
	t.Parallel()
	o := options(t)
	down, up := make(chan error, 10), make(chan int64, 10)
	o.OnDown, o.OnUp = func(err error) { down <- err }, func(n int64) { up <- n }
	start(t, o)
	conn, err := net.Dial("tcp", o.TCPAddr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	hello := []byte{0} // packet type, client name, version 24.8, protocol revision 54460, database, user, password
	for _, s := range []string{"test", "\x18\x08\xbc\xa9\x03", "", "app", "wrong"} {
		if s != "\x18\x08\xbc\xa9\x03" {
			hello = append(hello, byte(len(s)))
		}
		hello = append(hello, s...)
	}
	_, err = conn.Write(hello)
	require.NoError(t, err)
	err = <-down
	require.ErrorContains(t, err, "signal: aborted")
	require.ErrorContains(t, err, "Authentication failed", "the reason is told")
	<-up
	require.Equal(t, "1", mustQuery(t, o.HTTPAddr, "SELECT 1"))
}

func TestEngineThatCannotBeRestartedIsTriedAgainUntilItCan(t *testing.T) {
	t.Parallel()
	o := options(t)
	library := o.Library
	o.Library = filepath.Join(t.TempDir(), "libchdb.so")
	require.NoError(t, os.Symlink(library, o.Library))
	down, up := make(chan error, 100), make(chan int64, 10)
	o.OnDown, o.OnUp = func(err error) { down <- err }, func(n int64) { up <- n }
	o.RestartInitial, o.RestartMax = time.Millisecond, 20*time.Millisecond
	e := start(t, o)
	require.NoError(t, os.Remove(o.Library))
	require.NoError(t, e.Kill())
	require.ErrorContains(t, <-down, "signal: killed")
	require.ErrorContains(t, <-down, "cannot open shared object file")
	require.ErrorContains(t, <-down, "cannot open shared object file")
	require.Zero(t, e.PID())
	require.NoError(t, os.Symlink(library, o.Library))
	require.EqualValues(t, 1, <-up)
	require.Equal(t, "1", mustQuery(t, o.HTTPAddr, "SELECT 1"))
}

func TestEngineStopsWhileItWaitsToRestart(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.RestartInitial, o.RestartMax = time.Hour, time.Hour
	down := make(chan error, 1)
	o.OnDown = func(err error) { down <- err }
	e := start(t, o)
	require.NoError(t, e.Kill())
	require.Error(t, <-down)
	require.NoError(t, e.Stop(context.Background()))
}

func TestEngineThatDoesNotStopInTimeIsKilled(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.StopTimeout = time.Millisecond
	e := clickhouseengine.New(o)
	require.NoError(t, e.Start(context.Background()))
	pid := e.PID()
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP)) // it cannot see its input's end, nor SIGTERM
	require.ErrorContains(t, e.Stop(context.Background()), "was killed")
	require.True(t, gone(pid))
}

func TestStartThatTakesTooLongLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.StartTimeout = 30 * time.Millisecond // the loader alone takes longer
	e := clickhouseengine.New(o)
	err := e.Start(context.Background())
	require.ErrorContains(t, err, "start_timeout 30ms")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, e.PID())
	o.StartTimeout = patience
	start(t, o) // the directory and the ports are free
}

func TestTakenPortIsNamedWithItsOption(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	f := func(field string, set func(*clickhouseengine.Options)) {
		t.Helper()
		o := options(t)
		set(&o)
		err := clickhouseengine.New(o).Start(context.Background())
		var taken *clickhouseengine.AddressError
		require.ErrorAs(t, err, &taken)
		require.EqualError(t, err, field+" "+l.Addr().String()+": another program listens there: stop it or choose another port")
	}
	f("tcp_endpoint", func(o *clickhouseengine.Options) { o.TCPAddr = l.Addr().String() })
	f("http_endpoint", func(o *clickhouseengine.Options) { o.HTTPAddr = l.Addr().String() })
}

func TestAddressOfAnotherMachineIsNamedWithItsOption(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.TCPAddr = "192.0.2.1:9000"
	require.ErrorContains(t, clickhouseengine.New(o).Start(context.Background()), "tcp_endpoint 192.0.2.1:9000: cannot listen there")
}

func TestSecondEngineOnADataDirectoryIsRefusedAndHarmless(t *testing.T) {
	t.Parallel()
	o := options(t)
	start(t, o)
	second := o
	addrs := freeport.Must(t, 2)
	second.TCPAddr, second.HTTPAddr = addrs[0], addrs[1]
	second.Users = nil
	err := clickhouseengine.New(second).Start(context.Background())
	var dir *clickhouseengine.DataDirError
	require.ErrorAs(t, err, &dir)
	require.ErrorContains(t, err, fmt.Sprintf("data_dir %s is in use (locked by process %d)", o.DataDir, os.Getpid()))
	require.Equal(t, "1", mustQuery(t, o.HTTPAddr, "SELECT 1"))
}

// A ClickHouse that is not ours has the engine's directory: only the engine itself can see that.
func TestDataDirectoryOfAForeignClickHouseIsRefused(t *testing.T) {
	t.Parallel()
	o := options(t)
	require.NoError(t, os.MkdirAll(filepath.Join(o.DataDir, "server"), 0o700))
	status, err := os.Create(filepath.Join(o.DataDir, "server", "status"))
	require.NoError(t, err)
	defer func() { _ = status.Close() }()
	require.NoError(t, syscall.Flock(int(status.Fd()), syscall.LOCK_EX))
	require.ErrorContains(t, clickhouseengine.New(o).Start(context.Background()), "is in use by another ClickHouse")
}

func TestDataDirectoryThatCannotBeWrittenIsNamed(t *testing.T) {
	t.Parallel()
	o := options(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	o.DataDir = filepath.Join(file, "data")
	require.ErrorContains(t, clickhouseengine.New(o).Start(context.Background()), "data_dir "+o.DataDir+" cannot be created")
}

func TestEngineThatRefusesItsConfigurationSaysWhy(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Users[0].Grants = []string{"NO SUCH RIGHT ON *.*"}
	err := clickhouseengine.New(o).Start(context.Background())
	require.ErrorContains(t, err, "ClickHouse engine ended")
	require.ErrorContains(t, err, "Failed to parse grant query")
}

func TestMissingLibraryIsNamedWithTheCommandThatFetchesIt(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Library = filepath.Join(t.TempDir(), "libchdb.so")
	err := clickhouseengine.New(o).Start(context.Background())
	require.ErrorContains(t, err, o.Library+" is missing: run `make engine`")
}

func TestEngineDiesWithItsCollectorAndTheNextOneTakesOver(t *testing.T) {
	t.Parallel()
	f := func(stopped bool) {
		t.Helper()
		o := options(t)
		cmd := exec.Command(os.Args[0], o.TCPAddr, o.HTTPAddr, o.Library)
		cmd.Env = append(os.Environ(), parentVariable+"="+o.DataDir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		defer func() { _ = cmd.Process.Kill() }()
		var pid int
		_, err = fmt.Fscanf(out, "pid %d\n", &pid)
		require.NoError(t, err)
		for _, sql := range []string{"CREATE TABLE kept.t (x UInt64) ENGINE = MergeTree ORDER BY x", "INSERT INTO kept.t SELECT number FROM numbers(10)"} {
			status, _, body, err := query(o.HTTPAddr, "default", "", sql)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status, body)
		}
		if stopped { // then only the kernel's signal can end it: it does not see its input's end
			require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		}
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())

		// At once, as a service manager does.
		o.Logger = zap.NewNop()
		e := clickhouseengine.New(o)
		require.NoError(t, e.Start(context.Background()))
		require.True(t, gone(pid))
		require.Equal(t, "10", mustQuery(t, o.HTTPAddr, "SELECT count() FROM kept.t"))
		require.NoError(t, e.Stop(context.Background()))
	}
	f(false)
	f(true)
}
