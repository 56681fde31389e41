// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/internal/idindex"
	"github.com/millrace/millrace/internal/segmentlog"
)

// maxKeyFields bounds what is looked up in every event.
const maxKeyFields = 8

// retryAfter is what a sender that is refused is told to wait.
const retryAfter = time.Second

// scratch is what one append works in, kept for the next.
type scratch struct {
	keys      *event.KeyReader
	digest    *idindex.Digest
	prints    []idindex.Fingerprint
	printed   []int  // by fingerprint: the event's position
	own       []bool // by fingerprint: the event came with its ID
	partition []int  // by event; negative: not appended
	times     []pcommon.Timestamp
	chunks    []segmentlog.Chunk
	highs     []int64 // by partition: the highest event time that is not ahead of the clock
	counts    []int   // by partition: events
	encoder   event.Encoder
}

func newScratch(l *eventLog) *scratch {
	fields := append(append([]string(nil), l.cfg.Deduplication.Fields...), l.cfg.PartitionBy...)
	return &scratch{
		keys: event.NewKeyReader(fields...), digest: l.hasher.Digest(),
		highs: make([]int64, l.cfg.Partitions), counts: make([]int, l.cfg.Partitions),
	}
}

// ConsumeLogs returns nil when every event of the batch is in the log and synced, be it by this call or, for a
// duplicate, by an earlier one. All that is new of a batch is one atomic append. On a crash before it returns, the batch
// is in the log or not; the sender, who was not told, sends it again, and what has an ID is known then.
func (l *eventLog) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	batch := event.FromLogs(ld)
	n := batch.Len()
	if n == 0 {
		return nil
	}
	if !l.started.Load() {
		return l.refuse(ctx, n, segmentlog.ErrClosed)
	}
	start := l.clock.Now()
	s := l.scratch.Get().(*scratch)
	defer l.scratch.Put(s)
	l.look(s, batch)

	origin := originOf(ctx)
	redelivered, endSource, err := l.beginSource(ctx, origin)
	if err != nil {
		return l.refuse(ctx, n, err)
	}
	appended := false // all of it is in the log
	defer func() { endSource(appended) }()

	claim := l.door.Begin(s.prints, start.UnixNano())
	defer func() { claim.Abort(errNotAppended) }() // does nothing once it is committed
	if redelivered && !s.anyNew(claim) {
		claim.Abort(errNotAppended) // of IDs that were given just now
		l.telemetry.EventLogRedelivered.Add(ctx, 1)
		if err := claim.Wait(ctx); err != nil {
			return l.refuse(ctx, n, err)
		}
		return nil
	}
	if redelivered {
		l.madeAnew(origin)
	}
	duplicates := l.dropDuplicates(s, batch, claim)
	var receipt segmentlog.Receipt
	fresh := n - len(claim.Verdicts) + len(claim.Fresh())/segmentlog.IDBytes
	if fresh > 0 {
		receipt, err = l.append(ctx, s, batch, claim.Fresh(), origin)
		if err != nil {
			claim.Abort(err)
			return l.refuse(ctx, n, err)
		}
		claim.Commit(receipt.FirstID, receipt.Appended)
		appended = true
		l.telemetry.EventLogAppended.Add(ctx, int64(fresh))
	} else {
		claim.Commit(0, start.UnixNano()) // it is empty
	}
	if err := claim.Wait(ctx); err != nil {
		return l.refuse(ctx, n, err)
	}
	if fresh > 0 {
		l.keepTail(s, batch, receipt)
	}
	for who, count := range duplicates {
		l.telemetry.EventLogDuplicates.Add(ctx, count, metric.WithAttributeSet(attribute.NewSet(
			attribute.String("tenant", who.tenant), attribute.String("source", who.source))))
	}
	l.telemetry.EventLogAppendDuration.Record(ctx, l.clock.Now().Sub(start).Seconds())
	failpoint.Reach(failpoint.AppendAcked)
	return nil
}

var errNotAppended = errors.New("the batch was not appended")

// anyNew says whether an event that came with an ID is one that the log does not have.
func (s *scratch) anyNew(claim *idindex.Claim) bool {
	for i, v := range claim.Verdicts {
		if v == idindex.Fresh && s.own[i] {
			return true
		}
	}
	return false
}

// look reads the keys of every event: its fingerprint, if it has an ID, and its partition.
func (l *eventLog) look(s *scratch, batch event.Batch) {
	s.prints, s.printed, s.own, s.partition, s.times = s.prints[:0], s.printed[:0], s.own[:0], s.partition[:0], s.times[:0]
	idFields := len(l.cfg.Deduplication.Fields)
	last := idFields - 1
	unkeyed := int(l.spread.Add(1) % uint32(l.cfg.Partitions))
	s.keys.Each(batch, func(i int, k event.Keys) {
		s.times = append(s.times, k.Time)
		if l.cfg.Deduplication.Enabled {
			id := k.Values[last]
			own := id != ""
			if !own && l.cfg.Deduplication.MissingID == missingGenerate {
				id = newID()
				k.SetID(id)
			}
			if id != "" {
				s.digest.Reset()
				for at, v := range k.Values[:last] {
					if l.cfg.Deduplication.Fields[at] == event.FieldTenant {
						v = k.Tenant // the write key's, whatever a sender puts on the record: no tenant reaches another's IDs
					}
					s.digest.AddString(v)
				}
				s.digest.AddString(id)
				s.prints = append(s.prints, s.digest.Sum())
				s.printed = append(s.printed, i)
				s.own = append(s.own, own)
			}
		}
		at := unkeyed
		for _, v := range k.Values[idFields:] {
			if v != "" {
				at = int(xxhash.Sum64String(v) % uint64(l.cfg.Partitions))
				break
			}
		}
		s.partition = append(s.partition, at)
	})
}

