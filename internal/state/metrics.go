// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Hooks are called as things happen, by any goroutine, so that somebody can count them. They return at once and call
// nothing of the store. Each may be nil.
type Hooks struct {
	// Committed is called after each commit, with the time from Commit to the end of the sync and the bytes of keys
	// and values.
	Committed func(took time.Duration, bytes int)
	// Refused is called for each commit that was not tried. The reason is one of Reasons.
	Refused func(reason string)
	// Stalled is called at the end of each pause that Pebble made in all commits because it could not flush or
	// compact as fast as was written.
	Stalled func(took time.Duration)
}

// The reasons of Hooks.Refused.
const (
	RefusedFull    = "full"    // the disk is full, or the reserve was given away and is not back
	RefusedClosed  = "closed"  // the store is closed
	RefusedFailed  = "failed"  // the store has failed
	RefusedInvalid = "invalid" // a key or the batch is too large
)

// Stats is what a store is at a moment.
type Stats struct {
	// DiskBytes is what the store's files take, without the reserve.
	DiskBytes int64
	// ReserveBytes is what the reserve takes: 0 while it is given away.
	ReserveBytes int64
	// MemoryBytes is what memtables and block cache take.
	MemoryBytes int64
}

// Stats reads what the store takes. It is zero once the store is closed or has failed.
func (p *Pebble) Stats() Stats {
	if p.enter() != nil {
		return Stats{}
	}
	defer p.leave()
	s := Stats{ReserveBytes: p.space.reserved()}
	_ = p.guarded(func() error {
		m := p.db.Metrics()
		s.DiskBytes = int64(m.DiskSpaceUsage())
		s.MemoryBytes = int64(m.MemTable.Size) + int64(m.MemTable.ZombieSize) + m.BlockCache.Size
		return nil
	})
	return s
}

func (h *Hooks) committed(took time.Duration, bytes int) {
	if h.Committed != nil {
		h.Committed(took, bytes)
	}
}

func (h *Hooks) refused(reason string) {
	if h.Refused != nil {
		h.Refused(reason)
	}
}

func (h *Hooks) stalled(took time.Duration) {
	if h.Stalled != nil {
		h.Stalled(took)
	}
}
