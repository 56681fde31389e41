// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"

	"github.com/millrace/millrace/internal/segmentlog"
)

// small makes a log of many files, of which the horizon needs few.
func small(c *Config) {
	c.SegmentBytes, c.MaxBytes, c.Retention.Bytes, c.Retention.Age = 1<<16, 1<<22, 1<<18, time.Hour
	c.Compression, c.Partitions = "none", 1
	c.Deduplication.Horizon.Count = 100
}

// record is the context that contrib's kafka receiver gives.
func record(topic string, partition, offset int) context.Context {
	return client.NewContext(context.Background(), client.Info{Metadata: client.NewMetadata(map[string][]string{
		"kafka.topic": {topic}, "kafka.partition": {strconv.Itoa(partition)}, "kafka.offset": {strconv.Itoa(offset)},
	})})
}

// fill sends batches of 100 events, until files can go.
func (h *harness) fill(name string, batches int) {
	h.t.Helper()
	for i := range batches {
		require.NoError(h.t, h.send(numbered(name+strconv.Itoa(i)+"-", 100)...))
	}
	h.await("all of it delivered", func() bool { return h.consumers[0].DeliveredTo(0) == h.log.Next(0) })
	require.NoError(h.t, h.consumers[0].CheckpointNow(context.Background()))
}

func (h *harness) idFiles() []string {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.dir, "log", "segments", "*.ids.*"))
	require.NoError(h.t, err)
	return files
}

func TestFilesOfIDsGoOnceTheHorizonHasPassedThem(t *testing.T) {
	f := func(what string, before func(h *harness)) {
		t.Helper()
		h := newHarness(t, small)
		before(h)
		h.fill("e", 40)
		require.NoError(t, h.cut(false))
		require.Greater(t, h.log.Stats().FirstID, uint64(3000), what)
		require.LessOrEqual(t, len(h.idFiles()), 4, "%s: two a file that the horizon needs", what)
		h.restart()
		require.NoError(t, h.send("e39-50"))
		require.EqualValues(t, 1, h.counter("event_log_duplicates"), "%s: what the horizon needs is there", what)
	}
	f("without Kafka", func(*harness) {})
	f("behind a Kafka that went silent", func(h *harness) {
		require.NoError(t, h.ConsumeLogs(record("events", 0, 7), events("acme", "k")))
		require.NoError(t, h.cut(false))
	})
}

func TestAKafkaRecordIsKnownAfterItsFileHasGone(t *testing.T) {
	h := newHarness(t, small)
	require.NoError(t, h.ConsumeLogs(record("events", 0, 7), events("acme", "")))
	h.restart() // nobody has kept the offset outside the log yet
	h.fill("e", 40)
	require.NoError(t, h.cut(false))
	require.Positive(t, h.log.Stats().FirstID)
	h.restart()
	require.NoError(t, h.ConsumeLogs(record("events", 0, 7), events("acme", "")))
	require.EqualValues(t, 1, h.counter("event_log_redelivered"))
}

func TestARecordOfATopicMadeAnewIsKnownWhenItComesAgain(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.ConsumeLogs(record("events", 0, 7), events("acme", "a")))
	require.NoError(t, h.ConsumeLogs(record("events", 0, 7), events("acme", "b", "")), "the topic was made anew")
	h.awaitStored(3)
	require.NoError(t, h.ConsumeLogs(record("events", 0, 7), events("acme", "b", "")))
	require.EqualValues(t, 1, h.counter("event_log_redelivered"))
	h.awaitStored(3)
}

func TestAFileStaysWhileOneRecordOfItIsNotAcknowledged(t *testing.T) {
	h := newHarness(t, func(c *Config) { small(c); c.Retention.Bytes = 0 })
	h.fill("e", 40)
	var next uint64
	_, err := h.log.Remove(func(s segmentlog.SegmentInfo) bool { next = s.Next[0]; return true })
	require.NoError(t, err)
	h.sink().set(errors.New("away"))
	f := func(position, first uint64) {
		t.Helper()
		require.NoError(t, h.consumers[0].Reset(func(uint32) (uint64, error) { return position, nil }))
		require.NoError(t, h.cut(false))
		require.Equal(t, first, h.log.First(0))
	}
	f(next-1, 0)
	f(next, next)
}

func TestARestartKnowsExactlyWhatTheHorizonHolds(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Deduplication.Horizon.Count = 5 })
	require.NoError(t, h.send(numbered("e", 10)...))
	require.NoError(t, h.ConsumeLogs(record("events", 0, 7), events("acme", "")))
	require.NoError(t, h.cut(false)) // sources need not be read from further back than IDs
	h.restart()
	require.NoError(t, h.send("e5", "e6", "e7", "e8", "e9"))
	require.EqualValues(t, 5, h.counter("event_log_duplicates"))
	require.NoError(t, h.send("e4"))
	require.EqualValues(t, 5, h.counter("event_log_duplicates"))
}

func TestARestartKnowsKafkaRecordsFromBeforeTheHorizonOfIDs(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Deduplication.Horizon.Count = 1 })
	f := func(offset int, redelivered int64) {
		t.Helper()
		require.NoError(t, h.ConsumeLogs(record("events", 0, offset), events("acme", "")))
		require.Equal(t, redelivered, h.counter("event_log_redelivered"))
	}
	f(7, 0)
	require.NoError(t, h.send(numbered("e", 20)...))
	h.restart() // from the log's own sources
	f(7, 1)
	require.NoError(t, h.cut(false)) // the state store has it
	f(8, 1)                          // and not this one, which has no ID
	require.NoError(t, h.send(numbered("f", 20)...))
	h.restart()
	f(7, 1)
	f(8, 2)
}