// newID is for an event that came without one. The sender does not know it, so its retry is another event.
func newID() string {
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New()
	}
	return id.String()
}

type sender struct{ tenant, source string }

// dropDuplicates marks the events that are not to be appended and counts them by sender; nil if there are none.
func (l *eventLog) dropDuplicates(s *scratch, batch event.Batch, claim *idindex.Claim) map[sender]int64 {
	if len(claim.Fresh()) == len(s.prints)*segmentlog.IDBytes {
		return nil
	}
	for i, v := range claim.Verdicts {
		if v != idindex.Fresh {
			s.partition[s.printed[i]] = -1
		}
	}
	counts := map[sender]int64{}
	s.keys.Each(batch, func(i int, k event.Keys) {
		if s.partition[i] < 0 {
			counts[sender{k.Tenant, k.Source}]++
		}
	})
	return counts
}

// append writes what is left of the batch as one entry, a chunk for each partition.
func (l *eventLog) append(ctx context.Context, s *scratch, batch event.Batch, ids []byte, o origin) (segmentlog.Receipt, error) {
	clear(s.highs)
	clear(s.counts)
	ahead := pcommon.Timestamp(l.clock.Now().Add(maxAhead).UnixNano())
	for i, p := range s.partition {
		if p < 0 {
			continue
		}
		s.counts[p]++
		if t := s.times[i]; t <= ahead {
			s.highs[p] = max(s.highs[p], int64(t))
		}
	}
	encoded, err := s.encoder.Encode(batch, l.cfg.Partitions, s.partition)
	if err != nil {
		return segmentlog.Receipt{}, err
	}
	s.chunks = s.chunks[:0]
	for p, data := range encoded {
		if s.counts[p] > 0 {
			s.chunks = append(s.chunks, segmentlog.Chunk{
				Partition: uint32(p), Records: uint32(s.counts[p]), Kind: segmentlog.Events, EventTime: s.highs[p], Data: data,
			})
		}
	}
	receipt, err := l.log.Append(ctx, &segmentlog.Entry{IDs: ids, Source: o.bytes(), Chunks: s.chunks})
	if errors.Is(err, segmentlog.ErrFull) {
		l.askForRetention()
	}
	return receipt, err
}

// keepTail leaves what was appended to the consumers that are about to ask for it. The batch is empty afterwards, so this
// comes when nothing can fail any more: who sends a refused batch again in this process sends all of it.
func (l *eventLog) keepTail(s *scratch, batch event.Batch, receipt segmentlog.Receipt) {
	if l.reader.tail.consumers == 0 {
		return
	}
	parts := batch.Split(l.cfg.Partitions, s.partition)
	for i, c := range s.chunks {
		l.reader.tail.put(c.Partition, receipt.First[i], int(c.Records), len(c.Data), parts[c.Partition])
		s.chunks[i].Data = nil
	}
}

// refuse counts events that were not taken and says so in words that receivers pass on: all of it is to come again.
func (l *eventLog) refuse(ctx context.Context, events int, err error) error {
	reason, code, mend := metadataReasonFailed, codes.Unavailable, err.Error()
	var original *idindex.OriginalError
	var failed *segmentlog.FailedError
	var unfit *segmentlog.EntryError
	switch {
	case errors.Is(err, segmentlog.ErrFull):
		reason, code = metadataReasonFull, codes.ResourceExhausted
		mend = "the event log is full: send again later"
	case errors.As(err, &original):
		reason = metadataReasonOriginal
	case errors.Is(err, segmentlog.ErrClosed):
		reason = metadataReasonClosed
	case errors.As(err, &unfit), errors.Is(err, event.ErrTooLarge):
		reason, code = metadataReasonTooLarge, codes.InvalidArgument // the same batch never fits
	case errors.As(err, &failed):
		// After a failed sync nothing is known of what is on the disk. A restart reads what is there.
		l.report(componentstatus.NewFatalErrorEvent(err))
	case ctx.Err() != nil:
		return err // the sender has gone
	}
	l.telemetry.EventLogRefused.Add(ctx, int64(events), metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason))))
	st := status.New(code, mend)
	if code == codes.InvalidArgument {
		return consumererror.NewPermanent(st.Err())
	}
	if detailed, detailErr := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}); detailErr == nil {
		st = detailed
	}
	return st.Err()
}

const (
	metadataReasonFull     = "full"
	metadataReasonFailed   = "failed"
	metadataReasonOriginal = "original"
	metadataReasonClosed   = "closed"
	metadataReasonTooLarge = "too_large"
)
