// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/parquetfile"
)

func TestFilesForSparkHaveMicrosecondsAndTextsForUUIDs(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.Compatibility = spark; c.File.RowGroupRows = 1 })
	h.registry.set(t, compile(t, "order", "1", `{"type":"object","properties":{"key":{"type":"string","format":"uuid"},"at":{"type":"string","format":"date-time","x-column":{"type":"DateTime64(9)"}}}}`))
	at := noon.Add(123456789)
	for i, id := range []string{"a", "b"} {
		require.NoError(t, h.deliver(uint64(i), 1, one{id: id, name: "order", schema: "order/1", at: at,
			properties: `{"key":"6a9fee5e-7500-4758-9c54-a96a0886ad18","at":"1969-12-31T23:59:59.9999995Z"}`}))
	}
	h.cfg.File.Compatibility = standard // what is staged is finished as it was begun
	h.restart()
	h.awaitIDs("a", "b")
	for key, rows := range h.files() {
		f := open(t, filepath.Join(h.cfg.Directory, key))
		require.Len(t, rows, 2)
		for _, r := range rows {
			require.Equal(t, "6a9fee5e-7500-4758-9c54-a96a0886ad18", r["key"].String())
			require.Equal(t, at.UnixMicro(), r["event_time"].Int64())
			require.EqualValues(t, -1, r["at"].Int64())
		}
		column, ok := f.Schema().Lookup("event_time")
		require.True(t, ok)
		require.Contains(t, column.Node.Type().String(), "MICROS")
		layout, _ := f.Lookup(parquetfile.KeyLayout)
		require.NotContains(t, layout, "UUID")
	}
}

func TestAFileThatIsMadeAgainIsTheSameWhateverIsConfiguredByThen(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.RowGroupRows = 10; c.File.Writer = "one" })
	events, ids := numbered("a", 25)
	for i := range events {
		events[i].properties = fmt.Sprintf(`{"text":"%0100d"}`, i%3)
	}
	for i := range 5 {
		require.NoError(t, h.deliver(uint64(5*i), 1, events[5*i:5*i+5]...))
	}
	h.await(func() bool { // planned and put, but not noted
		h.state.failing(func() (error, bool) {
			if len(h.ids()) > 0 {
				return errors.New("broken"), false
			}
			return nil, false
		})
		h.clock.advance(h.cfg.File.MaxAge)
		return len(h.ids()) > 0
	})
	content := func() map[string]string {
		out := map[string]string{}
		for key := range h.files() {
			b, err := os.ReadFile(filepath.Join(h.cfg.Directory, key))
			require.NoError(t, err)
			out[key] = string(b)
		}
		return out
	}
	first := content()
	require.Len(t, first, 1)
	h.stop()
	h.state.failing(nil)
	h.cfg.File.Writer, h.cfg.File.CompressionLevel, h.cfg.File.RowGroupRows, h.cfg.File.PageBytes = "two", 19, 3, 2000
	h.cfg.File.BloomFilter.Columns, h.cfg.File.Compatibility = nil, spark
	require.NoError(t, os.RemoveAll(h.cfg.Directory))
	h.start()
	h.awaitIDs(ids...)
	require.Equal(t, first, content())
}

func TestWhatWasStagedWithOtherColumnsIsNotReadByTheirPlaces(t *testing.T) {
	l, value, err := keptLayout{Kind: parquetfile.KindFailedEvents, Envelope: envelopeOf(parquetfile.KindFailedEvents)}.ready()
	require.NoError(t, err)
	require.NotEmpty(t, l.fields)
	var kept keptLayout
	require.NoError(t, jsonDecode(string(value), &kept))
	kept.Envelope = append([]string{"new"}, kept.Envelope...)
	_, _, err = kept.ready()
	require.ErrorIs(t, err, errDamaged)
	require.ErrorContains(t, err, "let that one finish its files first")
}
