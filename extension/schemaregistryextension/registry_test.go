// SPDX-License-Identifier: Apache-2.0

package schemaregistryextension

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/millrace/millrace/extension/schemaregistryextension/internal/metadatatest"
)

// statusHost keeps the statuses reported.
type statusHost struct {
	component.Host
	mu     sync.Mutex // guards events: the reloading goroutine reports, the test reads
	events []*componentstatus.Event
}

func (h *statusHost) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *statusHost) last() componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) == 0 {
		return componentstatus.StatusNone
	}
	return h.events[len(h.events)-1].Status()
}

// fixture is a registry over a directory of its own, reloaded by poll.
type fixture struct {
	*registry
	t         *testing.T
	dir       string
	ticks     chan time.Time
	looked    chan struct{}
	logs      *observer.ObservedLogs
	host      *statusHost
	telemetry *componenttest.Telemetry
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	telemetry := componenttest.NewTelemetry()
	t.Cleanup(func() { assert.NoError(t, telemetry.Shutdown(context.Background())) })
	settings := telemetry.NewTelemetrySettings()
	settings.Logger = zap.New(core)
	cfg := createDefaultConfig().(*Config)
	cfg.Directory = t.TempDir()
	r, err := newRegistry(cfg, settings)
	require.NoError(t, err)
	f := &fixture{
		registry: r, t: t, dir: cfg.Directory, ticks: make(chan time.Time), looked: make(chan struct{}), logs: logs,
		host: &statusHost{Host: componenttest.NewNopHost()}, telemetry: telemetry,
	}
	r.newTicker = func(time.Duration) (<-chan time.Time, func()) { return f.ticks, func() {} }
	r.reloaded = func() { f.looked <- struct{}{} }
	t.Cleanup(func() { assert.NoError(t, r.Shutdown(context.Background())) })
	return f
}

func (f *fixture) start() { f.t.Helper(); require.NoError(f.t, f.Start(context.Background(), f.host)) }

// poll returns when a whole look at the directory is done.
func (f *fixture) poll() {
	f.ticks <- time.Time{}
	<-f.looked
}

