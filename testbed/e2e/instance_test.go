// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/load"
)

// patience bounds every wait: far above what is usual, since other packages are tested at the same time.
const patience = 60 * time.Second

// places are the addresses that the quickstart takes from the environment.
var places = []string{
	"MILLRACE_OTLP_GRPC", "MILLRACE_OTLP_HTTP", "MILLRACE_SEGMENT",
	"MILLRACE_CLICKHOUSE_TCP", "MILLRACE_CLICKHOUSE_HTTP", "MILLRACE_METRICS",
	admin,
}

// admin is the log's admin endpoint, which the quickstart has not. Every test sets it.
const admin = "MILLRACE_TEST_ADMIN"

// root is the module's.
var root = sync.OnceValue(func() string {
	_, here, _, _ := runtime.Caller(0)
	if filepath.IsAbs(here) {
		return filepath.Join(filepath.Dir(here), "..", "..")
	}
	return filepath.Join("..", "..") // built with -trimpath: tests run in their package's directory
})

func quickstart() string { return filepath.Join(root(), "configs", "quickstart.yaml") }

// executable is the collector under test.
var executable = sync.OnceValues(func() (string, error) {
	path := os.Getenv("MILLRACE_BINARY")
	if path == "" {
		path = filepath.Join(root(), "bin", "millrace")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing: run make build first, or set MILLRACE_BINARY", path)
	}
	return path, nil
})

func millrace(tb testing.TB) string {
	tb.Helper()
	path, err := executable()
	require.NoError(tb, err)
	return path
}

// process is a collector as a child.
type process struct {
	*child.Process
	cmd *exec.Cmd // its state may be read when it has ended
	log string
	// before is how often its log said that a collector is ready, before this one began.
	before int
}

// launch runs the collector with an environment of its own: none of ours that begins with MILLRACE_ but the cache's.
func launch(tb testing.TB, dir, log string, env map[string]string, args ...string) *process {
	tb.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(tb, err)
	before := (&process{log: log}).said()
	cmd := exec.Command(millrace(tb), args...)
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "MILLRACE_") || strings.HasPrefix(kv, "MILLRACE_CACHE=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	p, err := child.Start("the collector", cmd, f, syscall.SIGKILL) // it outlives no test, even one that is killed
	require.NoError(tb, err)
	began := &process{Process: p, cmd: cmd, log: log}
	began.before = strings.Count(before, saysReady)
	return began
}

// What core writes. It listens for SIGTERM a moment after all is ready: one that comes before ends the process as a kill does.
const (
	saysReady = "Everything is ready."
	saysHeard = "Received signal from OS"
)

// awaitListening waits until the collector says that it is ready, or has ended.
func (p *process) awaitListening(tb testing.TB) {
	tb.Helper()
	await(tb, "the collector to be ready", func() bool { return strings.Count(p.said(), saysReady) > p.before || !p.running() })
}

func (p *process) running() bool {
	select {
	case <-p.Exited():
		return false
	default:
		return true
	}
}

// said returns what the collector wrote so far.
func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (p *process) tail() string { return p.Tail(15) }

// end sends the signal and waits. It returns how long that took.
func (p *process) end(tb testing.TB, signal syscall.Signal) time.Duration {
	tb.Helper()
	if signal == syscall.SIGTERM {
		p.awaitListening(tb)
	}
	began := time.Now()
	if err := p.End(signal, patience); err != nil {
		tb.Error(err)
	}
	return time.Since(began)
}

// instance is a quickstart: its places, its data and, while it runs, its process.
type instance struct {
	*process
	dir    string // its working directory: empty, so that a path that is not what it was told to be shows
	data   string
	schema string
	env    map[string]string
	fixed  map[string]string // places that are somebody else's
	args   []string
	ch     *chhttp.Client
}

// overlay is YAML that is merged over the quickstart.
type overlay string

// newInstance chooses places for a quickstart and copies the schemas, so that a test may change them.
func newInstance(tb testing.TB, overlays ...overlay) *instance {
	tb.Helper()
	enginetest.Library(tb)
	base := tb.TempDir()
	i := &instance{dir: filepath.Join(base, "cwd"), data: filepath.Join(base, "data"), schema: filepath.Join(base, "schemas")}
	require.NoError(tb, os.Mkdir(i.dir, 0o700))
	require.NoError(tb, os.CopyFS(i.schema, os.DirFS(filepath.Join(root(), "configs", "schemas"))))
	config, err := filepath.Abs(quickstart())
	require.NoError(tb, err)
	i.args = []string{"--config", config}
	for _, o := range append([]overlay{"connectors::event_log::admin::endpoint: ${env:" + admin + ":-127.0.0.1:0}"}, overlays...) {
		i.args = append(i.args, "--config", "yaml:"+string(o))
	}
	return i
}

// start runs an instance until the test ends. Its own places and everything in it are then gone.
func start(tb testing.TB, overlays ...overlay) *instance {
	tb.Helper()
	i := newInstance(tb, overlays...)
	i.start(tb)
	tb.Cleanup(func() { i.stop(tb) })
	return i
}

