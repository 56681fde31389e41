// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

// Bounds of what is committed.
const (
	MaxKeyBytes   = 16 << 10
	MaxBatchBytes = 1 << 30
)

// Pebble is a Store in one directory.
//
// Pebble, the library, ends the process where a write to its WAL or MANIFEST fails, and panics with locks held. So no
// such failure reaches it: guardFS stands between it and the disk. A full disk makes it wait; any other failure ends
// this store (fail), and the goroutine that met it is parked for good. Every call then returns a FailedError, and the
// directory is as after a kill -9, which opening it anew recovers from.
type Pebble struct {
	dir   string
	id    [16]byte
	log   *zap.Logger
	hooks Hooks
	lock  io.Closer // the directory's; only Open and Close
	space *space
	guard *guardFS
	db    *pebble.DB
	// deleted tells Purge of the files that Pebble removes.
	deleted *deletions

	mu     sync.Mutex    // guards closed and calls; any goroutine
	closed bool          // no call begins any more
	calls  int           // under way
	idle   chan struct{} // closed when the store is closed and no call is under way
	once   sync.Once     // of Close

	failing  sync.Once
	failed   chan struct{} // closed by fail
	failure  error         // written before failed is closed, read after
	sticking sync.Once
	stuck    chan struct{} // closed when a goroutine was parked, or unwound with Pebble's locks held: it cannot be closed

	stallBegan time.Time // only Pebble's events of stalls, which do not overlap
}

var _ Store = (*Pebble)(nil)

// ID is the store's.
func (p *Pebble) ID() [16]byte { return p.id }

// Failed is closed when the store has met an error that it cannot go on with, which Err then returns.
func (p *Pebble) Failed() <-chan struct{} { return p.failed }

// Err returns the FailedError, or nil while there is none.
func (p *Pebble) Err() error {
	select {
	case <-p.failed:
		return p.failure
	default:
		return nil
	}
}

// Get returns a copy of the value, and whether the key is there.
func (p *Pebble) Get(key []byte) (value []byte, ok bool, err error) {
	if err := p.enter(); err != nil {
		return nil, false, err
	}
	defer p.leave()
	err = p.guarded(func() error {
		v, closer, err := p.db.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		value, ok = append(make([]byte, 0, len(v)), v...), true
		return closer.Close()
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading key: %w", p.classify(err))
	}
	return value, ok, nil
}

// Range calls f for the keys in [from, to), all as of one moment. What f changes in the meantime it does not see.
func (p *Pebble) Range(from, to []byte, f func(key, value []byte) error) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.leave()
	if len(to) == 0 {
		to = nil
	}
	var it *pebble.Iterator
	err := p.guarded(func() (err error) {
		it, err = p.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
		return err
	})
	if err != nil {
		return fmt.Errorf("beginning range: %w", p.classify(err))
	}
	// A panic of f passes through, and the iterator is closed all the same: an open one would keep files for good.
	open := true
	closeIt := func() error { open = false; return p.guarded(it.Close) }
	defer func() {
		if open {
			_ = closeIt()
		}
	}()
	var key, value []byte
	var more bool
	step := func(move func() bool) error {
		return p.guarded(func() (err error) {
			if more = move(); !more {
				return it.Error()
			}
			key = it.Key()
			value, err = it.ValueAndErr()
			return err
		})
	}
	for err = step(it.First); err == nil && more; err = step(it.Next) {
		if err := f(key, value); err != nil {
			return err
		}
	}
	if closeErr := closeIt(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("reading range: %w", p.classify(err))
	}
	return nil
}

// Commit applies the batch in one atomic, synced write. Concurrent commits share a sync. While the disk is full it
// returns ErrFull at once; one that was let in before waits for space. An empty batch is nothing to sync.
func (p *Pebble) Commit(b *Batch) error {
	if err := p.enter(); err != nil {
		if errors.Is(err, ErrClosed) {
			p.hooks.refused(RefusedClosed)
		} else {
			p.hooks.refused(RefusedFailed)
		}
		return err
	}
	defer p.leave()
	if len(b.Ops) == 0 {
		return nil
	}
	if err := valid(b); err != nil {
		p.hooks.refused(RefusedInvalid)
		return err
	}
	release, err := p.space.admit(b.Size)
	if err != nil {
		p.hooks.refused(RefusedFull)
		return fmt.Errorf("committing batch: %w", err)
	}
	defer release()

	began := time.Now()
	if err := p.commit(b); err != nil {
		return fmt.Errorf("committing batch, which may be there or not: %w", err)
	}
	p.hooks.committed(time.Since(began), b.Size)
	return nil
}

// commit runs apply on a goroutine of its own, since one that meets a failing disk inside Pebble is parked for good.
// It is a call of its own too: Close does not close Pebble beneath it.
func (p *Pebble) commit(b *Batch) (err error) {
	p.again()
	done := make(chan error, 1)
	go func() {
		defer p.leave()
		done <- p.guarded(func() error { return p.apply(b) })
	}()
	select {
	case err = <-done:
	case <-p.failed:
		select {
		case err = <-done:
		default:
			err = p.failure
		}
	}
	return p.classify(err)
}