func (f *fixture) write(name, content string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	require.NoError(f.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(f.t, os.WriteFile(path, []byte(content), 0o600))
}

func (f *fixture) remove(name string) {
	f.t.Helper()
	require.NoError(f.t, os.RemoveAll(filepath.Join(f.dir, name)))
}

// ids names what is in use.
func (f *fixture) ids() string {
	var ids []string
	for _, s := range f.Snapshot().Schemas() {
		ids = append(ids, s.ID())
	}
	return strings.Join(ids, " ")
}

func (f *fixture) errorLines() (lines []string) {
	for _, e := range f.logs.FilterLevelExact(zapcore.ErrorLevel).All() {
		lines = append(lines, e.Message)
	}
	return lines
}

func schemaOf(typ string) string { return `{"properties":{"a":{"type":"` + typ + `"}}}` }

func TestStartReadsTheDirectoryWithItsSubdirectories(t *testing.T) {
	f := newFixture(t)
	f.write("order_completed.v1.json", `{}`)
	f.write("order_completed.v10.json", `{}`)
	f.write("order_completed.v2.json", `{}`)
	f.write("shop/cart/cart.viewed.v1-0-2.json", `{}`)
	f.write("README.md", "not a schema")
	f.write("notes.yaml", "{")
	f.write(".hidden.json", "{")
	f.write("..data/order_completed.v1.json", "{")
	f.start()
	assert.Equal(t, "cart.viewed/1-0-2 order_completed/1 order_completed/2 order_completed/10", f.ids())
	assert.Equal(t, "10", f.Snapshot().Match("Order Completed").Version)
}

func TestStartFailsInOneLineWithFileAndMend(t *testing.T) {
	check := func(prepare func(f *fixture), want ...string) {
		t.Helper()
		f := newFixture(t)
		prepare(f)
		err := f.Start(context.Background(), f.host)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "\n")
		for _, w := range want {
			assert.Contains(t, err.Error(), w)
		}
	}
	check(func(f *fixture) { f.directory = filepath.Join(f.dir, "nowhere") }, "nowhere", "no such file", "create it")
	check(func(f *fixture) { f.write("x", ""); f.directory = filepath.Join(f.dir, "x") }, "not a directory")
	check(func(f *fixture) { f.write("order.json", `{}`) }, "order.json", "SUBJECT.vVERSION.json", "rename it")
	check(func(f *fixture) { f.write("order.viewed.json", `{}`) }, "order.viewed.json", "rename it")
	check(func(f *fixture) { f.write("order.v1.JSON", `{`) }, "order.v1.JSON", "reading JSON")
	check(func(f *fixture) { f.write("order.v1.json", `{"type":"strin"}`) }, "order.v1.json", "#/type")
	check(func(f *fixture) {
		f.write("order.v1.json", `{"properties":{"a":{"type":"integer","x-column":"Int7"}}}`)
	}, "x-column", "Int7", "use one of")
	check(func(f *fixture) { f.write("a/order.v1.json", `{}`); f.write("b/order.v1.json", `{}`) }, "a/order.v1.json", "b/order.v1.json", "raise its version")
	check(func(f *fixture) { f.write("a.v1.json", schemaOf("string")); f.write("b.v1.json", schemaOf("integer")) }, `"a/1"`, `"b/1"`, "Int64", "x-column")
	check(func(f *fixture) { f.write("a b.v1.json", `{}`); f.write("a_b.v1.json", `{}`) }, `"a b"`, `"a_b"`, "rename one")
	check(func(f *fixture) { f.write("big.v1.json", strings.Repeat(" ", maxFileSize+1)) }, "big.v1.json", "larger than 1048576 bytes")
	check(func(f *fixture) { require.NoError(t, os.Symlink("nowhere", filepath.Join(f.dir, "a.v1.json"))) }, "a.v1.json", "mend the link")
	check(func(f *fixture) { f.write("dir.v1.json/x", ""); f.write("a.json", "{}"); f.write("b.json", "{}") }, "and 1 more problems")
}

func TestStartBoundsTheNumberOfSchemas(t *testing.T) {
	f := newFixture(t)
	for i := range maxSchemas + 5 {
		f.write(fmt.Sprintf("s%d.v1.json", i), "")
	}
	files, problems := scan(f.dir)
	assert.Len(t, files, maxSchemas)
	require.Len(t, problems, 1)
	assert.ErrorContains(t, problems[0], "one more than the 10000 schemas")
}

func TestLinksThatGoRoundEnd(t *testing.T) {
	f := newFixture(t)
	f.write("a/order.v1.json", `{}`)
	require.NoError(t, os.Symlink("..", filepath.Join(f.dir, "a", "up")))
	f.start()
	assert.Equal(t, "order/1", f.ids())
}

func TestReloadFollowsTheDirectory(t *testing.T) {
	f := newFixture(t)
	f.write("a.v1.json", schemaOf("string"))
	f.start()
	first := f.Snapshot()

	f.poll()
	assert.Same(t, first, f.Snapshot(), "nothing has changed")

	f.write("b.v1.json", `{}`)
	f.poll()
	assert.Equal(t, "a/1 b/1", f.ids())
	assert.Greater(t, f.Snapshot().Generation(), first.Generation())
	assert.Same(t, first.Find("a", "1"), f.Snapshot().Find("a", "1"), "what has not changed is not compiled again")
	assert.Len(t, first.Schemas(), 1, "a snapshot that is held never changes")

	f.write("a.v1.json", schemaOf("object")) // as long as before
	f.poll()
	assert.Empty(t, f.Snapshot().Find("a", "1").Properties)

	f.remove("a.v1.json")
	f.poll()
	assert.Equal(t, "b/1", f.ids())
	assert.Empty(t, f.errorLines())
}

