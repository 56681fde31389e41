// SPDX-License-Identifier: Apache-2.0

// Package state is the durable memory of what stands behind the event log: positions, ranges, deltas of stateful
// components, outboxes, plans. It is small beside the log, and written at checkpoints, never per event.
package state

import (
	"context"
	"encoding/binary"
	"errors"
)

// Store is an ordered key-value store. What Commit has returned nil for survives kill -9 and power loss; what it has
// returned an error for is there as a whole or not at all. All methods may be called by any goroutine.
type Store interface {
	// ID is a random number made when the store was created: a store that was deleted and made anew has another.
	ID() [16]byte
	// Get returns a copy of the value, and whether the key is there.
	Get(key []byte) (value []byte, ok bool, err error)
	// Range calls f for the keys in [from, to) in ascending order, all as of one moment. Key and value are f's until
	// it returns. An empty `to` is the end. An error of f ends the walk and is returned.
	Range(from, to []byte, f func(key, value []byte) error) error
	// Commit applies the batch in one atomic, synced write. The batch may be used again after Reset.
	Commit(b *Batch) error
}

// Errors of a Store. ErrFull and ErrClosed change nothing; ErrFull may go away by itself.
var (
	ErrFull   = errors.New("the disk is full")
	ErrClosed = errors.New("the state store is closed")
)

// Op is one change of a Batch.
type Op struct {
	Kind       OpKind
	Key, Value []byte // for DeleteRange, Value is the end, exclusive
}

// OpKind tells what an Op does.
type OpKind uint8

// The kinds of Op.
const (
	OpSet OpKind = iota
	OpDelete
	OpDeleteRange
)

// Batch collects changes, which apply in their order. The zero value is empty. Not for concurrent use. It owns
// copies of what it is given.
type Batch struct {
	Ops  []Op
	Size int // bytes of all keys and values
}

// Set adds a change that sets key.
func (b *Batch) Set(key, value []byte) { b.add(OpSet, key, value) }

// Delete adds a change that removes key, if it is there.
func (b *Batch) Delete(key []byte) { b.add(OpDelete, key, nil) }

// DeleteRange adds a change that removes the keys in [from, to).
func (b *Batch) DeleteRange(from, to []byte) { b.add(OpDeleteRange, from, to) }

// Reset empties the batch.
func (b *Batch) Reset() { *b = Batch{} }

func (b *Batch) add(kind OpKind, key, value []byte) {
	own := make([]byte, len(key)+len(value))
	n := copy(own, key)
	copy(own[n:], value)
	b.Ops = append(b.Ops, Op{Kind: kind, Key: own[:n:n], Value: own[n:]})
	b.Size += len(own)
}

// Key joins parts so that keys sort by their parts, and no part can be mistaken for two: 0x00 in a part is written
// as 0x00 0xFF, and each part ends with 0x00 0x01.
func Key(parts ...[]byte) []byte {
	var k []byte
	for _, p := range parts {
		for _, c := range p {
			k = append(k, c)
			if c == 0 {
				k = append(k, 0xFF)
			}
		}
		k = append(k, 0, 1)
	}
	return k
}

// Uint64 is a part of a key that sorts as the number does.
func Uint64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// SplitKey undoes Key. It reports false for what Key did not make.
func SplitKey(k []byte) ([][]byte, bool) {
	var parts [][]byte
	part := []byte{}
	for i := 0; i < len(k); i++ {
		if k[i] != 0 {
			part = append(part, k[i])
			continue
		}
		if i++; i == len(k) {
			return nil, false
		}
		switch k[i] {
		case 0xFF:
			part = append(part, 0)
		case 1:
			parts, part = append(parts, part), []byte{}
		default:
			return nil, false
		}
	}
	return parts, len(part) == 0
}

// PrefixEnd is the first key after all keys that begin with prefix; nil if there is none.
func PrefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xFF {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// KeyRange is the keys from From on and before To; an empty To is the end.
type KeyRange struct{ From, To []byte }

// Purger is a Store that can make sure of what is deleted.
type Purger interface {
	// Purge returns when no file of the store has any byte of a value that was deleted, or overwritten, in one of the ranges by a
	// commit that returned before the call. After an error, or a crash, some may be there: it has to be called again.
	Purge(ctx context.Context, ranges ...KeyRange) error
}
