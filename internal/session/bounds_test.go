// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/watermark"
)

// happening is an event of a test. It is an append of its own.
type happening struct {
	user, name, id string
	at             int64
}

// give applies events in one delivery and publishes them.
func give(tb testing.TB, e *Engine, appended int64, events ...happening) []Mark {
	tb.Helper()
	a, err := attempt(e, appended, events...)
	require.NoError(tb, err)
	a.Publish()
	return a.Marks
}

func attempt(e *Engine, appended int64, events ...happening) (*Applied, error) {
	lrs := plog.NewLogs()
	d := delivery.New(delivery.Identity{}, 1, nil)
	to := lrs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, h := range events {
		lr := to.AppendEmpty()
		lr.SetEventName(h.name)
		lr.SetTimestamp(pcommon.Timestamp(h.at))
		lr.Attributes().PutStr(event.FieldID, h.id)
		lr.Attributes().PutStr(event.FieldUser, h.user)
		d.Runs = append(d.Runs, delivery.Run{Records: 1, Appended: appended, Ends: true})
	}
	return e.Apply(d, event.FromLogs(lrs), nil)
}

func engineOf(tb testing.TB, store delivery.Snapshot, change func(*Config)) *Engine {
	tb.Helper()
	cfg := Config{Gap: time.Minute, PreviousWithin: time.Hour, Time: watermark.Config{MaxFutureSkew: time.Hour}}
	visitors(&cfg.Definition)
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	require.NoError(tb, err)
	require.NoError(tb, e.Restore(store, 1))
	return e
}

// away is a store that cannot be read for a while.
type away struct {
	*keyspace
	err error
}

func (a *away) Get(key []byte) ([]byte, bool, error) {
	if a.err != nil {
		return nil, false, a.err
	}
	return a.keyspace.Get(key)
}

func TestAVisitorWhomTheStoreCannotBringBackIsNotTakenForANewOne(t *testing.T) {
	store := &away{keyspace: &keyspace{values: map[string][]byte{}}}
	e := engineOf(t, store, func(c *Config) { c.MaxBytes = 1 })
	id := give(t, e, benchStart, happening{"u", "page", "a", benchStart})[0].ID
	_, err := e.Checkpoint(store, func(*Summary) error { return nil })
	require.NoError(t, err)
	e.Committed()
	again := happening{"u", "page", "b", benchStart + 1}
	store.err = errors.New("the disk is away")
	_, err = attempt(e, benchStart, again)
	require.ErrorIs(t, err, store.err)
	store.err = nil
	m := give(t, e, benchStart, again)[0]
	require.Equal(t, Mark{Outcome: Joined, ID: id, Ordinal: 2}, m)
}

func TestAnEventAtTheEndOfTimeIsOfOneSessionWhetherACheckpointCameOrNot(t *testing.T) {
	for _, at := range []int64{math.MaxInt64, math.MaxInt64 - int64(30*time.Second)} {
		var marks [2][]Mark
		for run := range marks {
			store := &keyspace{values: map[string][]byte{}}
			e := engineOf(t, store, nil)
			give(t, e, benchStart, happening{"other", "page", "o", benchStart})
			marks[run] = append(marks[run], give(t, e, benchStart, happening{"u", "page", "a", at})...)
			if run == 1 {
				_, err := e.Checkpoint(store, func(*Summary) error { return errors.New("nothing is over") })
				require.NoError(t, err)
				e.Committed()
			}
			marks[run] = append(marks[run], give(t, e, benchStart, happening{"u", "page", "b", at})...)
		}
		require.Equal(t, marks[0], marks[1])
		require.Equal(t, marks[0][0].ID, marks[0][1].ID)
	}
}

func TestManySessionsThatAreDueAtOnceAreWrittenOnceEach(t *testing.T) {
	store := &keyspace{values: map[string][]byte{}}
	e := engineOf(t, store, nil)
	const visitors, perDelivery = 5 * maxClosing, 10_000
	for n := 0; n < visitors; n += perDelivery {
		var events []happening
		for i := range perDelivery {
			events = append(events, happening{fmt.Sprint("u", n+i), "page", "e", benchStart + int64(n+i)})
		}
		give(t, e, benchStart, events...)
	}
	_, err := e.Checkpoint(store, func(*Summary) error { return nil })
	require.NoError(t, err)
	e.Committed()
	e.Tick(delivery.Tick{Appended: benchStart + int64(2*time.Hour), EventTime: benchStart + int64(2*time.Hour)}).Publish()
	closed := 0
	for {
		before := closed
		w := &empty{}
		_, err := e.Checkpoint(w, func(*Summary) error { closed++; return nil })
		require.NoError(t, err)
		require.LessOrEqual(t, closed-before, maxClosing)
		// A closed session is deleted: its key is written, and as many bytes again of what is left.
		require.Less(t, w.bytes, 4<<20, "what is due and was not closed is not written for that")
		e.Committed()
		if !e.More() {
			break
		}
	}
	require.Equal(t, visitors, closed)
}