func TestReloadFollowsAConfigMapsLinks(t *testing.T) {
	f := newFixture(t)
	f.write("..r1/a.v1.json", `{}`)
	require.NoError(t, os.Symlink("..r1", filepath.Join(f.dir, "..data")))
	require.NoError(t, os.Symlink("..data/a.v1.json", filepath.Join(f.dir, "a.v1.json")))
	f.start()
	assert.Empty(t, f.Snapshot().Find("a", "1").Properties)

	f.write("..r2/a.v1.json", schemaOf("string"))
	require.NoError(t, os.Symlink("..r2", filepath.Join(f.dir, "..tmp")))
	require.NoError(t, os.Rename(filepath.Join(f.dir, "..tmp"), filepath.Join(f.dir, "..data")))
	f.remove("..r1")
	f.poll()
	assert.Len(t, f.Snapshot().Find("a", "1").Properties, 1)
	assert.Empty(t, f.errorLines())
}

func TestReloadFollowsALinkThatIsTheDirectory(t *testing.T) {
	f := newFixture(t)
	f.write("rev1/a.v1.json", `{}`)
	f.write("rev2/a.v2.json", `{}`)
	link := filepath.Join(f.dir, "current")
	require.NoError(t, os.Symlink("rev1", link))
	f.directory = link
	f.start()
	assert.Equal(t, "a/1", f.ids())
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink("rev2", link))
	f.poll()
	assert.Equal(t, "a/2", f.ids())
}

func TestReloadKeepsTheLastGoodSchemasUntilMended(t *testing.T) {
	f := newFixture(t)
	f.write("a.v1.json", schemaOf("string"))
	f.start()
	good := f.Snapshot()

	f.write("b.v1.json", `{`)
	f.poll()
	f.poll()
	assert.Same(t, good, f.Snapshot())
	require.Len(t, f.errorLines(), 1, "a problem is logged once")
	assert.Contains(t, f.errorLines()[0], "b.v1.json")
	assert.Equal(t, componentstatus.StatusRecoverableError, f.host.last())
	f.metrics(1, 1, 1, 1)

	f.write("b.v1.json", schemaOf("integer")) // compiles, but contradicts a
	f.poll()
	f.poll()
	assert.Same(t, good, f.Snapshot())
	require.Len(t, f.errorLines(), 2)
	assert.Contains(t, f.errorLines()[1], `column "a"`)
	f.metrics(1, 2, 1, 1)

	f.write("c.json", `{}`)
	f.poll()
	require.Len(t, f.errorLines(), 3)
	f.remove("c.json")

	f.write("b.v1.json", schemaOf("string"))
	f.poll()
	assert.Equal(t, "a/1 b/1", f.ids())
	assert.Equal(t, componentstatus.StatusOK, f.host.last())
	assert.Equal(t, 1, f.logs.FilterMessage("The schemas are mended").Len())
	f.metrics(2, 3, 0, 2)

	f.remove("a.v1.json")
	f.remove("b.v1.json")
	f.poll()
	assert.Equal(t, "a/1 b/1", f.ids(), "an empty directory is more likely a mistake than a wish")
	assert.Contains(t, f.errorLines()[3], "has no schemas any more")

	require.NoError(t, os.RemoveAll(f.dir))
	f.poll()
	assert.Equal(t, "a/1 b/1", f.ids())
	assert.Contains(t, f.errorLines()[4], "no such file")
}

func TestUnreadableFileIsAProblemUntilItCanBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads every file")
	}
	f := newFixture(t)
	f.write("a.v1.json", `{}`)
	f.start()
	f.write("b.v1.json", `{}`)
	path := filepath.Join(f.dir, "b.v1.json")
	require.NoError(t, os.Chmod(path, 0))
	f.poll()
	assert.Contains(t, f.errorLines()[0], "permission denied")
	require.NoError(t, os.Chmod(path, 0o600))
	f.poll()
	assert.Equal(t, "a/1 b/1", f.ids())
}

