// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/internal/segmentlog"
)

func sumOf(m metricdata.Metrics) int64 {
	var n int64
	if s, ok := m.Data.(metricdata.Sum[int64]); ok {
		for _, p := range s.DataPoints {
			n += p.Value
		}
	}
	return n
}

func TestEveryEventReachesTheSinkOnceAndInThePartitionsOrder(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions = 1 })
	want := numbered("e", 500)
	for i := 0; i < len(want); i += 10 {
		require.NoError(t, h.send(want[i:i+10]...))
	}
	h.awaitStored(500)
	require.Equal(t, want, h.sink().stored())
	h.restart()
	require.NoError(t, h.send("last"))
	h.awaitStored(501)
}

func TestADuplicateIsAcknowledgedCountedAndNotAppended(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a", "b", "a", "b", "a"), "within one batch")
	require.NoError(t, h.send("b", "c"), "across batches")
	h.awaitStored(3)
	require.EqualValues(t, 4, h.counter("event_log_duplicates"))
	require.EqualValues(t, 3, h.counter("event_log_appended"))
	h.restart()
	require.NoError(t, h.send("a", "d"), "across restarts")
	require.NoError(t, h.ConsumeLogs(context.Background(), events("umbrella", "a")), "another tenant's ID is another ID")
	h.awaitStored(5)
	require.EqualValues(t, 1, h.counter("event_log_duplicates"))
}

func TestATenantOnTheRecordDoesNotReachAnothersIDs(t *testing.T) {
	h := newHarness(t, nil)
	forged := events("umbrella", "a")
	forged.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes().PutStr("tenant.id", "acme")
	require.NoError(t, h.ConsumeLogs(context.Background(), forged))
	require.NoError(t, h.send("a"))
	h.awaitStored(2)
}

func TestChangedKeysAreWarnedOfOnce(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	before := binding{DeduplicationFields: h.cfg.Deduplication.Fields, PartitionBy: h.cfg.PartitionBy}
	h.cfg.PartitionBy = []string{"session.id"}
	h.restart()
	require.False(t, h.sameKeys(before, binding{DeduplicationFields: h.cfg.Deduplication.Fields, PartitionBy: h.cfg.PartitionBy}))
	raw, err := os.ReadFile(filepath.Join(h.cfg.Directory, bindingFile))
	require.NoError(t, err)
	require.Contains(t, string(raw), `"session.id"`, "the next start finds it as it is")
	require.NoError(t, h.send("a", "b"))
	h.awaitStored(2)
}

func TestConcurrentRequestsWithTheSameEventsAppendThemOnce(t *testing.T) {
	h := newHarness(t, nil)
	ids := numbered("e", 200)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := 0; i < len(ids); i += 20 {
				if err := h.send(ids[i : i+20]...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	h.awaitStored(200)
	require.EqualValues(t, 15*200, h.counter("event_log_duplicates"))
}

func TestAnEventWithoutAnIDPassesOrGetsOneByConfiguration(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("", ""))
	require.NoError(t, h.send("", ""))
	h.awaitStored(4)
	require.Equal(t, []string{"", "", "", ""}, h.sink().stored())

	h = newHarness(t, func(c *Config) { c.Deduplication.MissingID = missingGenerate })
	require.NoError(t, h.send("", "given", ""))
	h.awaitStored(3)
	ids := h.sink().stored()
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), 3)
	require.Contains(t, ids, "given")
}

func TestAnIDIsForgottenBeyondTheHorizon(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Deduplication.Horizon.Count = 5 })
	require.NoError(t, h.send("old"))
	require.NoError(t, h.send(numbered("e", 5)...))
	require.NoError(t, h.send("old", "e4"))
	h.awaitStored(7)
	h.restart()
	require.NoError(t, h.send("e4", "old"))
	require.EqualValues(t, 2, h.counter("event_log_duplicates"), "a restart remembers what it knew")
}

