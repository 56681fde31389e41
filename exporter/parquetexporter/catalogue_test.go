// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// catalogue reads all lines.
func (h *harness) catalogue() (lines []entry, files []string) {
	h.t.Helper()
	for info, err := range h.objects.List(h.t.Context(), h.cfg.Catalogue+"/") {
		require.NoError(h.t, err)
		files = append(files, info.Key)
		content, err := os.ReadFile(filepath.Join(h.cfg.Directory, info.Key))
		require.NoError(h.t, err)
		for line := range strings.Lines(string(content)) {
			var e entry
			require.NoError(h.t, json.Unmarshal([]byte(line), &e), line)
			lines = append(lines, e)
		}
	}
	return lines, files
}

func TestTheCatalogueListsEveryFileOnceWithWhatIsInIt(t *testing.T) {
	h := newHarness(t, nil)
	var ids []string
	at := uint64(0)
	for hour := range 3 {
		for i := range 2 {
			events, more := numbered(fmt.Sprintf("h%d-%d-", hour, i), 4)
			require.NoError(t, h.deliver(at, 1, events...))
			at += 4
			ids = append(ids, more...)
			h.awaitIDs(ids...)
			h.restart()
		}
		h.clock.advance(time.Hour)
	}
	var lines []entry
	var hours []string
	h.await(func() bool {
		h.clock.advance(time.Minute)
		lines, hours = h.catalogue()
		return len(lines) == len(h.files())
	})
	require.GreaterOrEqual(t, len(hours), 3)
	var rows int64
	listed := map[string]bool{}
	for _, e := range lines {
		require.Equal(t, "add", e.Op)
		require.False(t, listed[e.File])
		listed[e.File] = true
		require.Len(t, h.files()[e.File], int(e.Rows))
		require.Equal(t, map[string]string{"event_name": "clicked", "date": "2026-01-02", "hour": "12"}, e.Partition)
		require.Equal(t, "2026-01-02T12:00:01Z", e.MinEventTime)
		require.Len(t, e.Log, 1)
		require.EqualValues(t, e.Rows, e.Log[0].Last-e.Log[0].First+1)
		rows += e.Rows
	}
	require.EqualValues(t, at, rows)
	kept := 0
	require.NoError(t, h.x.index.each(func([][]byte, []byte) error { kept++; return nil }, "entry"))
	require.Less(t, kept, len(lines), "lines of hours that are over leave the state store")
}

// A job that has ended may never start again.
func TestAStopLeavesNoFileThatTheCatalogueLacks(t *testing.T) {
	h := newHarness(t, nil)
	var refused atomic.Int64
	h.objects.failing(func(key string) error {
		if strings.HasPrefix(key, h.cfg.Catalogue+"/") {
			refused.Add(1)
			return errors.New("not now")
		}
		return nil
	})
	events, ids := numbered("a-", 4)
	require.NoError(t, h.deliver(0, 1, events...))
	h.awaitIDs(ids...)
	h.await(func() bool { return refused.Load() > 0 })
	h.objects.failing(nil) // the worker tries again when its pause is over, and the clock stands still
	h.stop()
	lines, _ := h.catalogue()
	require.Len(t, lines, 1)
}

func TestRetentionRemovesOldFilesOfOursAndTheCatalogueSaysSo(t *testing.T) {
	f := func(name string, change func(*Config), reason string) {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(c *Config) { c.File.MaxAge = time.Minute; change(c) })
			foreign := filepath.Join(h.cfg.Directory, "event_name=clicked", "theirs.parquet")
			require.NoError(t, os.MkdirAll(filepath.Dir(foreign), 0o755))
			require.NoError(t, os.WriteFile(foreign, []byte("not ours"), 0o600))
			removed := func() (n int) {
				lines, _ := h.catalogue()
				for _, e := range lines {
					if e.Op == "remove" {
						require.Equal(t, reason, e.Reason)
						n++
					}
				}
				return n
			}
			h.clock.mu.Lock()
			h.clock.now = time.Now() // the file system's times are of the real clock
			h.clock.mu.Unlock()
			events, _ := numbered("a", 5)
			require.NoError(t, h.deliver(0, 1, events...))
			h.await(func() bool { h.clock.advance(30 * time.Second); return removed() == 1 })
			h.await(func() bool {
				left, err := filepath.Glob(filepath.Join(h.cfg.Directory, "event_name=clicked", "*", "*", "*.parquet"))
				require.NoError(t, err)
				return len(left) == 0
			})
			require.FileExists(t, foreign)
		})
	}
	f("by age", func(c *Config) { c.Retention.Age = 10 * time.Minute }, "age")
	f("by bytes", func(c *Config) { c.Retention.Bytes = 100 }, "bytes")
}
