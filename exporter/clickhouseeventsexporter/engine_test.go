// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"

	"github.com/millrace/millrace/exporter/clickhouseeventsexporter/internal/metadata"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/testbed/enginetest"
)

// fakeRegistry is a registry whose schemas the test sets.
type fakeRegistry struct {
	component.StartFunc
	component.ShutdownFunc
	snapshot atomic.Pointer[schema.Snapshot]
}

func (r *fakeRegistry) Snapshot() *schema.Snapshot { return r.snapshot.Load() }

// set replaces the schemas by documents, keyed by subject; all are version 1.
func (r *fakeRegistry) set(t testing.TB, documents map[string]string) {
	t.Helper()
	var schemas []*schema.Schema
	for subject, doc := range documents {
		s, err := schema.Compile(subject, "1", []byte(doc))
		require.NoError(t, err)
		schemas = append(schemas, s)
	}
	snap, err := schema.NewSnapshot(1, schemas)
	require.NoError(t, err)
	r.snapshot.Store(snap)
}

type fakeHost struct {
	extensions map[component.ID]component.Component
}

func (h fakeHost) GetExtensions() map[component.ID]component.Component { return h.extensions }

// testExporter is an exporter on a real engine, without queue and retries: what it returns is what one attempt
// came to.
type testExporter struct {
	exporter.Logs
	registry *fakeRegistry
	engine   *enginetest.Engine
	cfg      *Config
}

func newTestExporter(t testing.TB, documents map[string]string, change func(*Config), options ...enginetest.Option) *testExporter {
	t.Helper()
	engine := enginetest.Start(t, options...)
	x := &testExporter{registry: &fakeRegistry{}, engine: engine}
	x.registry.set(t, documents)
	x.cfg = createDefaultConfig().(*Config)
	x.cfg.Endpoints = []string{engine.TCPAddr}
	x.cfg.Username = engine.User
	x.cfg.QueueConfig = configoptional.None[exporterhelper.QueueBatchConfig]()
	x.cfg.DialTimeout = time.Minute // of which starting, which makes the tables, may take all
	x.cfg.RetryConfig = configretry.BackOffConfig{Enabled: false}
	if change != nil {
		change(x.cfg)
	}
	require.NoError(t, x.cfg.Validate())
	var err error
	x.Logs, err = NewFactory().CreateLogs(t.Context(), exportertest.NewNopSettings(metadata.Type), x.cfg)
	require.NoError(t, err)
	host := fakeHost{map[component.ID]component.Component{x.cfg.SchemaRegistry: x.registry}}
	require.NoError(t, x.Start(t.Context(), host))
	t.Cleanup(func() { require.NoError(t, x.Shutdown(context.Background())) })
	return x
}

var _ component.Host = fakeHost{}

// someTime is when the tests' events happen.
var someTime = time.Date(2026, 11, 1, 12, 0, 0, 123456789, time.UTC)

// send exports the builder's events, each given a time if it has none.
func (x *testExporter) send(t testing.TB, b *event.Builder) {
	t.Helper()
	require.NoError(t, x.ConsumeLogs(t.Context(), b.Batch().Logs()))
}
