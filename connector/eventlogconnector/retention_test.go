// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
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
