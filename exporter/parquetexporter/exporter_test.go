// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/state"
)

func jsonDecode(s string, v any) error { return json.Unmarshal([]byte(s), v) }

func TestEventsGoIntoTheFileOfTheirNameAndHour(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.deliver(0, 1,
		one{id: "a", name: "clicked", at: noon}, one{id: "b", name: "Order Completed", at: noon.Add(59 * time.Minute)},
		one{id: "c", name: "clicked", at: noon.Add(time.Hour)}, one{id: "d", name: "", at: noon},
		one{id: "e", name: "a/b=ü", at: noon.Add(-13 * time.Hour)}, one{id: "f", name: "clicked", failed: true}))
	h.awaitIDs("a", "b", "c", "d", "e", "f")
	got := map[string]string{}
	for key, rows := range h.files() {
		for _, r := range rows {
			got[r["event_id"].String()] = path.Dir(key)
		}
	}
	require.Equal(t, map[string]string{
		"a": "event_name=clicked/date=2026-01-02/hour=12",
		"b": "event_name=Order Completed/date=2026-01-02/hour=12",
		"c": "event_name=clicked/date=2026-01-02/hour=13",
		"d": "event_name=__HIVE_DEFAULT_PARTITION__/date=2026-01-02/hour=12",
		"e": "event_name=a%2Fb%3Dü/date=2026-01-01/hour=23",
		"f": "failed_events/event_name=clicked/date=2026-01-02/hour=12",
	}, got)
}

func TestPropertiesAreTypedBySchemaAndTheRestIsJSON(t *testing.T) {
	h := newHarness(t, nil)
	h.registry.set(t,
		compile(t, "order", "1", `{"type":"object","properties":{"total":{"type":"number"},"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}}}`),
		compile(t, "order", "2", `{"type":"object","properties":{"total":{"type":"number"},"at":{"type":"string","format":"date-time"},"price":{"type":"string","x-column":"Decimal(18, 2)"}}}`),
		compile(t, "other", "1", `{"type":"object","properties":{"unrelated":{"type":"string"}}}`))
	require.NoError(t, h.deliver(0, 1,
		one{id: "a", name: "order", schema: "order/1", properties: `{"total":1.5,"items":[{"sku":"x","more":1},{}],"free":{"x":true}}`},
		one{id: "b", name: "order", schema: "order/2", properties: `{"total":"no number"}`},
		one{id: "c", name: "order", schema: "order/2", properties: `{"total":2,"at":"2026-01-01T00:00:00.5Z"}`},
		one{id: "d", name: "order", schema: "order/1", properties: `{"items":[]}`}))
	h.awaitIDs("a", "b", "c", "d")
	for key, rows := range h.files() {
		f := open(t, filepath.Join(h.cfg.Directory, key))
		schema, _ := f.Lookup(parquetfile.KeySchema)
		log, _ := f.Lookup(parquetfile.KeyLog)
		if strings.HasPrefix(key, "failed_events/") {
			require.Len(t, rows, 1)
			require.Equal(t, "b", rows[0]["event_id"].String())
			require.Equal(t, "/total", rows[0]["pointer"].String())
			require.Empty(t, schema)
			require.Contains(t, log, `"partition":0,"first":0,"last":3,"rows":1`)
			continue
		}
		require.Equal(t, "order/1,2", schema)
		require.Contains(t, log, `"partition":0,"first":0,"last":3,"rows":3`)
		layout, _ := f.Lookup(parquetfile.KeyLayout)
		require.JSONEq(t, `{"columns":[{"name":"items.sku","path":["items","sku"],"each":1,"type":"String"},{"name":"total","path":["total"],"type":"Float64"},
			{"name":"at","path":["at"],"type":"DateTime64(9, 'UTC')"},{"name":"price","path":["price"],"type":"Decimal(18, 2)","text":true}]}`, strings.ReplaceAll(layout, `DateTime64(3, 'UTC')`, `DateTime64(9, 'UTC')`))
		require.Len(t, rows, 3)
		byID := map[string]row{}
		for _, r := range rows {
			byID[r["event_id"].String()] = r
			require.NotContains(t, r, "unrelated")
		}
		require.InDelta(t, 1.5, byID["a"]["total"].Double(), 0)
		require.True(t, byID["a"]["at"].IsNull())
		require.JSONEq(t, `{"free":{"x":true},"items":[{"more":1},{}]}`, byID["a"]["properties"].String())
		require.False(t, byID["c"]["at"].IsNull())
		require.JSONEq(t, `{}`, byID["c"]["properties"].String())
		require.JSONEq(t, `{"items":[]}`, byID["d"]["properties"].String(), "which is not absent")
	}
}