func (f *fixture) metrics(successes, failures, problems, schemas int64) {
	f.t.Helper()
	ignore := metricdatatest.IgnoreTimestamp()
	metadatatest.AssertEqualSchemaRegistryReloads(f.t, f.telemetry, []metricdata.DataPoint[int64]{
		{Value: successes, Attributes: attribute.NewSet(attribute.String("outcome", "success"))},
		{Value: failures, Attributes: attribute.NewSet(attribute.String("outcome", "failure"))},
	}, ignore)
	metadatatest.AssertEqualSchemaRegistryProblems(f.t, f.telemetry, []metricdata.DataPoint[int64]{{Value: problems}}, ignore)
	metadatatest.AssertEqualSchemaRegistrySchemas(f.t, f.telemetry, []metricdata.DataPoint[int64]{{Value: schemas}}, ignore)
}

func TestLogsAreBoundedWhereManyFilesAreBad(t *testing.T) {
	f := newFixture(t)
	f.write("a.v1.json", `{}`)
	f.start()
	for i := range 50 {
		f.write(fmt.Sprintf("bad%d.v1.json", i), "{")
	}
	f.poll()
	assert.Len(t, f.errorLines(), maxReported+1)
}

func TestManyReloadsUnderReadersGiveWholeSnapshots(t *testing.T) {
	f := newFixture(t)
	generationFile := func(g int) string {
		return fmt.Sprintf(`{"title":"%d","properties":{"g%d":{"type":"string"}}}`, g, g)
	}
	// Each generation replaces both files by renaming one directory over another's link: both or none.
	publish := func(g int) {
		rev := fmt.Sprintf("..r%d", g)
		f.write(rev+"/a.v1.json", generationFile(g))
		f.write(rev+"/b.v1.json", generationFile(g))
		require.NoError(t, os.Symlink(rev, filepath.Join(f.dir, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(f.dir, "..tmp"), filepath.Join(f.dir, "..data")))
	}
	publish(0)
	f.directory = filepath.Join(f.dir, "..data")
	f.start()

	stop, readers := make(chan struct{}), sync.WaitGroup{}
	for range 4 {
		readers.Go(func() {
			last := uint64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := f.Snapshot()
				if s.Generation() < last {
					t.Error("a generation came back")
				}
				last = s.Generation()
				a, b := s.Find("a", "1").Properties, s.Find("b", "1").Properties
				if len(a) != 1 || len(b) != 1 || a[0].Column != b[0].Column {
					t.Errorf("a snapshot of two generations: %v %v", a, b)
				}
			}
		})
	}
	for g := range 50 {
		publish(g + 1)
		f.poll()
	}
	close(stop)
	readers.Wait()
	assert.Equal(t, "g50", f.Snapshot().Find("a", "1").Properties[0].Column)
}

func TestReloadIntervalZeroStartsNothing(t *testing.T) {
	f := newFixture(t)
	f.interval = 0
	f.newTicker = func(time.Duration) (<-chan time.Time, func()) {
		t.Error("a ticker was made")
		return nil, func() {}
	}
	f.start()
	assert.Equal(t, 1, f.logs.FilterMessageSnippet("no schemas").Len())
	assert.NotNil(t, f.Snapshot())
}

func TestConfigNamesFieldValueAndMend(t *testing.T) {
	check := func(change func(*Config), want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		cfg.Directory = "./schemas"
		require.NoError(t, cfg.Validate())
		change(cfg)
		assert.EqualError(t, cfg.Validate(), want)
	}
	check(func(c *Config) { c.Directory = "" }, "directory: is empty; set it to the directory that holds the schemas, such as ./schemas")
	check(func(c *Config) { c.ReloadInterval = -time.Second }, "reload_interval: -1s must be 0 (off) or at least 10ms")
	check(func(c *Config) { c.ReloadInterval = 5 }, "reload_interval: 5ns must be 0 (off) or at least 10ms")
}
