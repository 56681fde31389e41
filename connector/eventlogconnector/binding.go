// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/state"
)

// binding is a small file beside the log that names the state store which holds its consumers' positions. Without it
// a log that comes with an empty state store would be delivered from its beginning under the names of deliveries
// that were made before, cut otherwise: rows would be stored twice, or taken for repetitions and not stored at all.
type binding struct {
	Incarnation string `json:"incarnation"`
	StateStore  string `json:"state_store"`
	// Adoptions counts the state stores that came after the first. It goes into the epoch of consumers, and so into the names
	// of deliveries.
	Adoptions uint64 `json:"adoptions"`
	// What the log's records were told apart and partitioned by when it was last opened.
	DeduplicationFields []string `json:"deduplication_fields"`
	PartitionBy         []string `json:"partition_by"`
}

const bindingFile = "state_store.json"

// epochsOfAdoption is how many resets a consumer can have under one state store.
const epochsOfAdoption = 1 << 32

// bind holds the log and the state store together, and returns the first epoch of consumers that are new.
func (l *eventLog) bind(store state.Store) (uint64, error) {
	path := filepath.Join(l.cfg.Directory, bindingFile)
	id := store.ID()
	now := binding{
		Incarnation: l.log.ID().String(), StateStore: hex.EncodeToString(id[:]),
		DeduplicationFields: l.cfg.Deduplication.Fields, PartitionBy: l.cfg.PartitionBy,
	}
	known, err := delivery.Known(store, l.log.ID())
	if err != nil {
		return 0, err
	}
	var had binding
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return l.bindAnew(path, now, len(known) > 0)
	case err != nil:
		return 0, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := json.Unmarshal(raw, &had); err != nil {
		return 0, fmt.Errorf("reading %s: %w: it names the log's state store; remove it if the directory of state_store is the one it had", path, err)
	}
	now.Adoptions = had.Adoptions
	switch {
	case had.Incarnation != now.Incarnation:
		// The log was made anew beside the file, or brought from elsewhere. Its deliveries have other names than the one before.
		l.logger.Warn("The log is another one: consumers that its state store does not know begin by start_at, and what the state store holds "+
			"for the log before stays where it is", zap.String("before", had.Incarnation), zap.String("now", now.Incarnation))
		return l.bindAnew(path, now, len(known) > 0)
	case had.StateStore == now.StateStore:
		if l.sameKeys(had, now) {
			return l.epoch(now), nil
		}
		return l.epoch(now), writeSynced(path, now)
	case l.cfg.AcceptStateStore != now.StateStore:
		return 0, l.foreignState(had.StateStore, now.StateStore)
	}
	now.Adoptions++
	l.logger.Warn("The log goes on with another state store, as the configuration says: all that is in it is delivered as new",
		zap.String("before", had.StateStore), zap.String("now", now.StateStore))
	return l.epoch(now), writeSynced(path, now)
}

// sameKeys says whether events are told apart and partitioned as before, and warns of what a change means for those in the log.
func (l *eventLog) sameKeys(had, now binding) bool {
	fields := slices.Equal(had.DeduplicationFields, now.DeduplicationFields)
	if !fields {
		l.logger.Warn("deduplication::fields have changed: duplicates of what was appended before are not known by the new ones",
			zap.Strings("before", had.DeduplicationFields), zap.Strings("now", now.DeduplicationFields))
	}
	keys := slices.Equal(had.PartitionBy, now.PartitionBy)
	if !keys {
		l.logger.Warn("partition_by has changed: events of one key lie in two partitions, and state by key begins anew in the second",
			zap.Strings("before", had.PartitionBy), zap.Strings("now", now.PartitionBy))
	}
	return fields && keys
}

// bindAnew is for a log that no file speaks of: nothing is known of the state stores that it had, if it had any.
func (l *eventLog) bindAnew(path string, now binding, known bool) (uint64, error) {
	now.Adoptions = 0
	if l.log.Stats().NextSeq > 1 {
		if !known && l.cfg.AcceptStateStore != now.StateStore {
			return 0, l.foreignState("an unknown one", now.StateStore)
		}
		// More than any number of adoptions before, which were counted from 0 or in this way, earlier.
		now.Adoptions = uint64(max(1, l.clock.Now().Unix()))
	}
	return l.epoch(now), writeSynced(path, now)
}

func (*eventLog) epoch(b binding) uint64 { return b.Adoptions*epochsOfAdoption + 1 }

func (l *eventLog) foreignState(had, now string) error {
	return fmt.Errorf("the log in %s was used with another state store (%s, now %s), which holds how far its consumers have come: bring that "+
		"directory back; or set accept_state_store: %s, and all that is in the log is delivered again, as new", l.cfg.Directory, had, now, now)
}

// writeSynced replaces the file in one step that survives power loss.
func writeSynced(path string, b binding) error {
	raw, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := replaceFile(path, append(raw, '\n')); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// replaceFile writes, syncs, renames, and syncs the folder.
func replaceFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone once it is renamed
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
