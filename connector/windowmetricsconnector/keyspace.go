// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"slices"

	"github.com/millrace/millrace/internal/delivery"
)

// snapshotUnder is what lies under a prefix of a component's keyspace, writerUnder what is written there: two things that have state share one
// component's.
type snapshotUnder struct {
	delivery.Snapshot
	prefix []byte
}

func (s snapshotUnder) Get(key []byte) ([]byte, bool, error) {
	return s.Snapshot.Get(slices.Concat(s.prefix, key))
}

func (s snapshotUnder) Range(prefix []byte, f func(key, value []byte) error) error {
	return s.Snapshot.Range(slices.Concat(s.prefix, prefix), func(key, value []byte) error { return f(key[len(s.prefix):], value) })
}

type writerUnder struct {
	delivery.CheckpointWriter
	prefix []byte
}

func (w writerUnder) Set(key, value []byte) {
	w.CheckpointWriter.Set(slices.Concat(w.prefix, key), value)
}

func (w writerUnder) Delete(key []byte) { w.CheckpointWriter.Delete(slices.Concat(w.prefix, key)) }