func TestADeliveryIsStagedOnceHoweverOftenItComes(t *testing.T) {
	h := newHarness(t, nil)
	events, ids := numbered("a", 10)
	require.NoError(t, h.deliver(0, 1, events...))
	require.NoError(t, h.deliver(0, 2, events...))
	h.restart()
	require.NoError(t, h.deliver(0, 1, events...), "known after a restart")
	h.awaitIDs(ids...)
	require.NoError(t, h.deliver(0, 1, events...), "known after its file is there")
	h.restart()
	require.NoError(t, h.deliver(0, 1, events...))
	h.awaitIDs(ids...)
	require.Len(t, h.x.tokens.known, 1)

	h.pipe.commit(10)
	more, others := numbered("b", 5)
	require.NoError(t, h.deliver(10, 1, more...))
	require.Len(t, h.x.tokens.known, 1, "what a checkpoint has passed is forgotten")
	h.restart()
	require.Len(t, h.x.tokens.known, 1, "in the state store too")
	h.awaitIDs(append(ids, others...)...)

	h.id.Epoch++ // positions were reset: it is to be stored again
	require.NoError(t, h.deliver(0, 1, events...))
	require.Len(t, h.x.tokens.known, 1, "of former epochs nothing comes again")
	h.awaitIDs(append(append(ids, ids...), others...)...)
}

func TestAnOutboxBatchIsKnownUntilTheCheckpointAfterItsOwn(t *testing.T) {
	h := newHarness(t, nil)
	h.pipe.commit(0)
	send := func(checkpoint uint64, id string) {
		t.Helper()
		d := h.id
		d.Stage, d.Checkpoint = "sessionization", checkpoint
		ctx := delivery.NewContext(t.Context(), delivery.New(d, 1, h.pipe))
		require.NoError(t, h.x.consume(ctx, batch(t, one{id: id, name: "session.end"})))
	}
	send(1, "a")
	send(1, "a")
	h.pipe.commit(0)
	send(2, "b")
	require.Len(t, h.x.tokens.known, 1)
	h.awaitIDs("a", "b")
}

func TestWhatWasNotNotedComesAgainAndWhatMayHaveBeenIsNotDoubled(t *testing.T) {
	h := newHarness(t, nil)
	events, ids := numbered("a", 3)
	require.NoError(t, h.deliver(0, 1, events...))
	h.awaitIDs(ids...)

	h.state.failing(func() (error, bool) { return state.ErrFull, false })
	b, more := numbered("b", 3)
	require.ErrorIs(t, h.deliver(3, 1, b...), state.ErrFull)
	require.Zero(t, h.x.staging.staged(), "nothing of it counts")

	broken := errors.New("broken")
	h.state.failing(func() (error, bool) { return broken, true })
	require.ErrorIs(t, h.deliver(3, 2, b...), broken)
	require.ErrorIs(t, h.deliver(3, 3, b...), broken, "nothing goes on before it is known")
	h.state.failing(nil)
	require.NoError(t, h.deliver(3, 4, b...))
	h.awaitIDs(append(ids, more...)...)

	h.state.failing(func() (error, bool) { return broken, true })
	c, third := numbered("c", 3)
	require.ErrorIs(t, h.deliver(6, 1, c...), broken)
	h.state.failing(nil)
	h.restart()
	require.NoError(t, h.deliver(6, 1, c...))
	h.awaitIDs(slices.Concat(ids, more, third)...)
}

