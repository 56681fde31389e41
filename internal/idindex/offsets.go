// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"context"
	"sort"
	"sync"
)

// MaxIntervals is the most intervals of offsets that are kept for a partition. With one more, the lowest two become one:
// the gap between them is taken for offsets that hold no records of ours, such as Kafka's transaction markers and what
// compaction removed. A record of that gap that came after all would be taken for seen; but Kafka hands out a
// partition in order, and by then this log has seen 4,095 gaps above.
const MaxIntervals = 4096

// Offsets knows which Kafka records are in the log, by topic, partition and offset, and for which an append is under way. It is a
// function of the log's records, like Index, and small: adjacent offsets are one interval. Safe for concurrent use.
//
// An offset names a record only as long as its topic lives: a topic that was deleted and made anew begins at 0 again,
// and nothing that the receiver passes on tells the two apart. Then the offsets must be forgotten: see Forget.
type Offsets struct {
	mu         sync.Mutex // guards everything below, also in partition; any goroutine
	partitions map[TopicPartition]*partition
	filled     uint64
}

// TopicPartition names a partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Interval is offsets from First to Last, both included.
type Interval struct{ First, Last int64 }

type partition struct {
	seen    []Interval // ascending, neither overlapping nor adjacent
	pending map[int64]*OffsetClaim
}

// NewOffsets returns an empty set.
func NewOffsets() *Offsets { return &Offsets{partitions: map[TopicPartition]*partition{}} }

func (o *Offsets) partition(topic string, number int32) *partition {
	key := TopicPartition{topic, number}
	p := o.partitions[key]
	if p == nil {
		p = &partition{pending: map[int64]*OffsetClaim{}}
		o.partitions[key] = p
	}
	return p
}

// Seen says whether the record is in the log.
func (o *Offsets) Seen(topic string, number int32, offset int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.partitions[TopicPartition{topic, number}]
	return p != nil && p.has(offset)
}

// Add takes up a record that is in the log: at a start, in whatever order.
func (o *Offsets) Add(topic string, number int32, offset int64) {
	o.AddInterval(topic, number, Interval{offset, offset})
}

// AddInterval takes up many, such as a snapshot's.
func (o *Offsets) AddInterval(topic string, number int32, in Interval) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(o.partition(topic, number), in)
}

// Forget drops what is known of a topic, such as one that was deleted and made anew. Appends under way go on.
func (o *Offsets) Forget(topic string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, p := range o.partitions {
		if key.Topic == topic {
			p.seen = nil
			if len(p.pending) == 0 {
				delete(o.partitions, key)
			}
		}
	}
}

// Range calls f for every partition, in order, with its intervals in order: what a snapshot holds. They are copies.
func (o *Offsets) Range(f func(tp TopicPartition, seen []Interval)) {
	o.mu.Lock()
	keys := make([]TopicPartition, 0, len(o.partitions))
	copies := make(map[TopicPartition][]Interval, len(o.partitions))
	for key, p := range o.partitions {
		if len(p.seen) > 0 {
			keys = append(keys, key)
			copies[key] = append([]Interval(nil), p.seen...)
		}
	}
	o.mu.Unlock()
	sort.Slice(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		return a.Topic < b.Topic || a.Topic == b.Topic && a.Partition < b.Partition
	})
	for _, key := range keys {
		f(key, copies[key])
	}
}

// Filled is how many gaps MaxIntervals has closed.
func (o *Offsets) Filled() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.filled
}

func (p *partition) has(offset int64) bool {
	i := sort.Search(len(p.seen), func(i int) bool { return p.seen[i].Last >= offset })
	return i < len(p.seen) && p.seen[i].First <= offset
}

func (o *Offsets) add(p *partition, in Interval) {
	if in.First > in.Last {
		return
	}
	// from..to are the intervals that in overlaps or touches.
	from := sort.Search(len(p.seen), func(i int) bool { return p.seen[i].Last >= in.First-1 })
	to := from
	for to < len(p.seen) && p.seen[to].First-1 <= in.Last {
		in.First, in.Last = min(in.First, p.seen[to].First), max(in.Last, p.seen[to].Last)
		to++
	}
	if from < to {
		p.seen[from] = in
		p.seen = append(p.seen[:from+1], p.seen[to:]...)
		return
	}
	p.seen = append(p.seen, Interval{})
	copy(p.seen[from+1:], p.seen[from:])
	p.seen[from] = in
	if len(p.seen) > MaxIntervals {
		p.seen[1].First = p.seen[0].First
		p.seen = p.seen[1:]
		o.filled++
	}
}

// OffsetClaim is one Kafka record at the door. Its methods are for one goroutine, except that others wait for its end.
type OffsetClaim struct {
	// Verdict is Fresh, Known or Waiting.
	Verdict Verdict

	offsets   *Offsets
	partition *partition
	offset    int64
	original  *OffsetClaim  // of Waiting
	done      chan struct{} // closed by Commit and Abort
	err       error         // written before done is closed
	ended     bool          // the owner's
}

// Begin claims a record. The claim must end by Commit or Abort: until then a redelivery waits for it.
func (o *Offsets) Begin(topic string, number int32, offset int64) *OffsetClaim {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.partition(topic, number)
	c := &OffsetClaim{offsets: o, partition: p, offset: offset, done: make(chan struct{})}
	if p.has(offset) {
		c.Verdict, c.ended = Known, true
	} else if c.original = p.pending[offset]; c.original != nil {
		c.Verdict, c.ended = Waiting, true
	} else {
		p.pending[offset] = c
	}
	return c
}

// Commit says that all of the record is in the log and synced, in one append.
func (c *OffsetClaim) Commit() { c.end(nil, true) }

// Abort says that nothing of the record is in the log, and why. After Commit or an earlier Abort it does nothing.
func (c *OffsetClaim) Abort(err error) {
	if err == nil {
		err = errAbandoned
	}
	c.end(err, false)
}

func (c *OffsetClaim) end(err error, seen bool) {
	if c.ended {
		return
	}
	c.ended = true
	c.err = err
	c.offsets.mu.Lock()
	if seen {
		c.offsets.add(c.partition, Interval{c.offset, c.offset})
	}
	delete(c.partition.pending, c.offset)
	c.offsets.mu.Unlock()
	close(c.done)
}

// Wait returns nil when a Waiting record's original is synced, and an OriginalError if its append failed. For a Fresh
// one that has ended, and a Known one, it returns nil.
func (c *OffsetClaim) Wait(ctx context.Context) error {
	if !c.ended {
		return errNotEnded
	}
	if c.original == nil {
		return nil
	}
	select {
	case <-c.original.done:
		if c.original.err != nil {
			return &OriginalError{Err: c.original.err}
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