// start returns when events can be sent and asked for. The first start chooses free ports; another one keeps them.
func (i *instance) start(tb testing.TB) {
	tb.Helper()
	for attempt := 1; ; attempt++ {
		if attempt > 1 || i.env == nil {
			i.env = map[string]string{"MILLRACE_DATA_DIR": i.data, "MILLRACE_SCHEMA_DIR": i.schema}
			for name, addr := range freePlaces(tb) {
				i.env[name] = addr
			}
			maps.Copy(i.env, i.fixed)
			i.ch = &chhttp.Client{URL: "http://" + i.env["MILLRACE_CLICKHOUSE_HTTP"], Database: "analytics", HTTP: &http.Client{
				Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience,
			}}
		}
		log := filepath.Join(filepath.Dir(i.data), "log")
		i.process = launch(tb, i.dir, log, i.env, i.args...)
		err := i.awaitReady()
		if err == nil {
			return
		}
		i.end(tb, syscall.SIGKILL)
		// A package tested at the same time can have taken a port that was free a moment ago.
		taken := strings.Contains(i.said(), "address already in use") || strings.Contains(i.said(), "another program listens")
		require.True(tb, taken && attempt < 3, "%v; its last words:\n%s", err, i.tail())
	}
}

func freePlaces(tb testing.TB) map[string]string {
	tb.Helper()
	addrs := map[string]string{}
	for i, addr := range freeport.Must(tb, len(places)) {
		addrs[places[i]] = addr
	}
	return addrs
}

func (i *instance) awaitReady() error {
	deadline := time.Now().Add(patience)
	for {
		err := i.ready()
		switch {
		case err == nil:
			return nil
		case !i.running():
			return fmt.Errorf("the collector ended: %w", i.Err())
		case time.Now().After(deadline):
			return fmt.Errorf("the collector is not ready: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (i *instance) ready() error {
	for _, name := range places {
		conn, err := net.DialTimeout("tcp", i.env[name], time.Second)
		if err != nil {
			return err
		}
		_ = conn.Close() // nothing was said
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return i.ch.Exec(ctx, "SELECT 1 FROM analytics.events, analytics.failed_events LIMIT 1")
}

// stop ends the instance as its users do, and holds it to a clean end.
func (i *instance) stop(tb testing.TB) {
	tb.Helper()
	if tb.Failed() {
		tb.Logf("the end of the collector's log:\n%s", i.tail())
	}
	if !i.running() {
		return
	}
	heard := strings.Count(i.said(), saysHeard)
	i.end(tb, syscall.SIGTERM)
	if i.Err() != nil && strings.Count(i.said(), saysHeard) == heard { // nobody could hear it yet
		i.start(tb)
		i.end(tb, syscall.SIGTERM)
	}
	if i.Err() != nil {
		tb.Errorf("after SIGTERM the collector ended with %v; its last words:\n%s", i.Err(), i.tail())
	}
}

func (i *instance) url(place, path string) string { return "http://" + i.env[place] + path }

// targets is where generated events go.
func (i *instance) targets() load.Targets {
	return load.Targets{
		OTLPGRPC: i.env["MILLRACE_OTLP_GRPC"], OTLPHTTP: i.url("MILLRACE_OTLP_HTTP", ""),
		Segment: i.url("MILLRACE_SEGMENT", ""), SegmentKeys: load.QuickstartSegmentKeys(),
	}
}

// rows asks ClickHouse, and returns each row as its values joined by |.
func (i *instance) rows(tb testing.TB, format string, args ...any) []string {
	tb.Helper()
	i.awaitDelivered(tb)
	out := []string{}
	for _, row := range i.table(tb, fmt.Sprintf(format, args...)).Rows {
		texts := make([]string, len(row))
		for c, v := range row {
			texts[c] = fmt.Sprint(v)
		}
		out = append(out, strings.Join(texts, "|"))
	}
	return out
}

// table asks ClickHouse. Tables of results are announced at the collector's start, and nobody waits for them: they are there a moment later.
func (i *instance) table(tb testing.TB, sql string) (answer *chhttp.Table) {
	tb.Helper()
	await(tb, "the tables are there of "+sql, func() (there bool) {
		var err error
		if answer, err = i.ch.Table(context.Background(), sql); chhttp.IsMissing(err) {
			return false
		}
		require.NoError(tb, err, sql)
		return true
	})
	return answer
}

// awaitDelivered waits until ClickHouse has what was acknowledged so far.
func (i *instance) awaitDelivered(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(tb, lag.Through(ctx, i.url(admin, "")))
}

// metric adds up the samples of a counter or gauge of the collector, over all its attributes.
func (i *instance) metric(tb testing.TB, name string) int64 {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, i.url("MILLRACE_METRICS", "/metrics"), nil)
	require.NoError(tb, err)
	_, text := do(tb, r)
	sum := 0.0
	for _, sample := range regexp.MustCompile(`(?m)^`+name+`(?:_\w+)?(?:\{[^\n]*\})? (\S+)$`).FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(sample[1], 64)
		require.NoError(tb, err)
		sum += v
	}
	return int64(sum)
}

// one asks for a single value.
func (i *instance) one(tb testing.TB, format string, args ...any) string {
	tb.Helper()
	rows := i.rows(tb, format, args...)
	require.Len(tb, rows, 1)
	return rows[0]
}

// engine returns the process ID of the ClickHouse that this collector runs, or 0.
func (i *instance) engine() int {
	pids, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range pids {
		if stat := statOf(dir); stat != nil && stat[1] == strconv.Itoa(i.PID()) && stat[0] != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			return pid
		}
	}
	return 0
}

// statOf returns a process' state, parent and so on from /proc/PID/stat; nil when it is gone.
func statOf(dir string) []string {
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return nil
	}
	s := string(b)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(fields) < 2 {
		return nil
	}
	return fields
}

// alive says whether a process runs; one that ended and was not waited for does not.
func alive(pid int) bool {
	stat := statOf(filepath.Join("/proc", strconv.Itoa(pid)))
	return stat != nil && stat[0] != "Z"
}

// await waits for a condition.
func await(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			tb.Fatalf("after %s still not: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