func TestASinkThatFailsHoldsBackItsOwnPipelineOnly(t *testing.T) {
	two := pipeline.NewIDWithName(pipeline.SignalLogs, "two")
	h := newHarness(t, nil)
	h.stop()
	h.sinks[two] = newSink()
	h.sinks[two].set(errors.New("away"))
	h.sinks[two].mutates = true
	require.NoError(t, h.start())
	require.NoError(t, h.send(numbered("e", 50)...))
	h.awaitStored(50)
	require.Empty(t, h.sinks[two].stored())
	h.restart()
	h.sinks[two].set(nil)
	h.await("the other pipeline to catch up", func() bool { return len(h.sinks[two].stored()) == 50 })
	require.Len(t, h.sink().stored(), 50, "and the first had nothing twice")
	got := h.sinks[two].stored()
	slices.Sort(got)
	require.Equal(t, slices.Sorted(slices.Values(numbered("e", 50))), got, "what an attempt changed before it failed comes again whole")
}

func TestAFullLogRefusesUntilTheSinkHasCaughtUp(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.SegmentBytes, c.MaxBytes, c.Retention.Bytes = 1<<16, 1<<19, 1<<19
		c.Compression = "none"
		c.CheckpointInterval = 5 * time.Millisecond
	})
	h.sink().set(errors.New("away"))
	sent, err := 0, error(nil)
	for err == nil {
		if err = h.send(numbered(string(rune('A'+sent/1000))+"x", 200)...); err == nil {
			sent += 200
		}
		require.Less(t, sent, 100_000)
		// Another thousand gets another prefix; within one, IDs must differ too.
		if err == nil {
			_ = h.ConsumeLogs(context.Background(), events("acme", numbered(string(rune('a'+sent/200)), 1)...))
		}
	}
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Positive(t, h.counter("event_log_refused"))
	h.sink().set(nil)
	h.await("room again", func() bool { return h.send("after") == nil })
	h.await("the last event", func() bool { return slices.Contains(h.sink().stored(), "after") })
}

func TestABlockedConsumerIsSeenAndGoesOnWhenTheOperatorSkips(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Partitions = 1 })
	h.sink().set(errPermanent)
	require.NoError(t, h.send("poison"))
	h.await("the consumer to be blocked", func() bool { return len(h.consumers[0].Blocked()) == 1 })
	require.NoError(t, h.send("after"))
	_, err := h.skipCommand(context.Background(), h.consumers[0], commandRequest{Partition: 0})
	require.NoError(t, err)
	h.sink().set(nil)
	h.await("what follows", func() bool { return slices.Contains(h.sink().stored(), "after") })
	require.NotContains(t, h.sink().stored(), "poison")
}

func TestAResetDeliversAgainOnPurposeAndOnlyOnce(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send(numbered("e", 20)...))
	h.awaitStored(20)
	h.cfg.Consumers = map[string]ConsumerConfig{"logs": {Reset: configoptional.Some(ResetConfig{Name: "again", To: beginning})}}
	h.restart()
	h.awaitStored(40)
	h.restart()
	require.NoError(t, h.send("new"))
	h.awaitStored(41)

	h.cfg.Consumers = map[string]ConsumerConfig{"logs": {Reset: configoptional.Some(ResetConfig{Name: "late", To: "2100-01-01T00:00:00Z"})}}
	h.restart()
	require.NoError(t, h.send("newer"))
	h.awaitStored(42)
}

func TestWhatIsInAKafkaRecordIsAppendedOnce(t *testing.T) {
	h := newHarness(t, nil)
	record := func(topic, partition, offset string) context.Context {
		return client.NewContext(context.Background(), client.Info{Metadata: client.NewMetadata(map[string][]string{
			"kafka.topic": {topic}, "kafka.partition": {partition}, "kafka.offset": {offset},
		})})
	}
	f := func(ctx context.Context, stored int, ids ...string) {
		t.Helper()
		require.NoError(t, h.ConsumeLogs(ctx, events("acme", ids...)))
		h.awaitStored(stored)
	}
	f(record("events", "0", "7"), 2, "", "")
	f(record("events", "0", "7"), 2, "", "")
	f(record("events", "1", "7"), 4, "", "")
	f(record("other", "0", "7"), 6, "", "")
	h.restart()
	f(record("events", "0", "7"), 6, "", "")
	f(record("events", "0", "8"), 8, "a", "b")
	f(record("events", "0", "8"), 8, "a", "b")
	f(record("events", "0", "8"), 9, "a", "c") // the topic was made anew: an ID that the log does not have is not dropped
	spoofed := client.NewContext(context.Background(), client.Info{
		Addr: &net.TCPAddr{}, Metadata: client.FromContext(record("events", "0", "7")).Metadata,
	})
	f(spoofed, 10, "")
}

