// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/millrace/millrace/internal/syncedfile"
)

// ownerFile says for which state store a staging directory is: without that store nobody knows what in it counts, and without
// the directory what the store knows is gone. So neither is taken for new when the other is not.
const ownerFile = "owner"

// claimStaging makes the staging directory ours, for as long as lock is open.
func (x *parquetExporter) claimStaging(store string) error {
	dir := x.cfg.Staging.Directory
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("staging.directory: creating it: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("staging.directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("staging.directory: %q is used by another exporter or collector: give every one a directory of its own", dir), lock.Close())
	}
	x.lock = lock
	me := store + " " + x.id.String()
	have, err := os.ReadFile(filepath.Join(dir, ownerFile))
	_, known, stateErr := x.index.store.Get(x.index.key("counters"))
	switch {
	case stateErr != nil:
		return fmt.Errorf("reading the state: %w", stateErr)
	case err == nil && string(have) == me:
		return nil
	case err == nil && string(have) != "":
		return fmt.Errorf("staging.directory: %q has events that another state store or exporter knows of, and this one (%s) does not: bring that back, or give up what is staged by removing the directory", dir, x.id)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("staging.directory: %w", err)
	case known:
		return fmt.Errorf("staging.directory: %q is empty, but the state store knows of events that were staged there: bring the directory back, or give the exporter another name to begin anew", dir)
	}
	// Until the first event is noted a crash may leave either without the other: both are then empty.
	file := filepath.Join(dir, ownerFile)
	if err := os.WriteFile(file+".new", []byte(me), 0o600); err != nil {
		return fmt.Errorf("staging.directory: %w", err)
	}
	if err := errors.Join(syncedfile.Sync(file+".new"), os.Rename(file+".new", file), syncedfile.Sync(dir)); err != nil {
		return fmt.Errorf("staging.directory: %w", err)
	}
	return nil
}

// removeLeftovers removes parts and files that a crash left half made: nothing in the state store names them.
func (x *parquetExporter) removeLeftovers() error {
	named := map[string]bool{}
	for _, l := range x.lots {
		for i := range l.parts {
			named[l.parts[i].File] = true
		}
	}
	entries, err := os.ReadDir(x.cfg.Staging.Directory)
	if err != nil {
		return fmt.Errorf("listing what is staged: %w", err)
	}
	for _, e := range entries {
		if (strings.HasSuffix(e.Name(), partSuffix) || strings.HasSuffix(e.Name(), fileSuffix)) && !named[e.Name()] {
			if err := os.Remove(x.partPath(e.Name())); err != nil {
				return fmt.Errorf("removing what was left half made: %w", err)
			}
		}
		delete(named, e.Name())
	}
	for name := range named {
		return fmt.Errorf("staging.directory: %q is missing there, and has events that were acknowledged: bring it back, or give them up by removing the directory and giving the exporter another name", name)
	}
	return nil
}