func TestNothingIsTakenWhileStagingIsFullAndFilesLeaveEarlyForRoom(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.Staging.SegmentBytes, c.Staging.MaxBytes = 1<<20, 2<<20
		c.File.MaxAge = 1000 * time.Hour
	})
	away := errors.New("the store is away")
	h.objects.failing(func(string) error { return away })
	var ids []string
	at := uint64(0)
	r := rand.New(rand.NewPCG(1, 2))
	filler := func() string {
		b := make([]byte, 100_000)
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[r.IntN(36)]
		}
		return string(b)
	}
	var refused error
	for refused == nil {
		require.Less(t, at, uint64(1000))
		id := fmt.Sprint("a", at)
		refused = h.deliver(at, 1, one{id: id, name: "large", properties: `{"x":"` + filler() + `"}`})
		if refused == nil {
			ids = append(ids, id)
			at++
		}
	}
	require.ErrorIs(t, refused, errStagingFull)
	h.objects.failing(nil)
	h.await(func() bool { // no file is as old as max_age
		h.clock.advance(time.Minute)
		return h.deliver(at, 2, one{id: "last", name: "large"}) == nil
	})
	h.clock.advance(2000 * time.Hour)
	h.awaitIDs(append(ids, "last")...)
}

func TestAStoreThatIsAwayHoldsNothingBackAndGetsEverything(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.MaxAge = time.Second; c.File.RowGroupRows = 5 })
	h.objects.failing(func(string) error { return errors.New("away") })
	var ids []string
	for i := range 10 {
		events, more := numbered(string(rune('a'+i)), 7)
		require.NoError(t, h.deliver(uint64(7*i), 1, events...))
		ids = append(ids, more...)
		h.clock.advance(time.Second)
	}
	require.Empty(t, h.ids())
	h.restart()
	require.Empty(t, h.ids())
	h.objects.failing(nil)
	h.awaitIDs(ids...)
}

func TestRowGroupsAreSortedAndMadeBeforeTheFileIsClosed(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.RowGroupRows = 100 })
	var ids []string
	for i := range 7 {
		events, more := numbered(string(rune('a'+i)), 60)
		for j := range events {
			events[j].tenant = []string{"z", "b", "m"}[j%3]
		}
		require.NoError(t, h.deliver(uint64(60*i), 1, events...))
		ids = append(ids, more...)
	}
	h.await(func() bool {
		h.x.mu.Lock()
		defer h.x.mu.Unlock()
		parts := 0
		for _, l := range h.x.lots {
			parts += len(l.parts)
		}
		return parts > 2
	})
	h.restart()
	h.awaitIDs(ids...)
	files := h.files()
	require.Len(t, files, 1)
	for key := range files {
		f := open(t, filepath.Join(h.cfg.Directory, key))
		require.Greater(t, len(f.RowGroups()), 3)
		for _, g := range f.Metadata().RowGroups {
			require.Len(t, g.SortingColumns, 2)
		}
		at := 0
		for _, g := range f.RowGroups() {
			var last string
			for _, r := range files[key][at : at+int(g.NumRows())] {
				now := fmt.Sprintf("%s %020d", r["tenant_id"], r["event_time"].Int64())
				require.LessOrEqual(t, last, now)
				last = now
			}
			at += int(g.NumRows())
		}
	}
	h.await(func() bool { // nothing stays behind
		left, err := filepath.Glob(filepath.Join(h.cfg.Staging.Directory, "*.*"))
		require.NoError(t, err)
		return len(left) == 0
	})
}

func TestTooManyFilesShareOne(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.File.MaxOpen = 3 })
	var events []one
	var ids []string
	for i := range 20 {
		id := fmt.Sprintf("a%02d", i)
		events = append(events, one{id: id, name: fmt.Sprint("name", i)})
		ids = append(ids, id)
	}
	require.NoError(t, h.deliver(0, 1, events[:10]...))
	require.NoError(t, h.deliver(10, 1, events[10:]...))
	h.awaitIDs(ids...)
	files := h.files()
	require.Len(t, files, 4)
	for key, rows := range files {
		if strings.Contains(key, noPartition) {
			require.Len(t, rows, 17)
		}
	}
}