func TestAnIDThatTheLogGaveDoesNotMakeARedeliveryNew(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Deduplication.MissingID = missingGenerate })
	ctx := client.NewContext(context.Background(), client.Info{Metadata: client.NewMetadata(map[string][]string{
		"kafka.topic": {"events"}, "kafka.partition": {"0"}, "kafka.offset": {"7", "8"},
	})})
	for range 2 {
		require.NoError(t, h.ConsumeLogs(ctx, events("acme", "", "own", "")))
		h.awaitStored(3)
	}
	require.EqualValues(t, 1, h.counter("event_log_redelivered"))
}

func TestALogOfAnotherNatureIsRefusedAndNotTouched(t *testing.T) {
	f := func(change func(h *harness), want string) {
		t.Helper()
		h := newHarness(t, nil)
		require.NoError(t, h.send("a"))
		h.awaitStored(1)
		h.stop()
		before := *h.cfg
		sinks := h.sinks
		change(h)
		err := h.start()
		require.ErrorContains(t, err, want)
		*h.cfg, h.sinks = before, sinks
		require.NoError(t, h.start(), "what was refused is as it was")
		require.NoError(t, h.send("a", "b"))
		h.awaitStored(2)
	}
	f(func(h *harness) { h.cfg.Partitions = 8 }, "4")
	f(func(h *harness) {
		h.sinks = map[pipeline.ID]*sink{pipeline.NewIDWithName(pipeline.SignalLogs, "renamed"): newSink()}
	}, "consumers::NEW_NAME::renamed_from: logs")
	f(func(h *harness) { h.cfg.StateStore = component.MustNewID("nowhere") }, `state_store: "nowhere" is no state store`)
	f(func(h *harness) { h.cfg.Consumers = map[string]ConsumerConfig{"logs/absent": {}} }, `"logs/absent" is no pipeline`)
}

func TestARenamedPipelineGoesOnAndARemovedOneIsForgotten(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	h.stop()
	old := h.sink()
	renamed := pipeline.NewIDWithName(pipeline.SignalLogs, "renamed")
	h.sinks = map[pipeline.ID]*sink{renamed: old}
	h.cfg.Consumers = map[string]ConsumerConfig{"logs/renamed": {RenamedFrom: "logs"}}
	require.NoError(t, h.start())
	require.NoError(t, h.send("b"))
	h.await("the renamed pipeline to go on", func() bool { return len(old.stored()) == 2 })
	h.restart()
	h.stop()
	h.sinks = map[pipeline.ID]*sink{pipeline.NewIDWithName(pipeline.SignalLogs, "new"): newSink()}
	h.cfg.Consumers = map[string]ConsumerConfig{"logs/renamed": {Removed: true}}
	require.NoError(t, h.start())
	h.await("the new pipeline to begin at the beginning", func() bool {
		return len(h.sinks[pipeline.NewIDWithName(pipeline.SignalLogs, "new")].stored()) == 2
	})
}

func TestALogWithoutItsStateStoreIsRefusedUnlessTold(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	h.stop()
	moveAway(t, h.dir, "state")
	err := h.start()
	require.ErrorContains(t, err, "set accept_state_store: ")
	_, h.cfg.AcceptStateStore, _ = cutLast(err.Error(), "accept_state_store: ")
	h.cfg.AcceptStateStore = h.cfg.AcceptStateStore[:32]
	require.NoError(t, h.start())
	h.awaitStored(2) // it comes again under another name, on purpose
	h.restart()
	require.NoError(t, h.send("b"))
	h.awaitStored(3)
}

func TestALogMadeAnewHasOtherNamesForTheSamePositions(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	h.stop()
	moveAway(t, h.dir, "log")
	require.NoError(t, h.start())
	require.NoError(t, h.send("b"))
	h.awaitStored(2)
	require.Equal(t, []string{"a", "b"}, h.sink().stored())
}

func TestAPipelineThatBreaksThePromiseIsRefusedAtStart(t *testing.T) {
	h := newHarness(t, nil)
	h.stop()
	conf := h.pipelines()
	conf["service"].(map[string]any)["pipelines"].(map[string]any)["logs"].(map[string]any)["processors"] = []any{"batch"}
	require.ErrorContains(t, startWith(t, h, conf), "batch is not known to be synchronous")
	h.cfg.Guarantee = atLeastOnce
	require.NoError(t, startWith(t, h, conf))
}