func (p *Pebble) apply(b *Batch) (err error) {
	const perOp = 16 // kind and lengths
	batch := p.db.NewBatchWithSize(b.Size + perOp*len(b.Ops))
	for i := range b.Ops {
		switch o := &b.Ops[i]; o.Kind {
		case OpSet:
			err = batch.Set(o.Key, o.Value, nil)
		case OpDelete:
			err = batch.Delete(o.Key, nil)
		case OpDeleteRange:
			end := o.Value
			if len(end) == 0 {
				end = afterAll
			}
			if bytes.Compare(o.Key, end) < 0 {
				err = batch.DeleteRange(o.Key, end, nil)
			}
		}
		if err != nil {
			return err
		}
	}
	if batch.Empty() {
		return batch.Close()
	}
	if err := p.db.Apply(batch, pebble.Sync); err != nil {
		return err
	}
	return batch.Close()
}

// afterAll sorts after every key that can be committed.
var afterAll = bytes.Repeat([]byte{0xFF}, MaxKeyBytes+1)

func valid(b *Batch) error {
	if b.Size > MaxBatchBytes {
		return fmt.Errorf("batch of %d bytes is larger than %d: commit it in parts", b.Size, MaxBatchBytes)
	}
	for i := range b.Ops {
		if n := len(b.Ops[i].Key); n > MaxKeyBytes {
			return fmt.Errorf("key of %d bytes is longer than %d: use a shorter one", n, MaxKeyBytes)
		}
		if b.Ops[i].Kind > OpDeleteRange {
			return fmt.Errorf("change of unknown kind %d", b.Ops[i].Kind)
		}
	}
	return nil
}

// enter counts a call in, or says why none begins.
func (p *Pebble) enter() error {
	if err := p.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.calls++
	return nil
}

// again counts another one in, beside a call that is under way.
func (p *Pebble) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
}

func (p *Pebble) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls--; p.closed && p.calls == 0 {
		close(p.idle)
	}
}

// shut lets no call begin any more. It is called once.
func (p *Pebble) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.calls == 0 {
		close(p.idle)
	}
}

// Close waits for the calls under way and releases the directory. Where they cannot end, because the disk is full or
// has failed, it leaves the directory as a kill -9 would and returns the error.
func (p *Pebble) Close() error {
	err := ErrClosed
	p.once.Do(func() { err = p.close() })
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

func (p *Pebble) close() error {
	p.shut()
	p.guard.close()
	err := p.closePebble()
	p.guard.fence()
	p.guard.synced.close()
	if lockErr := p.lock.Close(); err == nil {
		err = lockErr
	}
	if failure := p.Err(); failure != nil {
		err = failure
	}
	if err != nil {
		return fmt.Errorf("closing state store: %w", p.classify(err))
	}
	return nil
}

// closePebble closes it once no call is under way, or gives up where that cannot be.
func (p *Pebble) closePebble() error {
	failed := p.failed
	var patience <-chan time.Time
	for {
		select {
		case <-p.idle:
			select {
			case <-p.stuck:
				return p.failure
			default:
			}
			done := make(chan error, 1)
			go func() { done <- p.guarded(p.db.Close) }()
			select {
			case err := <-done:
				return err
			case <-p.stuck:
			}
			return p.failure
		case <-p.stuck:
			return p.failure
		case <-failed:
			// A commit may wait for a compaction that finds a corrupt table again and again.
			failed, patience = nil, time.After(closePatience)
		case <-patience:
			return p.failure
		}
	}
}

// closePatience is how long Close waits for calls of a store that has failed.
const closePatience = 5 * time.Second

// stick ends the store, which cannot be closed any more. It is called from within Pebble, with any of its locks held.
func (p *Pebble) stick(kind, err error) {
	p.fail(kind, err)
	p.sticking.Do(func() { close(p.stuck) })
}

// fail ends the store. It is called from within Pebble, with any of its locks held.
func (p *Pebble) fail(kind, err error) {
	p.failing.Do(func() {
		p.failure = &FailedError{Dir: p.dir, Kind: kind, Err: err}
		close(p.failed)
		p.log.Error("The state store has failed", zap.String("directory", p.dir), zap.Error(p.failure))
	})
}

// classify names what is corrupt.
func (p *Pebble) classify(err error) error {
	var failed *FailedError
	if err == nil || errors.As(err, &failed) || !pebble.IsCorruptionError(err) {
		return err
	}
	return &FailedError{Dir: p.dir, Kind: ErrCorrupt, Err: err}
}

// guarded runs what calls Pebble, and turns a panic into a failure of the store.
func (p *Pebble) guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(error)
			if !ok {
				cause = fmt.Errorf("pebble: %v", r)
			}
			kind := ErrFailed
			if pebble.IsCorruptionError(cause) {
				kind = ErrCorrupt
			}
			p.stick(kind, cause)
			err = p.failure
		}
	}()
	return f()
}

// pebbleLog takes Pebble's messages.
type pebbleLog struct{ p *Pebble }

func (l pebbleLog) Infof(format string, args ...any) {
	if l.p.log.Core().Enabled(zap.DebugLevel) {
		l.p.log.Debug("Pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.p.log.Warn("Pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return and, unlike Pebble's own, does not end the process. In a call of ours it unwinds to guarded.
// In a goroutine of Pebble's it parks: unwinding there would end the process, or unlock what is not locked.
func (l pebbleLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.p.stick(ErrFailed, err)
	if calledByUs() {
		panic(err)
	}
	park()
}

func calledByUs() bool {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "internal/state.(*Pebble).guarded") {
			return true
		}
		if !more {
			return false
		}
	}
}

// park never returns: the caller is a goroutine that can neither go on nor be unwound. It happens once a failure at
// most for each file that was being written.
func park() { select {} }
