// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// modelEntry is what the model knows of an append. Its number stands in all its parts.
type modelEntry struct {
	entry   Entry
	receipt Receipt
	acked   bool // Append returned nil
}

type model struct {
	t        *testing.T
	r        *rand.Rand
	fs       *memFS
	entries  map[uint32]*modelEntry
	last     uint32
	idFloor  uint64 // what SetIDFloor may have been told
	seqFloor uint64
	context  string
}

const modelPartitions = 5

func (m *model) options() Options {
	return Options{
		Partitions: modelPartitions, SegmentBytes: 64 << 10, fs: m.fs, Compression: Compression(m.r.IntN(3)),
		MaxBytes: 2 << 20,
	}
}

func (m *model) newEntry() (uint32, *modelEntry) {
	m.last++
	number := func(b []byte) []byte { return binary.BigEndian.AppendUint32(b, m.last) }
	e := &modelEntry{}
	for i := range m.r.IntN(4) {
		id := append(number(nil), make([]byte, 12)...)
		id[15] = byte(i)
		e.entry.IDs = append(e.entry.IDs, id...)
	}
	e.entry.Source = number(nil) // always: so the model finds every entry
	for p := range uint32(modelPartitions) {
		if m.r.IntN(3) > 0 {
			continue
		}
		c := Chunk{Partition: p, Records: 1 + m.r.Uint32N(5), EventTime: m.r.Int64()}
		if m.r.IntN(4) == 0 {
			c.Records, c.Kind = 1, Tick
		} else {
			size := m.r.IntN(300)
			if m.r.IntN(10) == 0 {
				size = m.r.IntN(20000)
			}
			c.Data = number(nil)
			for range size {
				c.Data = append(c.Data, byte(m.r.IntN(1+m.r.IntN(256))))
			}
		}
		e.entry.Chunks = append(e.entry.Chunks, c)
	}
	m.entries[m.last] = e
	return m.last, e
}

// live opens the log, checks it against the model, and appends from several goroutines until something ends that.
func (m *model) live() {
	l, err := Open("log", m.options())
	if err != nil && (m.isDead() || errors.Is(err, syscall.EIO) || errors.Is(err, ErrFull)) {
		return // it was injected
	}
	require.NoError(m.t, err, m.context)
	m.check(l)
	var mu sync.Mutex // guards the model and its rand
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 40 {
				mu.Lock()
				_, e := m.newEntry()
				mu.Unlock()
				receipt, err := l.Append(context.Background(), &e.entry)
				mu.Lock()
				if err == nil {
					e.receipt, e.acked = receipt, true
				}
				retain := m.r.IntN(30) == 0 || errors.Is(err, ErrFull)
				mu.Unlock()
				var failed *FailedError
				if errors.As(err, &failed) {
					return
				}
				if retain {
					m.retain(l, &mu)
				}
			}
		})
	}
	wg.Wait()
	if !m.isDead() && !l.Stats().Failed {
		m.check(l)
		require.NoError(m.t, l.Verify(m.t.Context()), m.context)
	}
	_ = l.Close()
}

func (m *model) isDead() bool {
	m.fs.mu.Lock()
	defer m.fs.mu.Unlock()
	return m.fs.dead
}

func (m *model) retain(l *Log, mu *sync.Mutex) {
	mu.Lock()
	most, floor := m.r.IntN(4), m.r.IntN(2) == 0
	mu.Unlock()
	n := 0
	removed, _ := l.Remove(func(SegmentInfo) bool { n++; return n > most }) // errors are of injected failures
	if k := len(removed); k > 0 && floor {
		mu.Lock()
		m.idFloor, m.seqFloor = max(m.idFloor, removed[k-1].NextID), max(m.seqFloor, removed[k-1].NextSeq)
		mu.Unlock()
		_ = l.SetIDFloor(removed[k-1].NextID, removed[k-1].NextSeq)
	}
}

