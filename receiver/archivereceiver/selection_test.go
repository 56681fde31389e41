// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/objectstore"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return v
}

func TestFilesArePassedOverByTheirKeys(t *testing.T) {
	f := func(want bool, key string, change func(*Config)) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		change(cfg)
		require.Equal(t, want, newSelection(cfg).hasFile(objectstore.Info{Key: key}), key)
	}
	none := func(*Config) {}
	f(true, "a.parquet", none)
	f(true, "event_name=x/date=2026-11-22/hour=13/a.parquet", none)
	f(false, "event_name=x/a.parquet.tmp", none)
	f(false, "a.csv", none)
	f(false, "failed_events/event_name=a/date=2026-11-22/hour=13/a.parquet", none)
	f(true, "failed_events/event_name=a/date=2026-11-22/hour=13/a.parquet", func(c *Config) { c.Kind = "failed_events" })
	f(true, "failed_events/a.parquet", func(c *Config) { c.Mapping = configoptional.Some(MappingConfig{}) })

	names := func(c *Config) { c.EventNames = []string{"Order Completed", "A/B"} }
	f(true, "event_name=order_completed/a.parquet", names)
	f(true, "event_name=Order Completed/a.parquet", names)
	f(true, "event_name=A%2FB/a.parquet", names)
	f(false, "event_name=page_viewed/a.parquet", names)
	f(true, "event_name=__HIVE_DEFAULT_PARTITION__/a.parquet", names)
	f(true, "date=2026-11-22/a.parquet", names)

	day := func(c *Config) { c.From, c.To = at(t, "2026-11-22T00:00:00Z"), at(t, "2026-11-23T00:00:00Z") }
	f(false, "date=2026-11-21/a.parquet", day)
	f(true, "date=2026-11-22/a.parquet", day)
	f(false, "date=2026-11-23/a.parquet", day)
	f(false, "date=2026-11-21/hour=23/a.parquet", day)
	f(true, "date=2026-11-22/hour=00/a.parquet", day)
	f(true, "date=2026-11-22/hour=23/a.parquet", day)
	f(false, "date=2026-11-23/hour=00/a.parquet", day)
	f(true, "date=__HIVE_DEFAULT_PARTITION__/hour=00/a.parquet", day)
	f(true, "date=nonsense/a.parquet", day)
	f(true, "date=0001-01-01/a.parquet", day)
	afternoon := func(c *Config) {
		c.From, c.To = at(t, "2026-11-22T13:30:00+01:00"), at(t, "2026-11-22T14:00:00+01:00")
	}
	f(true, "date=2026-11-22/hour=12/a.parquet", afternoon)
	f(false, "date=2026-11-22/hour=13/a.parquet", afternoon)
	f(false, "date=2026-11-22/hour=11/a.parquet", afternoon)
}

func TestRowGroupsOutsideOfTheTimeRangeAreNotRead(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 3000, 0)
	files := lake(t, snap, logs, 50)
	first, last := extent(logs)
	reads := func(change func(*Config)) int64 {
		var n atomic.Int64
		w := newWorld(t, files)
		w.store.onRead = func(string) error {
			n.Add(1)
			return nil
		}
		change(w.cfg)
		w.run()
		return n.Load()
	}
	whole := reads(func(*Config) {})
	footers := 4 * int64(len(files))
	require.Greater(t, whole, 2*footers)
	require.LessOrEqual(t, reads(func(c *Config) { c.From = last.Add(time.Second) }), footers)
	require.LessOrEqual(t, reads(func(c *Config) { c.To = first }), footers)
	require.Less(t, reads(func(c *Config) { c.From = last.Add(-last.Sub(first) / 10) }), whole/2)
	require.LessOrEqual(t, reads(func(c *Config) { c.Prefix, c.EventNames = "event_name=page_viewed", []string{"page_viewed"} }), whole/2)
}

// extent is the time of the first event and that of the last.
func extent(logs plog.Logs) (first, last time.Time) {
	var r event.Reader
	r.Reset(event.FromLogs(logs))
	for e := r.Next(); e != nil; e = r.Next() {
		at := e.Time.AsTime()
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}

func TestFailedEventsAreSelectedByTheTimeTheyWereReceived(t *testing.T) {
	snap := shopSchemas(t)
	logs := generated(t, snap, 600, 2)
	w := newWorld(t, lake(t, snap, logs, 50))
	w.cfg.Kind = "failed_events"
	first, last := extent(logs)
	w.cfg.From = first.Add(last.Sub(first) / 4).Add(1500 * time.Millisecond)
	w.cfg.To = first.Add(last.Sub(first) / 2)
	which := func(e *event.Event) bool {
		return e.Failed && !e.Received.AsTime().Before(w.cfg.From) && e.Received.AsTime().Before(w.cfg.To)
	}
	w.run()
	got, _ := w.sink.all()
	want := stories(t, logs, false, which)
	require.NotEmpty(t, want)
	require.Less(t, len(want), 300)
	require.Equal(t, want, stories(t, got, false, all))
}
