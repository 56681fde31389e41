// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"slices"
	"sync"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

// tail keeps what was just appended, decoded, for consumers that keep up: reading it back would cost more than all
// else that the log does. It is bounded in bytes; what falls out is read from the log. What it gives equals what the log
// would give, and a second attempt always reads the log, since the first may have changed what it was given.
type tail struct {
	consumers int   // how many take each item
	max       int64 // bytes, as they are in the log

	mu     sync.Mutex // guards what is below; any goroutine
	bytes  int64
	items  map[tailKey]*tailItem
	order  []tailKey // oldest first; may name items that are gone
	passed func(partition uint32) uint64
}

type tailKey struct {
	partition uint32
	first     uint64
}

type tailItem struct {
	batch   event.Batch
	records int
	bytes   int64
	left    int // consumers that have not taken it
	copying int // those who read it now, outside the lock
}

func newTail(consumers int, limit int64, passed func(uint32) uint64) *tail {
	return &tail{consumers: consumers, max: limit, items: map[tailKey]*tailItem{}, passed: passed}
}

// put takes over the batch.
func (t *tail) put(partition uint32, first uint64, records, bytes int, batch event.Batch) {
	if int64(bytes) > t.max {
		return
	}
	key := tailKey{partition, first}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.passed(partition) >= first+uint64(records) {
		return // a consumer was faster than its caller, and nobody else is to come
	}
	t.items[key] = &tailItem{batch: batch, records: records, bytes: int64(bytes), left: t.consumers}
	t.order = append(t.order, key)
	t.bytes += int64(bytes)
	for t.bytes > t.max {
		oldest := t.order[0]
		t.order = t.order[1:]
		if item := t.items[oldest]; item != nil {
			t.drop(oldest, item)
		}
	}
	if len(t.order) > 2*len(t.items)+64 {
		t.order = slices.DeleteFunc(t.order, func(k tailKey) bool { return t.items[k] == nil })
	}
}

func (t *tail) drop(key tailKey, item *tailItem) {
	delete(t.items, key)
	t.bytes -= item.bytes
}

// take returns a chunk that the caller owns, if it is there as a whole. Each consumer takes a chunk once.
func (t *tail) take(partition uint32, first uint64, records int) (event.Batch, bool) {
	key := tailKey{partition, first}
	t.mu.Lock()
	item := t.items[key]
	if item == nil || item.records != records {
		t.mu.Unlock()
		return event.Batch{}, false
	}
	item.left--
	last := item.left <= 0
	if last {
		t.drop(key, item)
	}
	if last && item.copying == 0 {
		t.mu.Unlock()
		return item.batch, true
	}
	// Somebody else is to have it too, or is copying it at this moment.
	item.copying++
	t.mu.Unlock()
	own := plog.NewLogs()
	item.batch.Logs().CopyTo(own)
	t.mu.Lock()
	item.copying--
	t.mu.Unlock()
	return event.FromLogs(own), true
}
