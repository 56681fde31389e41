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

func TestTheLogIsAskedForACheckpointAtAQuarterOfTheWindow(t *testing.T) {
	l, c := newLedger(), newCoordinator("one")
	id := func(first uint64) delivery.Identity { i := c.id; i.First = first; return i }
	for i := range uint64(25) {
		_, err := l.reserve(c, id(i), 1, 100, true, someTime)
		require.NoError(t, err)
	}
	require.Zero(t, c.requested)
	for i := range uint64(10) {
		_, err := l.reserve(c, id(25+i), 1, 100, true, someTime)
		require.NoError(t, err)
	}
	require.Equal(t, 1, c.requested, "once for a checkpoint")
	c.commit()
	_, err := l.reserve(c, id(40), 90, 100, true, someTime)
	require.NoError(t, err, "the checkpoint has passed the older ones")
}

func TestAnINSERTThatWouldPushOutAnothersTokenWaits(t *testing.T) {
	l, one, two := newLedger(), newCoordinator("one"), newCoordinator("two")
	_, err := l.reserve(one, one.id, 60, 100, true, someTime)
	require.NoError(t, err)
	_, err = l.reserve(two, two.id, 60, 100, true, someTime)
	require.ErrorIs(t, err, errWindow)
	require.Equal(t, 1, one.requested, "the one that stands in the way is asked")
	_, err = l.reserve(two, two.id, 40, 100, true, someTime)
	require.NoError(t, err)

	// A pipeline that cannot make a checkpoint does not hold back the other for ever, where the table can be asked.
	_, err = l.reserve(two, two.id, 1, 100, true, someTime)
	require.ErrorIs(t, err, errWindow)
	_, err = l.reserve(two, two.id, 1, 100, false, someTime.Add(maxWait))
	require.ErrorIs(t, err, errWindow)
	_, err = l.reserve(two, two.id, 1, 100, true, someTime.Add(maxWait))
	require.NoError(t, err)
	l.leave(one)
	_, err = l.reserve(two, two.id, 50, 100, false, someTime)
	require.NoError(t, err)
}

func TestADeliveryOfItsOwnIsNotWaitedFor(t *testing.T) {
	l, c := newLedger(), newCoordinator("one")
	for range 3 {
		_, err := l.reserve(c, c.id, 100, 100, true, someTime)
		require.NoError(t, err)
		l.settled(c, c.id)
	}
	other := c.id
	other.First = 7
	_, err := l.reserve(c, other, 10, 100, true, someTime)
	require.NoError(t, err)
	_, err = l.reserve(c, c.id, 10, 100, true, someTime)
	require.NoError(t, err)
	l.settled(c, c.id)
	_, err = l.reserve(c, c.id, 100, 100, true, someTime)
	require.ErrorIs(t, err, errWindow, "the other's stand")
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
			id := c.id
			id.First = uint64(i)
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
			reservation, err := l.reserve(c, id, reserved, budget, false, someTime)
			if err == nil {
				require.True(t, unpassed == 0 || unpassed+reserved <= budget, "%d stand, %d to come", unpassed, reserved)
				l.correct(reservation, reserved, made)
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
