// SPDX-License-Identifier: Apache-2.0

package kafkatest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/pdata/plog"
)

func logs(name string) plog.Logs {
	l := plog.NewLogs()
	l.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().SetEventName(name)
	return l
}

func TestKafkaKeepsWhatItAcknowledgedAcrossKillAndRestart(t *testing.T) {
	k := Start(t)
	k.CreateTopic("events", 2)
	require.Equal(t, []int64{0, 1}, k.ProduceLogs("events", 0, logs("a"), logs("b")))
	require.Equal(t, []int64{0}, k.ProduceLogs("events", 1, logs("c")))
	pid := k.PID()
	k.Kill()
	k.Restart()
	require.NotEqual(t, pid, k.PID())
	require.Equal(t, []int64{2}, k.ProduceLogs("events", 0, logs("d")))

	consume := func(want int) (got []string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c, err := kgo.NewClient(kgo.SeedBrokers(k.Addr), kgo.ConsumerGroup("test"), kgo.ConsumeTopics("events"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
		require.NoError(t, err)
		defer c.Close()
		for len(got) < want {
			fetches := c.PollFetches(ctx)
			require.NoError(t, ctx.Err())
			fetches.EachRecord(func(r *kgo.Record) {
				l, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(r.Value)
				require.NoError(t, err)
				name := l.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).EventName()
				got = append(got, fmt.Sprintf("%d/%d %s", r.Partition, r.Offset, name))
			})
		}
		require.NoError(t, c.CommitUncommittedOffsets(ctx))
		return got
	}
	require.EqualValues(t, -1, k.Committed("test", "events", 0))
	require.ElementsMatch(t, []string{"0/0 a", "0/1 b", "0/2 d", "1/0 c"}, consume(4))
	require.EqualValues(t, 3, k.Committed("test", "events", 0))
	require.EqualValues(t, 1, k.Committed("test", "events", 1))

	k.Restart() // in order
	k.Commit("test", "events", 0, 2)
	require.Equal(t, []string{"0/2 d"}, consume(1))

	k.DeleteTopic("events")
	k.CreateTopic("events", 1)
	require.Equal(t, []int64{0}, k.ProduceLogs("events", 0, logs("e")))
}
