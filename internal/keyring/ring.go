// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a ring needs beside its configuration. All of it may be left out.
type Options struct {
	// Now is the clock: time.Now by default.
	Now func() time.Time
	// Known returns the CheckValue that a key had when it was used before, or "". A key that has another one is refused, and
	// one that is known is never made anew: what was written with it could not be read again.
	Known func(id string) string
	// Sources are taken in place of a key's configured one, by ID.
	Sources map[string]Source
}

// KeyRing is a Ring whose keys come from files, the environment and a transit engine.
type KeyRing struct {
	now     func() time.Time
	sources []Source // of the keys in the order of the configuration

	reloading sync.Mutex // held by Reload, which alone replaces state
	state     atomic.Pointer[state]
}

// state is what a ring knows. It is not changed once it is in a ring.
type state struct {
	keys []entry // as configured
	byID map[string]int
	// current is that of the time the state was made; another one may have become it from next on. No next: none will.
	current int // -1: the time of none has come
	next    time.Time
}

type entry struct {
	config  KeyConfig
	key     *Key
	check   string
	gone    error // why it is withdrawn; nil while it is there
	refused bool  // the source has something else now
}

// Change is what became of a key.
type Change struct {
	KeyID string
	What  ChangeKind
	// Reason says why, in one line with the mend, and nothing of the key. Empty where there is nothing to mend.
	Reason string
}

// ChangeKind is a kind of Change.
type ChangeKind string

// The changes.
const (
	Withdrawn     ChangeKind = "withdrawn"      // its source does not give it any more: nothing is masked or read with it
	Returned      ChangeKind = "returned"       // it is back: what was withdrawn, or what something else stood in place of
	Refused       ChangeKind = "refused"        // its source has something else, which is not taken: the key stays as it was
	BecameCurrent ChangeKind = "became_current" // new values are made with it
)

// Open reads the keys. It fails where one of them cannot be read, current or not.
func Open(ctx context.Context, cfg Config, o Options) (*KeyRing, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &KeyRing{now: o.Now}
	if r.now == nil {
		r.now = time.Now
	}
	s := &state{byID: map[string]int{}}
	for i := range cfg {
		source, e, err := open(ctx, &cfg[i], &o)
		if err != nil {
			return nil, fmt.Errorf("opening key %s: %w", cfg[i].ID, err)
		}
		r.sources = append(r.sources, source)
		s.keys = append(s.keys, e)
		s.byID[e.config.ID] = i
	}
	s.current, s.next = choose(s.keys, r.now())
	r.state.Store(s)
	return r, nil
}

func open(ctx context.Context, c *KeyConfig, o *Options) (Source, entry, error) {
	known := ""
	if o.Known != nil {
		known = o.Known(c.ID)
	}
	source := o.Sources[c.ID]
	if source == nil {
		var err error
		if source, err = c.source(); err != nil {
			return nil, entry{}, err
		}
	}
	if f, ok := source.(*fileSource); ok && c.Generate && known == "" {
		if err := f.generate(); err != nil {
			return nil, entry{}, err
		}
	}
	key, err := load(ctx, c.ID, source)
	if err != nil {
		return nil, entry{}, err
	}
	check := key.CheckValue()
	if known != "" && known != check {
		return nil, entry{}, fmt.Errorf("the key is another one than before (check value %s, was %s): put the old key back, or give this one an ID of its own",
			check, known)
	}
	return source, entry{config: *c, key: key, check: check}, nil
}

