// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"syscall"
)

// mountMemory puts a disk of that size, in memory, over the folder. It needs root.
func mountMemory(dir string, bytes int64) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
}

func unmount(dir string) error {
	if err := syscall.Unmount(dir, 0); err != nil {
		return fmt.Errorf("unmounting %s: %w", dir, err)
	}
	return nil
}
