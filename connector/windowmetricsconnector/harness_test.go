// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/millrace/millrace/connector/windowmetricsconnector/internal/metadata"
	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/delivery/deliverytest"
)

// parseConfig reads the connector's own YAML.
func parseConfig(t testing.TB, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	conf, err := confmaptest.LoadConf(path)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, cfg.Validate()
}

// receiver of points, which survives a crash of the process.
type receiver struct {
	t       testing.TB
	batches map[string][]byte
	// lines are points in the order in which they first came, shown those that the test has looked at.
	lines []string
	shown int
	// values by series and time, last the time of each series' last new point.
	values map[string]string
	last   map[string]pcommon.Timestamp
	resent int
	fail   func() (before, after error)
}

var _ consumer.Metrics = (*receiver)(nil)

func (s *receiver) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *receiver) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	d := delivery.FromContext(ctx)
	require.NotNil(s.t, d)
	var after error
	if s.fail != nil {
		var before error
		if before, after = s.fail(); before != nil {
			return before
		}
	}
	b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(s.t, err)
	token := d.ID.Token()
	if first, known := s.batches[token]; known {
		require.Equal(s.t, first, b, "a repetition of %s must carry the same bytes", d.ID)
		s.resent++
		return after
	}
	s.batches[token] = b
	for _, rm := range md.ResourceMetrics().All() {
		instance, ok := rm.Resource().Attributes().Get("service.instance.id")
		require.True(s.t, ok)
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				s.metric(instance.Str(), m)
			}
		}
	}
	return after
}

func (s *receiver) metric(instance string, m pmetric.Metric) {
	points, kind := pmetric.NumberDataPointSlice{}, "gauge"
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		points = m.Gauge().DataPoints()
	case pmetric.MetricTypeSum:
		require.Equal(s.t, pmetric.AggregationTemporalityCumulative, m.Sum().AggregationTemporality())
		points, kind = m.Sum().DataPoints(), "up_down"
		if m.Sum().IsMonotonic() {
			kind = "counter"
		}
	default:
		s.t.Fatalf("a metric of type %s", m.Type())
	}
	for _, p := range points.All() {
		raw := p.Attributes().AsRaw()
		var labels []string
		for _, k := range slices.Sorted(maps.Keys(raw)) {
			labels = append(labels, fmt.Sprintf("%s=%v", k, raw[k]))
		}
		series := fmt.Sprintf("%s %s{%s}", kind, m.Name(), strings.Join(labels, ","))
		value := fmt.Sprint(p.IntValue())
		if p.ValueType() == pmetric.NumberDataPointValueTypeDouble {
			value = fmt.Sprint(p.DoubleValue())
		}
		at := clockText(p.Timestamp())
		of := instance + series
		before, known := s.values[of+at]
		require.False(s.t, known, "%s at %s is %s and %s", series, at, before, value)
		require.Less(s.t, s.last[of], p.Timestamp(), "%s at %s comes behind %s", series, at, clockText(s.last[of]))
		s.values[of+at], s.last[of] = value, p.Timestamp()
		line := fmt.Sprintf("%s %s %s", at, series, value)
		if p.StartTimestamp() > 0 {
			line += " since " + clockText(p.StartTimestamp())
		}
		s.lines = append(s.lines, line)
	}
}

// bench is a pipeline with the connector at its end.
type bench struct {
	*deliverytest.Pipeline
	t         *testing.T
	cfg       *Config // the next process has it
	sink      *receiver
	connector connector.Logs           // of the process at hand
	telemetry *componenttest.Telemetry // of the first process
}

func newBench(t *testing.T, partitions int, text string) *bench {
	t.Helper()
	b := &bench{t: t, telemetry: componenttest.NewTelemetry(), sink: &receiver{t: t, batches: map[string][]byte{}, values: map[string]string{}, last: map[string]pcommon.Timestamp{}}}
	t.Cleanup(func() { require.NoError(t, b.telemetry.Shutdown(context.Background())) })
	b.configure(text)
	b.Pipeline = deliverytest.NewRaw(t, partitions, func(consumer.Logs) (consumer.Logs, []component.Component) {
		set := connectortest.NewNopSettings(metadata.Type)
		set.ID = component.NewID(metadata.Type)
		set.TelemetrySettings = b.telemetry.NewTelemetrySettings()
		c, err := NewFactory().CreateLogsToMetrics(context.Background(), set, b.cfg, b.sink)
		require.NoError(t, err)
		b.connector = c
		return c, []component.Component{c}
	})
	return b
}

func (b *bench) configure(text string) {
	b.t.Helper()
	var err error
	b.cfg, err = parseConfig(b.t, text)
	require.NoError(b.t, err)
}

// event of a name at 12:00:05 of partition 0, with attributes such as country=DE, n=3 or f=1.5.
func (b *bench) event(when, name string, attributes ...any) {
	b.t.Helper()
	at := clock(b.t, when)
	b.Append(0, at, newEvent(at, name, attributes...))
}

func newEvent(at int64, name string, attributes ...any) plog.Logs {
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetEventName(name)
	lr.SetTimestamp(pcommon.Timestamp(at))
	for i := 0; i < len(attributes); i += 2 {
		if err := lr.Attributes().PutEmpty(attributes[i].(string)).FromRaw(attributes[i+1]); err != nil {
			panic(err)
		}
	}
	return ld
}

// came are the points since the last call, after all was delivered and a checkpoint.
func (b *bench) came() string {
	b.t.Helper()
	b.DeliverAll(0)
	b.Checkpoint()
	lines := b.sink.lines[b.sink.shown:]
	b.sink.shown = len(b.sink.lines)
	return strings.Join(lines, "\n")
}

// day is that of all times of a test.
var day = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func clock(t testing.TB, s string) int64 {
	t.Helper()
	v, err := time.Parse("15:04:05", s)
	require.NoError(t, err)
	return day.Add(v.Sub(v.Truncate(24 * time.Hour))).UnixNano()
}

func clockText(at pcommon.Timestamp) string { return at.AsTime().UTC().Format("15:04:05") }

var _ connector.Logs = (*windowMetrics)(nil)