func TestSessionsOfTheFutureDoNotKeepThoseThatAreOver(t *testing.T) {
	e := engineOf(t, empty{}, nil)
	give(t, e, benchStart, happening{"u", "page", "f1", benchStart + int64(1000*24*time.Hour)}, happening{"u", "page", "f2", benchStart + int64(2000*24*time.Hour)})
	for i := range 500 { // each is over when the next one comes
		at := benchStart + int64(i)*int64(time.Hour)
		give(t, e, at, happening{"u", "page", fmt.Sprint("e", i), at})
	}
	for table := range e.space.Tables(0) {
		if table.Name() != e.plan.table {
			continue
		}
		table.All(func(r keyed.Ref) bool {
			require.Less(t, len(sessionsOf(table.Value(r), nil)), 10)
			return true
		})
	}
}

func TestACutThatComesTwiceBeginsOneSession(t *testing.T) {
	e := engineOf(t, empty{}, func(c *Config) { c.CutEvents = []string{"login"} })
	at := benchStart
	marks := give(t, e, at, happening{"u", "login", "a", at}, happening{"u", "login", "b", at}, happening{"u", "login", "a", at})
	require.NotEqual(t, marks[0].ID, marks[1].ID)
	require.Equal(t, Mark{Outcome: Joined, ID: marks[0].ID, Ordinal: 2}, marks[2], "two sessions of one ID would be one row")
}

func TestEventsNamedAsThoseThatAreTooManyAreCountedWithThem(t *testing.T) {
	e := engineOf(t, empty{}, func(c *Config) { c.CountNames = true })
	give(t, e, benchStart, happening{"u", "other", "a", benchStart}, happening{"u", strings.Repeat("x", maxName+1), "b", benchStart},
		happening{"u", "page", "c", benchStart})
	e.Tick(delivery.Tick{EventTime: benchStart + int64(time.Hour)}).Publish()
	var counts []Count
	_, err := e.Checkpoint(&empty{}, func(s *Summary) error { counts = s.Counts; return nil })
	require.NoError(t, err)
	require.Equal(t, []Count{{"other", 2}, {"page", 1}}, counts)
}

func TestEventsOfTheFutureLeaveAVisitorRoomForThePresent(t *testing.T) {
	e := engineOf(t, empty{}, nil)
	var future []happening
	for i := range 2 * maxSessionsPerKey {
		future = append(future, happening{"u", "page", fmt.Sprint("f", i), benchStart + int64(i+2)*int64(24*time.Hour)})
	}
	marks := give(t, e, benchStart, future...)
	require.Equal(t, Started, marks[maxFuturePerKey-1].Outcome)
	require.Equal(t, TooMany, marks[maxFuturePerKey].Outcome)
	require.Equal(t, Started, give(t, e, benchStart, happening{"u", "page", "now", benchStart})[0].Outcome)
}

func TestSessionsThatWereTakenOffKeysDoNotPileUp(t *testing.T) {
	e := engineOf(t, empty{}, nil)
	at, left := benchStart, 0
	closed := 0
	const each = 3 * maxClosing
	for range 5 {
		for range each / 10_000 {
			var events []happening
			for range 10_000 {
				at += int64(time.Hour)
				events = append(events, happening{"u", "page", "e", at})
			}
			give(t, e, at, events...)
		}
		_, err := e.Checkpoint(&empty{}, func(*Summary) error { closed++; return nil })
		require.NoError(t, err)
		e.Committed()
		left = 0
		for table := range e.space.Tables(0) {
			if table.Name() == finishedPrefix+e.plan.table {
				left = table.Len()
			}
		}
	}
	require.Less(t, left, each)
	require.Greater(t, closed, 4*each)
}
