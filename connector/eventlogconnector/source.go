// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"go.opentelemetry.io/collector/client"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/idindex"
	"github.com/millrace/millrace/internal/state"
)

// origin is the Kafka record that a batch is, if it is one.
type origin struct {
	topic     string
	partition int32
	offset    int64
}

func (o origin) known() bool { return o.topic != "" }

// originOf reads what contrib's kafka receiver says of a record. A receiver with a connection names its peer; what
// has a peer is some other receiver's, whose sender may write anything into its headers.
func originOf(ctx context.Context) origin {
	info := client.FromContext(ctx)
	if info.Addr != nil || info.Auth != nil {
		return origin{}
	}
	get := func(key string) string {
		// The receiver adds the record's own headers. Its own value comes first.
		if v := info.Metadata.Get(key); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	topic := get("kafka.topic")
	partition, err := strconv.ParseInt(get("kafka.partition"), 10, 32)
	if err != nil || topic == "" {
		return origin{}
	}
	offset, err := strconv.ParseInt(get("kafka.offset"), 10, 64)
	if err != nil || offset < 0 {
		return origin{}
	}
	return origin{topic, int32(partition), offset}
}

// sourceKafka begins the bytes of a Kafka record's origin.
const sourceKafka = 'k'

// bytes are what the log keeps beside the entry.
func (o origin) bytes() []byte {
	if !o.known() {
		return nil
	}
	b := []byte{sourceKafka}
	b = binary.AppendUvarint(b, uint64(o.partition))
	b = binary.AppendUvarint(b, uint64(o.offset))
	return append(b, o.topic...)
}

var errSource = errors.New("the log holds a source that this release does not know: it was written by a newer one")

func parseOrigin(b []byte) (origin, error) {
	if len(b) == 0 {
		return origin{}, nil
	}
	if b[0] != sourceKafka {
		return origin{}, errSource
	}
	b = b[1:]
	partition, n := binary.Uvarint(b)
	if n <= 0 || partition > 1<<31-1 {
		return origin{}, errSource
	}
	b = b[n:]
	offset, n := binary.Uvarint(b)
	if n <= 0 || offset > 1<<63-1 || len(b) == n {
		return origin{}, errSource
	}
	return origin{topic: string(b[n:]), partition: int32(partition), offset: int64(offset)}, nil
}

// restoreSource takes up what the log holds of a source.
func (l *eventLog) restoreSource(b []byte) error {
	o, err := parseOrigin(b)
	if err != nil || !o.known() {
		return err
	}
	l.offsets.Add(o.topic, o.partition, o.offset)
	l.offsetsChanged.Store(true) // the state store may not have it: the log must keep it until it does
	return nil
}

// beginSource says whether the log holds the Kafka record, waiting for an append of it that is under way. done tells how
// this call's append ended.
func (l *eventLog) beginSource(ctx context.Context, o origin) (redelivered bool, done func(appended bool), err error) {
	if !o.known() {
		return false, func(bool) {}, nil
	}
	l.origins.RLock()
	claim := l.offsets.Begin(o.topic, o.partition, o.offset)
	done = func(appended bool) {
		if appended {
			claim.Commit()
			l.offsets.Add(o.topic, o.partition, o.offset) // of a topic made anew, whose claim was of the one before
			l.offsetsChanged.Store(true)
		} else {
			claim.Abort(errNotAppended)
		}
		l.origins.RUnlock()
	}
	if err := claim.Wait(ctx); claim.Verdict == idindex.Waiting && err != nil {
		done(false)
		return false, nil, err
	}
	return claim.Verdict != idindex.Fresh, done, nil
}

// madeAnew takes a topic for one that was deleted and made anew: an offset is known, and an ID that came with it is
// not. It may also be a group that was set back to records whose IDs have left the horizon; those are then stored again,
// which is better than to drop what is new.
func (l *eventLog) madeAnew(o origin) {
	l.logger.Warn("A Kafka record's topic, partition and offset are known, and its events are not: the topic was made anew, and is taken as new",
		zap.String("topic", o.topic), zap.Int32("partition", o.partition), zap.Int64("offset", o.offset))
	l.offsets.Forget(o.topic)
}

// offsetsRecord is what the state store keeps of the offsets, so that the log need not keep every source for ever: all
// of the entries before Seq and ID are in it.
type offsetsRecord struct {
	Seq, ID uint64
	Topics  []topicRecord
}

type topicRecord struct {
	Topic     string
	Partition int32
	Seen      []idindex.Interval
}

func (l *eventLog) offsetsKey() []byte { return delivery.LogKey(l.log.ID(), "offsets") }

// saveOffsets makes the offsets durable in the state store, if there are new ones, and lets the log forget the sources
// up to here.
func (l *eventLog) saveOffsets() error {
	// While nobody appends a record: else one could be in the log, before Seq, and not among the offsets yet.
	l.origins.Lock()
	stats := l.log.Stats()
	if !l.offsetsChanged.Swap(false) {
		l.origins.Unlock()
		// No entry since the last time has a source. Without this the files of IDs would stay for ever where there is no Kafka.
		l.sourceFloor.Store(max(l.sourceFloor.Load(), stats.NextSeq))
		return nil
	}
	r := offsetsRecord{Seq: stats.NextSeq, ID: stats.NextID}
	l.offsets.Range(func(tp idindex.TopicPartition, seen []idindex.Interval) {
		r.Topics = append(r.Topics, topicRecord{tp.Topic, tp.Partition, seen})
	})
	l.origins.Unlock()
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding Kafka offsets: %w", err)
	}
	var b state.Batch
	b.Set(l.offsetsKey(), raw)
	if err := l.store.Commit(&b); err != nil {
		l.offsetsChanged.Store(true)
		return fmt.Errorf("keeping Kafka offsets: %w", err)
	}
	l.sourceFloor.Store(r.Seq)
	return nil
}

// loadOffsets takes up what saveOffsets kept, and returns the ordinal from which the log's own sources are to be read.
func (l *eventLog) loadOffsets() (from uint64, err error) {
	raw, ok, err := l.store.Get(l.offsetsKey())
	if err != nil || !ok {
		return 0, err
	}
	var r offsetsRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		return 0, fmt.Errorf("reading Kafka offsets: %w", err)
	}
	for _, t := range r.Topics {
		for _, in := range t.Seen {
			l.offsets.AddInterval(t.Topic, t.Partition, in)
		}
	}
	l.sourceFloor.Store(r.Seq)
	return r.ID, nil
}
