// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"errors"
	"slices"
	"sort"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/state"
)

// record is one event of the model: key is its body, n a number of its own.
type record struct {
	key string
	n   int64
}

// memLog is a log in memory, which survives what the tests call a crash.
type memLog struct {
	id     uuid.UUID
	first  []uint64
	chunks [][]Chunk
	events [][]record // by partition and position; a tick's is empty
	now    int64
	closed chan struct{}
	lent   [][][]byte // by partition: what LoadRaw gave last
}

func newMemLog(partitions int) *memLog {
	l := &memLog{
		id: uuid.New(), first: make([]uint64, partitions), chunks: make([][]Chunk, partitions),
		events: make([][]record, partitions), now: 1000, closed: make(chan struct{}),
		lent: make([][][]byte, partitions),
	}
	return l
}

func (l *memLog) append(p int, records ...record) {
	l.now++
	l.chunks[p] = append(l.chunks[p], Chunk{First: uint64(len(l.events[p])), Records: uint32(len(records)), Bytes: 10 * len(records), Appended: l.now})
	l.events[p] = append(l.events[p], records...)
}

func (l *memLog) tick(p int) {
	l.now++
	l.chunks[p] = append(l.chunks[p], Chunk{Tick: true, First: uint64(len(l.events[p])), Records: 1, Appended: l.now, EventTime: l.now})
	l.events[p] = append(l.events[p], record{})
}

func (l *memLog) Incarnation() uuid.UUID         { return l.id }
func (l *memLog) Partitions() uint32             { return uint32(len(l.chunks)) }
func (l *memLog) First(p uint32) uint64          { return l.first[p] }
func (l *memLog) Next(p uint32) uint64           { return uint64(len(l.events[p])) }
func (l *memLog) Changed(uint32) <-chan struct{} { return l.closed }

func (l *memLog) Scan(p uint32, from uint64, f func(Chunk) bool) error {
	if from < l.first[p] {
		return ErrGone
	}
	i := sort.Search(len(l.chunks[p]), func(i int) bool { return l.chunks[p][i].Last() >= from })
	for ; i < len(l.chunks[p]); i++ {
		if !f(l.chunks[p][i]) {
			break
		}
	}
	return nil
}

func (l *memLog) Load(p uint32, first, last uint64, _ bool) (plog.Logs, error) {
	ld := plog.NewLogs()
	lrs := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, r := range l.events[p][first : last+1] {
		lr := lrs.AppendEmpty()
		lr.Body().SetStr(r.key)
		lr.Attributes().PutInt("n", r.n)
	}
	return ld, nil
}

// LoadRaw uses its memory again, so that what keeps bytes of a delivery before is found out.
func (l *memLog) LoadRaw(p uint32, first, last uint64) ([]event.Chunk, error) {
	for _, b := range l.lent[p] {
		for i := range b {
			b[i] = 0xff
		}
	}
	l.lent[p] = nil
	var out []event.Chunk
	for _, c := range l.chunks[p] {
		if c.First > last || c.Last() < first {
			continue
		}
		ld, err := l.Load(p, c.First, c.Last(), true)
		if err != nil {
			return nil, err
		}
		b, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
		if err != nil {
			return nil, err
		}
		l.lent[p] = append(l.lent[p], b)
		out = append(out, event.Chunk{OTLP: b, From: int(max(first, c.First) - c.First), To: int(min(last, c.Last()) + 1 - c.First)})
	}
	return out, nil
}

var errCrash = errors.New("crashed")

// memStore is a store in memory that survives a crash, and crashes on demand: before or after a commit.
type memStore struct {
	id      [16]byte
	data    map[string][]byte
	crash   func() (before, after bool) // nil never crashes
	crashed bool
	full    func() bool
}

func newMemStore() *memStore { return &memStore{id: uuid.New(), data: map[string][]byte{}} }

var _ state.Store = (*memStore)(nil)

func (s *memStore) ID() [16]byte { return s.id }

func (s *memStore) Get(key []byte) ([]byte, bool, error) {
	if s.crashed {
		return nil, false, errCrash
	}
	v, ok := s.data[string(key)]
	return slices.Clone(v), ok, nil
}

func (s *memStore) Range(from, to []byte, f func(key, value []byte) error) error {
	var keys []string
	for k := range s.data {
		if bytes.Compare([]byte(k), from) >= 0 && (len(to) == 0 || bytes.Compare([]byte(k), to) < 0) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if err := f([]byte(k), s.data[k]); err != nil {
			return err
		}
	}
	return nil
}

func (s *memStore) Commit(b *state.Batch) error {
	var before, after bool
	if s.crash != nil {
		before, after = s.crash()
	}
	if s.crashed || before {
		s.crashed = true
		return errCrash
	}
	if s.full != nil && s.full() {
		return state.ErrFull
	}
	for _, op := range b.Ops {
		switch op.Kind {
		case state.OpSet:
			s.data[string(op.Key)] = slices.Clone(op.Value)
		case state.OpDelete:
			delete(s.data, string(op.Key))
		case state.OpDeleteRange:
			for k := range s.data {
				if k >= string(op.Key) && (len(op.Value) == 0 || k < string(op.Value)) {
					delete(s.data, k)
				}
			}
		}
	}
	if after {
		s.crashed = true
		return errCrash
	}
	return nil
}

// manualClock stands still unless it is moved.
type manualClock struct{ now time.Time }

func (c *manualClock) Now() time.Time                       { return c.now }
func (c *manualClock) After(time.Duration) <-chan time.Time { return nil }