func TestRetentionRemovesWhatEveryConsumerHasAndNothingElse(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.SegmentBytes, c.MaxBytes, c.Retention.Bytes, c.Retention.Age = 1<<16, 1<<22, 1<<18, time.Hour
		c.Compression, c.Partitions = "none", 1
		c.Deduplication.Horizon.Count = 100
	})
	for i := range 40 {
		require.NoError(t, h.send(numbered(string(rune('A'+i)), 100)...))
	}
	h.awaitStored(4000)
	require.NoError(t, h.cut(false))
	require.Zero(t, h.log.First(0), "nothing is committed yet")
	require.NoError(t, h.consumers[0].CheckpointNow(context.Background()))
	require.NoError(t, h.cut(false))
	require.Positive(t, h.log.First(0))
	require.LessOrEqual(t, h.log.Stats().Bytes, int64(1<<19))
	h.restart()
	require.NoError(t, h.send("Z0", "new"))
	h.awaitStored(4002)
}

func TestRetentionDropsWhatAConsumerLacksOnlyWhenTold(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.SegmentBytes, c.MaxBytes, c.Retention.Bytes = 1<<16, 1<<22, 1<<18
		c.Compression, c.Partitions = "none", 1
	})
	h.sink().set(errors.New("away"))
	for i := range 40 {
		require.NoError(t, h.send(numbered(string(rune('A'+i)), 100)...))
	}
	require.NoError(t, h.cut(false))
	require.Zero(t, h.log.First(0))
	h.cfg.Retention.DropUnconsumed = true
	require.NoError(t, h.cut(false))
	require.Positive(t, h.log.First(0))
	dropped := h.counter("event_log_retention_dropped")
	require.Positive(t, dropped)
	h.sink().set(nil)
	h.awaitStored(4000 - int(dropped))
}

func TestOriginSurvivesTheLog(t *testing.T) {
	for _, o := range []origin{{}, {"t", 0, 0}, {"topic.with-ünicode", 1<<31 - 1, 1<<63 - 1}} {
		got, err := parseOrigin(o.bytes())
		require.NoError(t, err)
		require.Equal(t, o, got)
	}
	for _, bad := range [][]byte{{'x'}, {'k'}, {'k', 0x80}, {'k', 1, 1}, append([]byte{'k'}, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 't')} {
		_, err := parseOrigin(bad)
		require.ErrorIs(t, err, errSource, "%x", bad)
	}
}

func FuzzParseOrigin(f *testing.F) {
	f.Add(origin{"topic", 3, 99}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := parseOrigin(b)
		if err != nil || !o.known() {
			return
		}
		again, err := parseOrigin(o.bytes())
		require.NoError(t, err)
		require.Equal(t, o, again)
	})
}

func TestASenderIsToldToComeAgain(t *testing.T) {
	h := newHarness(t, nil)
	h.stop()
	require.NoError(t, h.start())
	l := h.eventLog
	h.stop()
	err := l.ConsumeLogs(context.Background(), events("acme", "a"))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, l.refuse(context.Background(), 1, segmentlog.ErrFull), "the event log is full: send again later")
}

func TestAConsumerThatTheStoreKnowsFromALaterLogIsRefused(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send(numbered("e", 10)...))
	h.awaitStored(10)
	h.stop()
	older := copyOf(t, h.dir, "log")
	require.NoError(t, h.start())
	require.NoError(t, h.send(numbered("f", 10)...))
	h.awaitStored(20)
	h.stop()
	replaceBy(t, h.dir, "log", older)
	require.ErrorContains(t, h.start(), "log and state are not of one time")
}

func TestASmallDiskIsSharedOut(t *testing.T) {
	total, known := diskSize(filepath.Join(t.TempDir(), "not", "there", "yet"))
	require.True(t, known)
	require.Positive(t, total)
	h := newHarness(t, func(c *Config) { c.MinFreeBytes, c.MaxBytes, c.SegmentBytes = 1<<60, 1<<62, 1<<20 })
	require.LessOrEqual(t, h.segmentOptions().MinFreeBytes, total/shareOfDisk)
	require.NoError(t, h.send("a"), "a bound that the disk cannot keep does not refuse everything")
	h.awaitStored(1)
}
