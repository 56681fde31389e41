// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
)

func exception(code int, message string) error {
	return fmt.Errorf("inserting: %w", &ch.Exception{Code: proto.Error(code), Name: "X", Message: message})
}

func newLedger() *ledger { return &ledger{open: map[delivery.Coordinator]*opened{}} }

// insertionOf is an INSERT of a delivery.
func insertionOf(c *fakeCoordinator, first uint64, token string) insertion {
	id := c.id
	id.First = first
	return insertion{c: c, id: id, token: token}
}

func TestTheLogIsAskedForACheckpointAtAQuarterOfTheWindow(t *testing.T) {
	l, c := newLedger(), newCoordinator("one")
	f := func(first, blocks uint64, requested int) {
		t.Helper()
		require.NoError(t, l.reserve(insertionOf(c, first, ""), blocks, 100, true, someTime))
		require.Equal(t, requested, c.requested)
	}
	for i := range uint64(25) {
		f(i, 1, 0)
	}
	for i := range uint64(10) {
		f(25+i, 1, 1) // once for a checkpoint
	}
	c.commit()
	f(40, 90, 1) // the checkpoint has passed the older ones
}

func TestAnINSERTThatWouldPushOutAnothersTokenWaits(t *testing.T) {
	l, one, two := newLedger(), newCoordinator("one"), newCoordinator("two")
	f := func(c *fakeCoordinator, token string, blocks uint64, askable bool, after time.Duration, want error) {
		t.Helper()
		require.ErrorIs(t, l.reserve(insertionOf(c, 0, token), blocks, 100, askable, someTime.Add(after)), want)
	}
	f(one, "a", 60, true, 0, nil)
	f(two, "b", 60, true, 0, errWindow)
	require.Equal(t, 1, one.requested, "the one that stands in the way is asked")
	f(two, "b", 40, true, 0, nil)

	// A pipeline that cannot make a checkpoint does not hold back the other for ever, where the table can be asked.
	f(two, "c", 1, true, 0, errWindow)
	f(two, "c", 1, false, maxWait, errWindow)
	f(two, "c", 1, true, maxWait, nil)
	l.leave(one)
	f(two, "d", 50, false, 0, nil)
}

func TestWhatADeliveryDoesNotRepeatIsNotWaitedFor(t *testing.T) {
	l, c := newLedger(), newCoordinator("one")
	f := func(first uint64, token string, blocks uint64, want error) {
		t.Helper()
		require.ErrorIs(t, l.reserve(insertionOf(c, first, token), blocks, 100, false, someTime), want)
	}
	for i := range 3 {
		f(0, fmt.Sprint(i), 100, nil)
		l.settled(insertionOf(c, 0, ""), nil)
	}
	f(0, "left", 10, nil)
	f(0, "3", 90, nil)
	l.settled(insertionOf(c, 0, ""), map[string]bool{"left": true})
	f(0, "4", 1, errWindow)
	l.settled(insertionOf(c, 0, ""), nil)
	f(0, "4", 1, nil)
	f(7, "other", 10, nil)
	f(8, "5", 90, errWindow)
}

// TestAnINSERTThatIsRepeatedCountsOnce repeats one that fills the window, and one of a delivery that checkpoints do not pass.
func TestAnINSERTThatIsRepeatedCountsOnce(t *testing.T) {
	l, one, two := newLedger(), newCoordinator("one"), newCoordinator("two")
	f := func(c *fakeCoordinator, first uint64, token string, blocks uint64, want error) {
		t.Helper()
		require.ErrorIs(t, l.reserve(insertionOf(c, first, token), blocks, 100, false, someTime), want)
	}
	for range 5 {
		f(one, 0, "a", 60, nil)
		f(two, 0, "b", 40, nil)
	}
	two.commit()
	f(two, 1, "c", 1, errWindow)
	// One's checkpoint passes others, but not this.
	one.commit()
	one.committed = 0
	f(two, 1, "c", 1, errWindow)
	f(one, 0, "a", 60, nil)
	one.commit()
	f(two, 1, "c", 100, nil)
	l.correct(insertionOf(two, 1, "c"), 30)
	f(one, 100, "d", 70, nil)
	f(one, 100, "e", 1, errWindow)
}

// TestAStuckDeliveryAsksForNoCheckpointAfterAnother would drain the pipeline for nothing.
func TestAStuckDeliveryAsksForNoCheckpointAfterAnother(t *testing.T) {
	l, c := newLedger(), newCoordinator("one")
	require.NoError(t, l.reserve(insertionOf(c, 0, "stuck"), 30, 100, false, someTime))
	for i := range 5 {
		other := insertionOf(c, uint64(10+i), "x")
		other.id.Partition = 1
		require.NoError(t, l.reserve(other, 6, 100, false, someTime))
		require.Equal(t, 1, c.requested)
		c.commit()
		c.committed = 0
	}
}

