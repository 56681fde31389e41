// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/millrace/millrace/internal/delivery/deliverytest"
	"github.com/millrace/millrace/processor/windowaggregationprocessor/internal/metadata"
)

// readConfig reads the processor's own YAML.
func readConfig(t testing.TB, text string) *Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	conf, err := confmaptest.LoadConf(path)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, conf.Unmarshal(cfg))
	require.NoError(t, cfg.Validate())
	return cfg
}

// chain makes processors of these configurations, one behind the other.
func chain(t testing.TB, configs func() []*Config) deliverytest.Build {
	t.Helper()
	return func(next consumer.Logs) (consumer.Logs, []component.Component) {
		var parts []component.Component
		all := configs()
		for i, cfg := range slices.Backward(all) {
			set := processortest.NewNopSettings(metadata.Type)
			set.ID = component.NewIDWithName(metadata.Type, strconv.Itoa(i+1))
			p, err := NewFactory().CreateLogs(context.Background(), set, cfg, next)
			require.NoError(t, err)
			parts = append([]component.Component{p}, parts...)
			next = p
		}
		return next, parts
	}
}

// one is chain of one configuration.
func one(t testing.TB, text string) deliverytest.Build {
	t.Helper()
	cfg := readConfig(t, text)
	return chain(t, func() []*Config { return []*Config{cfg} })
}

// noon is when events happen if their time says no day.
var noon = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// at reads 12:00:05.5 or a time in RFC 3339.
func at(t testing.TB, s string) int64 {
	t.Helper()
	if v, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return v.UnixNano()
	}
	v, err := time.Parse("15:04:05", s)
	require.NoError(t, err)
	return noon.Add(v.Sub(v.Truncate(24 * time.Hour))).UnixNano()
}

func clockText(ns int64) string {
	v := time.Unix(0, ns).UTC()
	if v.Truncate(24 * time.Hour).Equal(noon) {
		return v.Format("15:04:05.999999999")
	}
	return v.Format(time.RFC3339Nano)
}

// newEvent of a name with attributes such as user=u1, n=3, f=1.5, ok=true, text='3'.
func newEvent(when int64, name string, attributes ...string) plog.Logs {
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetEventName(name)
	lr.SetTimestamp(pcommon.Timestamp(when))
	for _, a := range attributes {
		k, v, _ := strings.Cut(a, "=")
		value := lr.Attributes().PutEmpty(k)
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			value.SetInt(n)
		} else if f, err := strconv.ParseFloat(v, 64); err == nil {
			value.SetDouble(f)
		} else if b, err := strconv.ParseBool(v); err == nil {
			value.SetBool(b)
		} else {
			value.SetStr(strings.Trim(v, "'"))
		}
	}
	return ld
}

// rowText is one line for a record that reached the sink.
func rowText(lr plog.LogRecord) string {
	raw := lr.Attributes().AsRaw()
	line := lr.EventName()
	if _, isResult := raw["result.id"]; isResult {
		line += fmt.Sprintf(" [%s, %s) %v#%v", clockText(raw["window.start"].(int64)), clockText(raw["window.end"].(int64)),
			raw["pane.timing"], raw["pane.index"])
	} else {
		line += " " + clockText(int64(lr.Timestamp()))
	}
	for _, k := range slices.Sorted(maps.Keys(raw)) {
		switch k {
		case "result.id", "window.start", "window.end", "pane.timing", "pane.index":
		case "overflow":
			if raw[k] == true {
				line += " overflow"
			}
		default:
			line += fmt.Sprintf(" %s=%v", k, raw[k])
		}
	}
	return line
}

// final is, by result.id, the row with the highest index, without what is not promised.
func final(t testing.TB, s *deliverytest.Sink) map[string]string {
	t.Helper()
	last := map[string]int64{}
	out := map[string]string{}
	s.Each(func(_ *deliverytest.Batch, lr plog.LogRecord) {
		raw := lr.Attributes().AsRaw()
		id, ok := raw["result.id"].(string)
		if !ok {
			return
		}
		index := raw["pane.index"].(int64)
		if before, known := last[id]; known && before >= index {
			require.NotEqual(t, before, index, "two panes of one result have one index: %s and %s", out[id], rowText(lr))
			return
		}
		last[id] = index
		lr.Attributes().Remove("pane.index")
		lr.Attributes().Remove("pane.timing")
		out[id] = rowText(lr)
		lr.Attributes().PutInt("pane.index", index)
		lr.Attributes().PutStr("pane.timing", raw["pane.timing"].(string))
	})
	return out
}

var _ processor.Logs = (*windowAggregation)(nil)
