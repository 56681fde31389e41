// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/testbed/enginetest"
)

// until delivers again and again, as the log does, until the delivery is stored. It returns how many attempts that took.
func (x *deliverer) until(t *testing.T, c *fakeCoordinator, first uint64, ld plog.Logs, failed func(attempt int, err error)) int {
	t.Helper()
	for attempt := 1; ; attempt++ {
		err := x.ConsumeLogs(c.attempt(t, first, attempt, false), ld)
		if err == nil {
			return attempt
		}
		require.False(t, delivery.Blocked(err), err)
		require.Less(t, attempt, 100, err)
		failed(attempt, err)
	}
}

func TestAServerThatIsDownAtTheStart(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	x.engine.Kill()
	x.restart()
	attempts := x.until(t, newCoordinator("one"), 0, some(t, "a", 0, 10), func(attempt int, _ error) {
		if attempt == 3 {
			x.engine.Restart()
		}
	})
	require.GreaterOrEqual(t, attempts, 4)
	require.Equal(t, "10/10\t0/0", x.counts())
}

// TestAServerThatIsKilledUnderINSERTs kills the engine at random moments while deliveries go in.
func TestAServerThatIsKilledUnderINSERTs(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) { c.Events.PartitionBy = "toYYYYMMDD(event_time)" })
	c := newCoordinator("one")
	const deliveries, each = 60, 40
	batches := make([]plog.Logs, deliveries)
	for i := range batches {
		b := event.NewBuilder("acme", "web", "test")
		for j := range each {
			add(t, b, "a", fmt.Sprintf("%d-%d", i, j), `{"n":1}`).SetTime(dayOf(j % 5))
		}
		add(t, b, "b", fmt.Sprintf("%d-f", i), `{}`).Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
		batches[i] = b.Batch().Logs()
	}
	var delivered atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, ld := range batches {
			for attempt := 1; ; attempt++ {
				err := x.ConsumeLogs(c.attempt(t, uint64(i)*100, attempt, false), ld)
				if err == nil {
					break
				}
				if delivery.Blocked(err) {
					t.Error(err)
					return
				}
				time.Sleep(20 * time.Millisecond) // the log's backoff
			}
			delivered.Add(1)
		}
	}()
	random := rand.New(rand.NewPCG(1, 2))
	for kills := 0; ; kills++ {
		select {
		case <-done:
			require.Greater(t, kills, 1)
			require.EqualValues(t, deliveries, delivered.Load())
			x.onceEach(t, deliveries*(each+1))
			return
		case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond):
			if kills < 8 {
				x.engine.Kill()
				x.engine.Restart()
			}
		}
	}
}

func TestATableThatIsDroppedUnderneathIsMadeAgain(t *testing.T) {
	x := newDeliverer(t, nil, nil)
	c := newCoordinator("one")
	for i, table := range []string{"events", "failed_events"} {
		x.engine.Exec("DROP TABLE " + table + " SYNC")
		b := event.NewBuilder("acme", "web", "test")
		add(t, b, "a", table, `{}`)
		add(t, b, "b", table, `{}`).Fail(event.Failure{Stage: event.StageValidation, Reason: "x"})
		attempts := x.until(t, c, uint64(i)*100, b.Batch().Logs(), func(int, error) {})
		require.LessOrEqual(t, attempts, 2)
		require.Equal(t, "1\t1", x.engine.Query("SELECT (SELECT count() FROM events WHERE event_id = '"+table+"'), (SELECT count() FROM failed_events WHERE event_id = '"+table+"')"))
		require.Equal(t, "10000", x.engine.Query("SELECT extract(engine_full, 'non_replicated_deduplication_window = (\\\\d+)') FROM system.tables WHERE database = 'analytics' AND name = '"+table+"'"))
	}
}

// TestASlowServerStoresOnce times out while the server goes on with the INSERT.
func TestASlowServerStoresOnce(t *testing.T) {
	x := newDeliverer(t, nil, func(c *Config) { c.TimeoutConfig.Timeout = time.Second })
	c := newCoordinator("one")
	x.until(t, c, 0, some(t, "before", 0, 1), func(int, error) {}) // what is asked once has been asked
	x.engine.Exec("ALTER TABLE events ADD CONSTRAINT slow CHECK sleepEachRow(0.5) = 0")
	b := event.NewBuilder("acme", "web", "test")
	for i := range 5 {
		add(t, b, "slow", fmt.Sprint(i), `{}`)
	}
	ld := b.Batch().Logs()
	var failures []string
	x.until(t, c, 100, ld, func(attempt int, err error) {
		failures = append(failures, err.Error())
		if attempt == 1 {
			x.engine.Exec("ALTER TABLE events DROP CONSTRAINT slow")
		}
		time.Sleep(100 * time.Millisecond) // the log's backoff
	})
	require.NotEmpty(t, failures)
	require.Contains(t, failures[0], "deadline")
	// What still runs on the server comes to its end first.
	require.Eventually(t, func() bool {
		return x.engine.Query("SELECT count() FROM system.processes WHERE startsWith(query, 'INSERT INTO `analytics`')") == "0"
	}, time.Minute, 50*time.Millisecond)
	require.Equal(t, "6/6\t0/0", x.counts())
}

// TestAFullDiskIsWaitedFor needs the right to mount a small file system.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("NOT TRIED: what happens on a full disk. Mounting a tmpfs is not permitted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	x := newDeliverer(t, nil, nil, enginetest.WithDataDir(dir))
	c := newCoordinator("one")
	require.NoError(t, x.ConsumeLogs(c.attempt(t, 0, 1, false), some(t, "a", 0, 1000)))
	ballast := filepath.Join(dir, "ballast")
	fill := func() {
		f, err := os.Create(ballast)
		require.NoError(t, err)
		chunk := make([]byte, 4096)
		for err == nil {
			_, err = f.Write(chunk)
		}
		_ = f.Close()
	}
	fill()
	var failures []string
	for i := uint64(1); i < 6; i++ {
		if i > 1 {
			fill()
		}
		attempts := x.until(t, c, i*100, some(t, "b", int(i)*1000, 1000), func(attempt int, err error) {
			failures = append(failures, err.Error())
			switch {
			case attempt == 3:
				require.NoError(t, os.Remove(ballast))
			case attempt == 5: // a server that does not recover by itself is restarted by whoever runs it
				x.engine.Kill()
				x.engine.Restart()
			}
			time.Sleep(50 * time.Millisecond)
		})
		t.Log("attempts", attempts)
	}
	require.NotEmpty(t, failures)
	require.Contains(t, fmt.Sprint(failures), "NOT_ENOUGH_SPACE")
	x.onceEach(t, 6000)
}