func TestAColumnKeepsTheTypeItHadInFilesThatAreThere(t *testing.T) {
	h := newHarness(t, nil)
	h.registry.set(t, compile(t, "order", "1", `{"type":"object","properties":{"total":{"type":"number"}}}`))
	require.NoError(t, h.deliver(0, 1, one{id: "a", name: "order", schema: "order/1", properties: `{"total":1.5}`}))
	h.restart()
	h.registry.set(t, compile(t, "order", "2", `{"type":"object","properties":{"total":{"type":"string"},"more":{"type":"integer"}}}`))
	require.NoError(t, h.deliver(1, 1, one{id: "b", name: "order", schema: "order/2", properties: `{"total":"1.5","more":1}`}))
	h.awaitIDs("a", "b")
	for _, rows := range h.files() {
		for _, r := range rows {
			if r["event_id"].String() == "b" {
				require.NotContains(t, r, "total")
				require.JSONEq(t, `{"total":"1.5"}`, r["properties"].String())
				require.EqualValues(t, 1, r["more"].Int64())
			} else {
				require.InDelta(t, 1.5, r["total"].Double(), 0)
			}
		}
	}
}

func TestWhatIsStagedIsEncodedByTheSchemaOfItsTime(t *testing.T) {
	h := newHarness(t, nil)
	h.registry.set(t, compile(t, "order", "1", `{"type":"object","properties":{"total":{"type":"number"}}}`))
	require.NoError(t, h.deliver(0, 1, one{id: "a", name: "order", schema: "order/1", properties: `{"total":1.5}`}))
	h.registry.set(t) // gone
	h.restart()
	require.NoError(t, h.deliver(1, 1, one{id: "b", name: "order", schema: "order/1", properties: `{"total":2.5}`}))
	h.awaitIDs("a", "b")
	for _, rows := range h.files() {
		require.Len(t, rows, 1)
		if rows[0]["event_id"].String() == "a" {
			require.InDelta(t, 1.5, rows[0]["total"].Double(), 0)
		} else {
			require.JSONEq(t, `{"total":2.5}`, rows[0]["properties"].String())
		}
	}
}

func TestADamagedPieceHoldsBackItsFileAndNoOther(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.deliver(0, 1, one{id: "a", name: "first"}))
	require.NoError(t, h.deliver(1, 1, one{id: "b", name: "second"}))
	segments, err := filepath.Glob(filepath.Join(h.cfg.Staging.Directory, "*.staged"))
	require.NoError(t, err)
	require.Len(t, segments, 1)
	content, err := os.ReadFile(segments[0])
	require.NoError(t, err)
	content[10] ^= 1
	require.NoError(t, os.WriteFile(segments[0], content, 0o600))
	h.clock.advance(h.cfg.File.MaxAge)
	h.await(func() bool { h.clock.advance(time.Minute); return slices.Equal(h.ids(), []string{"b"}) })
	h.await(func() bool { return h.waiting() == 1 }) // what was acknowledged is kept, and said
	content[10] ^= 1
	require.NoError(t, os.WriteFile(segments[0], content, 0o600))
	h.awaitIDs("a", "b")
}

