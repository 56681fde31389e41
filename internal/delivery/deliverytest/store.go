// SPDX-License-Identifier: Apache-2.0

package deliverytest

import (
	"bytes"
	"errors"
	"slices"

	"github.com/millrace/millrace/internal/state"
)

// ErrCrash is what a store answers from the commit on at which it was told to crash, until the next start.
var ErrCrash = errors.New("crashed")

// Store is a state store in memory: what was committed survives a crash.
type Store struct {
	keys    []string // sorted
	data    map[string][]byte
	crashed bool

	// Commits counts those that were made. Any test may set it back.
	Commits int
	// CrashBefore and CrashAfter, if set, are asked at every commit whether the process ends there.
	CrashBefore, CrashAfter func() bool
	// Full, if set, says that there is no space for this commit.
	Full func() bool
}

var _ state.Store = (*Store)(nil)

// NewStore is empty.
func NewStore() *Store { return &Store{data: map[string][]byte{}} }

// ID implements state.Store.
func (s *Store) ID() [16]byte { return [16]byte{1} }

// Get implements state.Store.
func (s *Store) Get(key []byte) ([]byte, bool, error) {
	if s.crashed {
		return nil, false, ErrCrash
	}
	v, ok := s.data[string(key)]
	return slices.Clone(v), ok, nil
}

// Range implements state.Store.
func (s *Store) Range(from, to []byte, f func(key, value []byte) error) error {
	if s.crashed {
		return ErrCrash
	}
	i, _ := slices.BinarySearch(s.keys, string(from))
	for _, k := range slices.Clone(s.keys[i:]) {
		if len(to) > 0 && k >= string(to) {
			break
		}
		v, ok := s.data[k]
		if !ok {
			continue
		}
		if err := f([]byte(k), bytes.Clone(v)); err != nil {
			return err
		}
	}
	return nil
}

// Commit implements state.Store.
func (s *Store) Commit(b *state.Batch) error {
	if s.crashed || s.CrashBefore != nil && s.CrashBefore() {
		s.crashed = true
		return ErrCrash
	}
	if s.Full != nil && s.Full() {
		return state.ErrFull
	}
	for _, op := range b.Ops {
		switch op.Kind {
		case state.OpSet:
			s.data[string(op.Key)] = bytes.Clone(op.Value)
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
	s.keys = s.keys[:0]
	for k := range s.data {
		s.keys = append(s.keys, k)
	}
	slices.Sort(s.keys)
	s.Commits++
	if s.CrashAfter != nil && s.CrashAfter() {
		s.crashed = true
		return ErrCrash
	}
	return nil
}

// Size is how many bytes of keys and values it holds.
func (s *Store) Size() (n int) {
	for k, v := range s.data {
		n += len(k) + len(v)
	}
	return n
}