func load(ctx context.Context, id string, source Source) (*Key, error) {
	raw, err := source.Load(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(raw) // one copy less in a core dump
	secret, err := decodeSecret(raw)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return newKey(id, secret)
}

// choose returns the key whose time came last, and when that may be another one.
func choose(keys []entry, now time.Time) (current int, next time.Time) {
	current = -1
	for i := range keys {
		from := keys[i].config.ActiveFrom
		switch {
		case from.After(now):
			if next.IsZero() || from.Before(next) {
				next = from
			}
		case current < 0 || !from.Before(keys[current].config.ActiveFrom):
			current = i
		}
	}
	return current, next
}

func (r *KeyRing) currentIndex(s *state) int {
	if s.next.IsZero() {
		return s.current
	}
	now := r.now()
	if now.Before(s.next) {
		return s.current
	}
	current, _ := choose(s.keys, now)
	return current
}

// Current implements Ring.
func (r *KeyRing) Current() (*Key, error) {
	s := r.state.Load()
	i := r.currentIndex(s)
	if i < 0 {
		return nil, fmt.Errorf("%w that is current: the active_from of all keys is to come: give one an active_from that has come, or none", ErrNoKey)
	}
	return s.keys[i].get()
}

// Find implements Ring.
func (r *KeyRing) Find(id string) (*Key, error) {
	s := r.state.Load()
	i, ok := s.byID[id]
	if !ok {
		if !ValidID(id) {
			return nil, fmt.Errorf("%w: a key's ID has 1 to %d lower-case letters and digits", ErrNoKey, maxIDBytes) // it could be anything
		}
		return nil, fmt.Errorf("%w: %s: put it back into keys", ErrNoKey, id)
	}
	return s.keys[i].get()
}

func (e *entry) get() (*Key, error) {
	if e.gone != nil {
		return nil, fmt.Errorf("%w: key %s was taken away while in use: %w", ErrNoKey, e.config.ID, e.gone)
	}
	return e.key, nil
}

// IDs implements Ring.
func (r *KeyRing) IDs() []string {
	s := r.state.Load()
	ids := make([]string, 0, len(s.keys))
	current := r.currentIndex(s)
	if current >= 0 {
		ids = append(ids, s.keys[current].config.ID)
	}
	for i := range s.keys {
		if i != current {
			ids = append(ids, s.keys[i].config.ID)
		}
	}
	return ids
}

// CheckValues returns the CheckValue of each key by ID, of withdrawn ones too.
func (r *KeyRing) CheckValues() map[string]string {
	values := map[string]string{}
	for _, e := range r.state.Load().keys {
		values[e.config.ID] = e.check
	}
	return values
}

// Reload reads the sources anew and returns what is different from the time before. A key whose source says that it is gone is
// withdrawn until it is back. What cannot be asked just now is in the error, and changes nothing; nor does a source that has
// another key now, since what was written under the ID could not be read with that.
func (r *KeyRing) Reload(ctx context.Context) ([]Change, error) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	old := r.state.Load()
	s := &state{keys: slices.Clone(old.keys), byID: old.byID}
	var changes []Change
	var errs []error
	for i := range s.keys {
		e := &s.keys[i]
		change, err := e.reload(ctx, r.sources[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("reloading key %s: %w", e.config.ID, err))
		}
		if change.What != "" {
			change.KeyID = e.config.ID
			changes = append(changes, change)
		}
	}
	s.current, s.next = choose(s.keys, r.now())
	if s.current >= 0 && s.current != old.current {
		changes = append(changes, Change{KeyID: s.keys[s.current].config.ID, What: BecameCurrent})
	}
	r.state.Store(s)
	return changes, errors.Join(errs...)
}

func (e *entry) reload(ctx context.Context, source Source) (Change, error) {
	key, err := load(ctx, e.config.ID, source)
	switch {
	case errors.Is(err, ErrGone):
		return e.withdraw(err), nil
	case err != nil:
		return Change{}, err
	case key.CheckValue() != e.check:
		if e.refused {
			return Change{}, nil
		}
		e.refused = true
		return Change{What: Refused, Reason: fmt.Sprintf("key %s: its source has another key now, which is not taken: put the old one back, and give the new one an ID of its own",
			e.config.ID)}, nil
	}
	if e.gone == nil && !e.refused {
		return Change{}, nil
	}
	e.gone, e.refused = nil, false
	return Change{What: Returned}, nil
}

// withdraw says so the first time.
func (e *entry) withdraw(why error) Change {
	again := e.gone != nil
	e.gone, e.refused = why, false
	if again {
		return Change{}
	}
	return Change{What: Withdrawn, Reason: why.Error()}
}

var _ Ring = (*KeyRing)(nil)
