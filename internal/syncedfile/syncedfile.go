// SPDX-License-Identifier: Apache-2.0

// Package syncedfile writes files so that a crash, also of the machine, leaves the whole of one or none.
package syncedfile

import (
	"errors"
	"os"
)

// Create makes a new file with that content and mode, and syncs it; its name is durable when its directory is synced. Where the file is
// there already it is left as it is, and the error wraps fs.ErrExist; after any other error there is none.
func Create(path, content string, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path) // a half of it is worth nothing
	}
	return err
}

// Sync syncs a file, or a directory: then the names in it are durable.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