// TestTheLedgerNeverCountsTooFew compares it with a list of all INSERTs.
func TestTheLedgerNeverCountsTooFew(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	type sent struct {
		by   *fakeCoordinator
		made uint64
	}
	const budget = 100
	refusals := 0
	for range 300 {
		l := newLedger()
		pipelines := []*fakeCoordinator{newCoordinator("a"), newCoordinator("b"), newCoordinator("c")}
		passed := map[*fakeCoordinator]int{}
		var all []sent
		for i := range 60 {
			c := pipelines[r.IntN(3)]
			if r.IntN(10) == 0 {
				c.commit()
				passed[c] = len(all)
				continue
			}
			one := insertionOf(c, uint64(i), "")
			reserved := 1 + r.Uint64N(30)
			made := 1 + r.Uint64N(reserved)
			oldest := len(all)
			for i, s := range all {
				if i >= passed[s.by] {
					oldest = i
					break
				}
			}
			unpassed := uint64(0)
			for _, s := range all[oldest:] {
				unpassed += s.made
			}
			if err := l.reserve(one, reserved, budget, false, someTime); err == nil {
				require.True(t, unpassed == 0 || unpassed+reserved <= budget, "%d stand, %d to come", unpassed, reserved)
				l.correct(one, made)
				all = append(all, sent{c, made})
				continue
			}
			refusals++
			require.Greater(t, unpassed+reserved, uint64(budget), "what fits is not refused")
		}
	}
	require.Greater(t, refusals, 100)
}

func TestBlocksSinceAMark(t *testing.T) {
	c := func(table uint64, n uint64) counter { return counter{table, []blockNumber{{"", n}}} }
	f := func(now, before counter, want uint64, known bool) {
		t.Helper()
		got, ok := now.since(before)
		assert.Equal(t, known, ok)
		if known {
			assert.Equal(t, want, got)
		}
	}
	f(c(1, 10), c(1, 4), 6, true)
	f(c(1, 4), c(1, 4), 0, true)
	f(c(1, 4), counter{table: 1}, 5, true) // one more than there are: a Replicated table counts from 0
	f(c(1, 3), c(1, 4), 0, false)
	f(counter{table: 1}, c(1, 4), 0, false)
	f(c(2, 10), c(1, 4), 0, false)
	f(counter{}, counter{}, 0, false)
}

// TestTheServerCountsEveryBlockOfATable holds the reckoning of partitions, and what is read of the server's count, against the server.
func TestTheServerCountsEveryBlockOfATable(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	keys := []string{
		"tuple()", "toYYYYMM(event_time)", "toYYYYMMDD(event_time)", "toMonday(event_time)", "toStartOfWeek(event_time)", "toStartOfHour(event_time)",
		"(tenant_id, toYear(event_time))", "(event_name, toStartOfQuarter(received_time))", "(source, toDate(received_time))", "cityHash64(event_id) % 7",
	}
	engine := enginetest.Start(t)
	for i, key := range keys {
		table := fmt.Sprint("t", i)
		engine.Exec("CREATE TABLE " + table + " (tenant_id LowCardinality(String), event_name LowCardinality(String), source LowCardinality(String), event_id String, event_time DateTime64(9, 'UTC'), received_time DateTime64(9, 'UTC')) " +
			"ENGINE = MergeTree PARTITION BY " + key + " ORDER BY event_time SETTINGS non_replicated_deduplication_window = 1000")
		engine.Exec("SYSTEM STOP MERGES " + table)
		p := parsePartitioning(engine.Query("SELECT partition_key FROM system.tables WHERE name = '" + table + "'"))
		before := uint64(0)
		for round := range 4 {
			var x extent
			var places []place
			var values []string
			n := 1 + r.IntN(40)
			for j := range n {
				at := someTime.Add(-time.Duration(r.Int64N(int64(time.Hour) << (4 * round)))).UnixNano()
				received := at + r.Int64N(int64(100*24*time.Hour))
				e := &event.Event{Tenant: fmt.Sprint(r.IntN(3)), Name: fmt.Sprint(r.IntN(3)), Source: fmt.Sprint(r.IntN(3)), ID: fmt.Sprint(j)}
				x.add(e, at, received)
				places = append(places, place{position: j, time: at, received: received, texts: [5]string{e.Tenant, e.Name, e.Source}})
				values = append(values, fmt.Sprintf("('%s', '%s', '%s', '%s', fromUnixTimestamp64Nano(toInt64(%d)), fromUnixTimestamp64Nano(toInt64(%d)))", e.Tenant, e.Name, e.Source, e.ID, at, received))
			}
			engine.Exec("INSERT INTO " + table + " SETTINGS max_partitions_per_insert_block = 0, async_insert = 0 VALUES " + strings.Join(values, ", "))
			var now uint64
			_, err := fmt.Sscan(engine.Query("SELECT max(max_block_number) FROM system.parts WHERE table = '"+table+"'"), &now)
			require.NoError(t, err)
			made := now - before
			before = now
			require.LessOrEqual(t, made, p.bound(&x), key)
			// Cut, no group has more than the limit, and nothing is lost.
			limit := uint64(1 + r.IntN(5))
			total := 0
			for _, g := range p.cut(places, limit) {
				total += len(g)
				seen := map[string]bool{}
				for _, position := range g {
					for k := range places {
						if places[k].position == position {
							seen[p.key(&places[k])] = true
						}
					}
				}
				require.LessOrEqual(t, uint64(len(seen)), limit)
			}
			require.Equal(t, n, total)
			keys := map[string]bool{}
			for k := range places {
				keys[p.key(&places[k])] = true
			}
			require.LessOrEqual(t, made, uint64(len(keys)), key)
		}
	}
	// A block that is known counts too: the count is never too small.
	for range 3 {
		engine.Exec("INSERT INTO t0 (event_id) SETTINGS insert_deduplication_token = 'x', async_insert = 0 VALUES ('1')")
	}
	engine.Exec("INSERT INTO t0 (event_id) SETTINGS insert_deduplication_token = 'y', async_insert = 0 VALUES ('1')")
	require.Equal(t, "8", engine.Query("SELECT max(max_block_number) FROM system.parts WHERE table = 't0'"))
}