// check compares the log with the model: acknowledged entries are there once, with equal bytes, at their places, unless
// retention removed them; others are there as a whole or not at all.
func (m *model) check(l *Log) {
	t := m.t
	chunks := map[uint32][]Chunk{}
	for p := range uint32(modelPartitions) {
		next := l.First(p)
		require.NoError(t, l.Scan(p, next, func(i Info) bool {
			require.Equal(t, next, i.First, m.context)
			next = i.Next()
			b, err := l.Read(i, nil)
			require.NoError(t, err, m.context)
			if i.Kind == Tick {
				return true
			}
			number := binary.BigEndian.Uint32(b)
			chunks[number] = append(chunks[number], Chunk{Partition: p, Records: i.Records, EventTime: i.EventTime, Data: b})
			if e := m.entries[number]; e.acked {
				at := slices.IndexFunc(e.entry.Chunks, func(c Chunk) bool { return c.Partition == p })
				require.Equal(t, e.receipt.First[at], i.First, m.context)
				require.Equal(t, e.receipt.Appended, i.Appended, m.context)
				require.Equal(t, e.receipt.Seq, i.Seq, m.context)
			}
			return true
		}), m.context)
		require.Equal(t, l.Next(p), next, m.context)
	}
	firstSeq := l.segments[0].header.begin.seq
	for number, e := range m.entries {
		var want []Chunk
		for _, c := range e.entry.Chunks {
			if c.Kind == Events {
				want = append(want, c)
			}
		}
		if e.acked && e.receipt.Seq >= firstSeq || len(chunks[number]) > 0 {
			require.Equal(t, want, chunks[number], "%s, entry %d", m.context, number)
		}
	}
	seen := map[uint32]bool{}
	first := l.Stats().FirstID
	require.LessOrEqual(t, first, m.idFloor, m.context)
	require.NoError(t, l.IDs(first, func(at uint64, appended int64, ids, source []byte) error {
		number := binary.BigEndian.Uint32(source)
		e := m.entries[number]
		require.False(t, seen[number], m.context)
		require.Equal(t, string(e.entry.IDs), string(ids), m.context)
		if e.acked {
			require.Equal(t, e.receipt.FirstID, at, m.context)
			require.Equal(t, e.receipt.Appended, appended, m.context)
		}
		seen[number] = true
		return nil
	}), m.context)
	for number, e := range m.entries {
		if e.acked && e.receipt.Seq >= m.seqFloor {
			require.True(t, seen[number], "%s, entry %d", m.context, number)
		}
		if !seen[number] && !e.acked {
			require.Empty(t, chunks[number], "%s, entry %d", m.context, number)
		}
	}
}

// TestNoCrashLosesOrAltersWhatWasAcknowledged runs the log through kills and losses of power in the middle of any operation,
// failing syncs and full disks, one after the other over the same directory.
func TestNoCrashLosesOrAltersWhatWasAcknowledged(t *testing.T) {
	lives, seeds := 30, 6
	if testing.Short() {
		lives, seeds = 20, 4
	}
	if n, err := strconv.Atoi(os.Getenv("MILLRACE_TEST_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &model{t: t, r: r, fs: newMemFS(), entries: map[uint32]*modelEntry{}}
		if seed%2 == 1 {
			m.fs.sector = 4096
		}
		for life := range lives {
			kind := []string{"kill", "power", "sync fails", "disk full", "closed"}[r.IntN(5)]
			m.context = fmt.Sprintf("seed %d, life %d, then %s", seed, life, kind)
			left, cut, cannotCut, failed := r.IntN(120), r.Float64(), r.IntN(2) == 0, false
			m.fs.torn = func(n int) int { return int(cut * float64(n)) }
			m.fs.before = func(op, _ string) error {
				left--
				switch {
				case kind == "sync fails" && left < 0 && op == "sync":
					failed = true
					return syscall.EIO
				case failed && cannotCut && op == "write":
					return syscall.EIO
				case (kind == "kill" || kind == "power") && left < 0:
					return errCrash
				case kind == "disk full" && left < 0 && left > -20 && (op == "allocate" || op == "create"):
					return syscall.ENOSPC
				}
				return nil
			}
			if kind == "sync fails" {
				left += 10 // so that it opens, mostly
			}
			m.live()
			m.fs.mu.Lock()
			m.fs.before = nil
			m.fs.mu.Unlock()
			switch kind {
			case "kill", "sync fails", "disk full", "closed":
				m.fs = m.fs.afterKill()
			case "power":
				m.fs = m.fs.afterPowerLoss(r)
			}
			if r.IntN(4) == 0 {
				m.context += " and power"
				m.fs = m.fs.afterPowerLoss(r)
			}
		}
		m.live()
		require.False(t, m.isDead())
	}
}
