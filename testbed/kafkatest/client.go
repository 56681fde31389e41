// SPDX-License-Identifier: Apache-2.0

package kafkatest

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/pdata/plog"
)

// requestTimeout is for one request of the helpers, on a busy machine that has just restarted its broker.
const requestTimeout = time.Minute

// Client returns a client of the broker, closed when the test ends. Records go to the partition that they name.
func (k *Kafka) Client(options ...kgo.Opt) *kgo.Client {
	k.tb.Helper()
	client, err := k.client(options...)
	if err != nil {
		k.tb.Fatalf("making a Kafka client: %v", err)
	}
	k.tb.Cleanup(client.Close)
	return client
}

func (k *Kafka) client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(k.Addr),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(100 * time.Millisecond), // of what a test has just created
		kgo.UnknownTopicRetries(-1),                // and what the broker has not heard of
	}, options...)...)
}

// own is the helpers' client, with no connection from before the last restart: a request on one would fail.
func (k *Kafka) own() *kgo.Client {
	k.tb.Helper()
	if k.helper == nil {
		var err error
		if k.helper, err = k.client(); err != nil {
			k.tb.Fatalf("making a Kafka client: %v", err)
		}
	}
	return k.helper
}

func (k *Kafka) disown() {
	if k.helper != nil {
		k.helper.Close()
		k.helper = nil
	}
}

// CreateTopic makes a topic with so many partitions.
func (k *Kafka) CreateTopic(name string, partitions int32) {
	k.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if _, err := kadm.NewClient(k.own()).CreateTopic(ctx, partitions, 1, nil, name); err != nil {
		k.tb.Fatalf("creating Kafka topic %s: %v", name, err)
	}
}

// DeleteTopic removes a topic with its records.
func (k *Kafka) DeleteTopic(name string) {
	k.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if _, err := kadm.NewClient(k.own()).DeleteTopic(ctx, name); err != nil {
		k.tb.Fatalf("deleting Kafka topic %s: %v", name, err)
	}
}

// Produce appends records of these values to a partition, and returns their offsets once the broker has acknowledged all.
func (k *Kafka) Produce(topic string, partition int32, values ...[]byte) (offsets []int64) {
	k.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	records := make([]*kgo.Record, 0, len(values))
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: v})
	}
	if err := k.own().ProduceSync(ctx, records...).FirstErr(); err != nil {
		k.tb.Fatalf("producing to Kafka topic %s: %v", topic, err)
	}
	for _, r := range records {
		offsets = append(offsets, r.Offset)
	}
	return offsets
}

// ProduceLogs appends one record of OTLP protobuf for each of logs: what contrib's kafka exporter writes and its receiver reads.
func (k *Kafka) ProduceLogs(topic string, partition int32, logs ...plog.Logs) (offsets []int64) {
	k.tb.Helper()
	values := make([][]byte, 0, len(logs))
	for _, l := range logs {
		v, err := (&plog.ProtoMarshaler{}).MarshalLogs(l)
		if err != nil {
			k.tb.Fatalf("marshalling logs: %v", err)
		}
		values = append(values, v)
	}
	return k.Produce(topic, partition, values...)
}

// Committed returns the offset that a consumer group has committed for a partition, the next that it would read; -1 if none.
func (k *Kafka) Committed(group, topic string, partition int32) int64 {
	k.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	var offsets kadm.OffsetResponses
	err := coordinated(ctx, func() (err error) {
		offsets, err = kadm.NewClient(k.own()).FetchOffsets(ctx, group)
		return err
	})
	if err != nil {
		k.tb.Fatalf("reading what Kafka group %s has committed: %v", group, err)
	}
	if o, ok := offsets.Lookup(topic, partition); ok {
		return o.At
	}
	return -1
}

// Commit sets the offset of a group that has no members: what an operator does to have records delivered again.
func (k *Kafka) Commit(group, topic string, partition int32, offset int64) {
	k.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, partition, offset, -1)
	err := coordinated(ctx, func() error { return kadm.NewClient(k.own()).CommitAllOffsets(ctx, group, offsets) })
	if err != nil {
		k.tb.Fatalf("committing for Kafka group %s: %v", group, err)
	}
}

// coordinated calls f until the broker has made its topic for offsets, or has read it: the client gives up before that.
func coordinated(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || !kerr.IsRetriable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