func TestStagingAndStateThatDoNotBelongTogetherAreRefused(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.deliver(0, 1, one{id: "a", name: "clicked"}))
	require.ErrorContains(t, h.tryStart(), "is used by another exporter or collector")
	h.stop()
	moved := h.cfg.Staging.Directory + ".moved"
	require.NoError(t, os.Rename(h.cfg.Staging.Directory, moved))
	require.ErrorContains(t, h.tryStart(), "is empty, but the state store knows of events")
	require.NoError(t, os.RemoveAll(h.cfg.Staging.Directory))
	require.NoError(t, os.Rename(moved, h.cfg.Staging.Directory))

	other, err := state.Open(t.TempDir(), state.Options{})
	require.NoError(t, err)
	mine := h.state.Store
	h.state.Store = other
	require.ErrorContains(t, h.tryStart(), "another state store or exporter knows of")
	h.state.Store = mine
	require.NoError(t, other.Close())

	segments, err := filepath.Glob(filepath.Join(h.cfg.Staging.Directory, "*.staged"))
	require.NoError(t, err)
	require.NoError(t, os.Rename(segments[0], segments[0]+".away"))
	require.ErrorContains(t, h.tryStart(), "events that were acknowledged are in it")
	require.NoError(t, os.Rename(segments[0]+".away", segments[0]))
	h.start()
	h.awaitIDs("a")
}

// TestEachEventIsInTheLakeOnceWhateverFails runs random schedules of deliveries, repeated ones, failing writes to the state
// store (done or not done), a store that is away, clocks, checkpoints and restarts, and then compares.
func TestEachEventIsInTheLakeOnceWhateverFails(t *testing.T) {
	run := func(t *testing.T, seed uint64) {
		t.Helper()
		r := rand.New(rand.NewPCG(seed, 4))
		h := newHarness(t, func(c *Config) {
			c.File.MaxAge = time.Second
			c.File.RowGroupRows = 1 + r.IntN(40)
			c.File.MaxOpen = 1 + r.IntN(6)
			c.Staging.SegmentBytes = 1 << 20
		})
		broken := errors.New("broken")
		h.state.failing(func() (error, bool) {
			switch r.IntN(20) {
			case 0:
				return broken, true
			case 1:
				return broken, false
			case 2:
				return state.ErrFull, false
			}
			return nil, false
		})
		// The generator is shared by the test and the worker.
		inner := h.state.fail
		h.state.failing(func() (error, bool) { h.clock.mu.Lock(); defer h.clock.mu.Unlock(); return inner() })
		away := false
		h.objects.failing(func(string) error {
			h.clock.mu.Lock()
			defer h.clock.mu.Unlock()
			if away || r.IntN(10) == 0 {
				return broken
			}
			return nil
		})
		chance := func(n int) int { h.clock.mu.Lock(); defer h.clock.mu.Unlock(); return r.IntN(n) }
		var want []string
		position := uint64(0)
		for step := range 60 {
			events, ids := numbered(fmt.Sprintf("s%02d-", step), 1+chance(30))
			for i := range events {
				events[i].name = fmt.Sprint("name", chance(4))
				events[i].failed = chance(10) == 0
				events[i].at = noon.Add(time.Duration(chance(5)) * time.Hour)
			}
			for attempt := 1; ; attempt++ {
				require.Less(t, attempt, 1000)
				err := h.deliver(position, attempt, events...)
				if chance(12) == 0 {
					h.stop()
					h.start()
					continue // nobody was told: it comes again
				}
				if err == nil && chance(8) != 0 {
					break
				}
			}
			want = append(want, ids...)
			position += uint64(len(ids))
			if chance(5) == 0 {
				h.pipe.commit(position)
			}
			h.clock.mu.Lock()
			away = r.IntN(6) == 0
			h.clock.mu.Unlock()
			h.clock.advance(time.Duration(chance(1500)) * time.Millisecond)
		}
		h.state.failing(nil)
		h.objects.failing(nil)
		h.awaitIDs(want...)
		h.await(func() bool {
			h.clock.advance(time.Minute)
			lines, _ := h.catalogue()
			return len(lines) == len(h.files())
		})
		for key, rows := range h.files() {
			for _, r := range rows {
				if at, ok := r["event_time"]; ok && !strings.Contains(key, noPartition) && strings.HasPrefix(key, "event_name=") {
					require.Contains(t, key, fmt.Sprintf("hour=%02d/", time.Unix(0, at.Int64()).UTC().Hour()))
					require.Contains(t, key, "event_name="+r["event_name"].String()+"/")
				}
			}
		}
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			run(t, seed)
		})
	}
}
