// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"context"
	"errors"
	"fmt"
)

// Verdict is what becomes of one record of a request.
type Verdict uint8

// The verdicts.
const (
	// Fresh is to be appended by this request.
	Fresh Verdict = iota
	// Known is in the log, synced.
	Known
	// Repeated has its original in this same request, further ahead: it is acknowledged with that.
	Repeated
	// Waiting has its original in another request, whose append is under way: Wait says how that ended.
	Waiting
)

// Door is where requests ask which of their records to append: the index and, before it, the IDs whose append is under
// way. Safe for concurrent use. The package's comment says what holds and why.
type Door struct{ index *Index }

// NewDoor returns a door to the index. An index has one door; what the log holds already is inserted into the index.
func NewDoor(x *Index) *Door { return &Door{index: x} }

// Claim is one request at the door. Its methods are for one goroutine, except that others wait for its end.
type Claim struct {
	// Verdicts has one for each fingerprint given to Begin, in that order.
	Verdicts []Verdict

	index *Index
	fresh []byte // fingerprints, in the request's order
	waits []*Claim
	done  chan struct{} // closed by Commit and Abort; nil if there is nothing to append
	err   error         // written before done is closed
	ended bool          // the owner's
}

// Begin claims the IDs of a request, at the time of now in Unix nanoseconds. The claim must end by Commit or Abort: until
// then others wait for it.
func (d *Door) Begin(fps []Fingerprint, now int64) *Claim {
	c := &Claim{Verdicts: make([]Verdict, len(fps)), index: d.index}
	floor := d.index.horizon.floor(now)
	fresh := 0
	d.index.each(fps, func(i int, fp *Fingerprint, s *shard) {
		switch other, pending := s.pending[*fp]; {
		case pending && other == c:
			c.Verdicts[i] = Repeated
		case pending:
			c.Verdicts[i] = Waiting
			c.wait(other)
		case s.contains(fp, floor):
			c.Verdicts[i] = Known
		default: // Fresh
			if c.done == nil { // before others can see the claim
				c.done = make(chan struct{})
			}
			if s.pending == nil {
				s.pending = map[Fingerprint]*Claim{}
			}
			s.pending[*fp] = c
			fresh++
		}
	})
	if fresh > 0 {
		c.fresh = make([]byte, 0, fresh*Size)
		for i := range fps {
			if c.Verdicts[i] == Fresh {
				c.fresh = append(c.fresh, fps[i][:]...)
			}
		}
	}
	return c
}

func (c *Claim) wait(other *Claim) {
	for i := len(c.waits) - 1; i >= 0; i-- { // nearly always the last one: requests are repeated as a whole
		if c.waits[i] == other {
			return
		}
	}
	c.waits = append(c.waits, other)
}

// Fresh returns the fingerprints of the Fresh records, 16 bytes each, in the order of the request: what the log writes beside
// them. It is the claim's; read it only.
func (c *Claim) Fresh() []byte { return c.fresh }

// Commit says that the Fresh records are in the log and synced, with ordinals first, first+1, ... in the order of Fresh, at
// the append time given. From here on their IDs are known, and those who wait for them go on.
func (c *Claim) Commit(first uint64, appended int64) {
	if c.ended {
		return
	}
	c.ended = true
	if c.done == nil {
		return
	}
	c.index.insert(first, appended, c.fresh, func(fp *Fingerprint, ordinal, floor uint64, s *shard) {
		s.insert(fp, ordinal, floor)
		delete(s.pending, *fp)
	})
	close(c.done)
}

// Abort says that nothing of this request is in the log, and why. Its IDs are unknown again, and those who wait for
// them are told. After Commit or an earlier Abort it does nothing.
func (c *Claim) Abort(err error) {
	if c.ended {
		return
	}
	c.ended = true
	if c.done == nil {
		return
	}
	if err == nil {
		err = errAbandoned
	}
	c.err = err
	for i := 0; i < len(c.fresh); i += Size {
		fp := (*Fingerprint)(c.fresh[i:])
		s, mu := c.index.lock(fp)
		delete(s.pending, *fp)
		mu.Unlock()
	}
	close(c.done)
}

var (
	errAbandoned = errors.New("its request was abandoned")
	errNotEnded  = errors.New("waiting for other requests before one's own is committed: two such would wait for each other for ever")
)

// OriginalError says that a record was not appended because another request, under way at the same time, held the same ID, and
// that request's append failed. The sender is to send again.
type OriginalError struct{ Err error }

func (e *OriginalError) Error() string {
	return fmt.Sprintf("appending the original of a duplicate: %v: send the request again", e.Err)
}
func (e *OriginalError) Unwrap() error { return e.Err }

// Wait returns nil when all originals of this request's Waiting records are synced, and an OriginalError if an append
// of one failed: then the request is to be refused as retryable. Its own Fresh records are in the log all the same and
// will be Known when it comes again. Call it after Commit or Abort.
func (c *Claim) Wait(ctx context.Context) error {
	if !c.ended && c.done != nil {
		return errNotEnded
	}
	for _, other := range c.waits {
		select {
		case <-other.done:
			if other.err != nil {
				return &OriginalError{Err: other.err}
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
