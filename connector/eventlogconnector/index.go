// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/idindex"
	"github.com/millrace/millrace/internal/segmentlog"
)

// rebuildIndex reads the IDs and Kafka offsets that the log holds: the index is a function of the log.
func (l *eventLog) rebuildIndex() error {
	// The log's own random number is the key: fingerprints of one log mean nothing in another, and nobody outside
	// can compute IDs that collide.
	id := l.log.ID()
	key := sha256.Sum256(append([]byte("millrace event fingerprints"), id[:]...))
	l.hasher = idindex.NewHasher([16]byte(key[:16]))
	horizon := l.cfg.Deduplication.Horizon
	l.index = idindex.New(idindex.Options{MaxCount: horizon.Count, MaxAge: horizon.Age})
	l.offsets = idindex.NewOffsets()
	stats := l.log.Stats()
	start := l.clock.Now()
	from, err := l.loadOffsets()
	if err != nil {
		return err
	}
	if l.cfg.Deduplication.Enabled {
		known := min(stats.NextID, horizon.Count)
		l.index.Reserve(min(known, stats.NextID-stats.FirstID))
		from = min(from, stats.NextID-known)
	}
	n, err := l.readIDs(max(from, stats.FirstID))
	if err != nil {
		return fmt.Errorf("reading the event IDs of the log: %w", err)
	}
	l.door = idindex.NewDoor(l.index)
	if n > 0 {
		l.logger.Info("Read the event IDs that duplicates are known by", zap.Uint64("ids", n), zap.Duration("took", l.clock.Now().Sub(start)))
	}
	return nil
}

// someIDs are an entry's, on their way into the index.
type someIDs struct {
	first    uint64
	appended int64
	ids      []byte
}

// readIDs takes up what the log holds from the ordinal on. Reading is quick; inserting waits for memory, so that each processor
// does it.
func (l *eventLog) readIDs(from uint64) (n uint64, err error) {
	entries := make(chan someIDs, 64)
	var inserting sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		inserting.Go(func() {
			for e := range entries {
				l.index.Insert(e.first, e.appended, e.ids)
			}
		})
	}
	err = l.log.IDs(from, func(first uint64, appended int64, ids, source []byte) error {
		if l.cfg.Deduplication.Enabled && len(ids) > 0 {
			entries <- someIDs{first, appended, slices.Clone(ids)}
			n += uint64(len(ids) / segmentlog.IDBytes)
		}
		return l.restoreSource(source)
	})
	close(entries)
	inserting.Wait()
	return n, err
}
