// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The engine's rights within ClickHouse do not bound what its process opens: in local mode file() takes any path, and INSERT … FROM INFILE asks for
// no right at all. So the kernel bounds the process, by Landlock: the collector makes a set of rules, and the launcher puts itself under it before
// it calls the library (launcher.go). What the rules do not name cannot be opened, by whatever path, link or glob.

const (
	readAccess = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	fileAccess = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	// ownAccess is all but running programs and making devices.
	ownAccess = fileAccess | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	handledAccess = ownAccess | unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK

	// Before version 2 (Linux 5.19) a file could not be moved to another directory, which dropping a table does.
	leastLandlock = 2
	truncating    = 3 // the version that knows LANDLOCK_ACCESS_FS_TRUNCATE
)

// machinePaths is what a program needs to run: libraries that are loaded late, names, zones, certificates and what the kernel tells. Of /proc the
// launcher adds its own directory; those of other processes hold their environment.
var machinePaths = []string{
	"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
	"/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
	"/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo",
	"/etc/ssl/certs", "/usr/share/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
	"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/vmstat", "/proc/version", "/proc/filesystems",
	"/proc/sys", "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm", "/sys/block",
	"/dev/random", "/dev/urandom", "/dev/zero",
}

// landlockVersion is 0 where the kernel has none, or the process may not use it.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// canConfine says why the engine cannot be confined to its directories.
func canConfine() error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("the launcher cannot do it on %s", runtime.GOARCH)
	}
	switch v := landlockVersion(); {
	case v == 0:
		return errors.New("the kernel has no Landlock, or this container forbids it")
	case v < leastLandlock:
		return errors.New("the kernel's Landlock is older than Linux 5.19")
	}
	return nil
}

// ruleset is what the engine's process may open. The caller closes it.
func ruleset(l layout, readable []string) (_ *os.File, err error) {
	handled := uint64(handledAccess)
	if landlockVersion() < truncating {
		handled &^= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled}
	// The size says that only the first field is there, which every version knows.
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0) //nolint:gosec // the kernel's way to take a structure
	if errno != 0 {
		return nil, fmt.Errorf("creating rules: %w", errno)
	}
	set := os.NewFile(fd, "landlock")
	unix.CloseOnExec(int(fd)) // of the collector's other children
	defer func() {
		if err != nil {
			_ = set.Close()
		}
	}()
	allow := func(path string, access uint64, must bool) {
		if e := allowPath(int(fd), path, access&handled); e != nil && (must || !errors.Is(e, os.ErrNotExist)) {
			err = errors.Join(err, fmt.Errorf("allowing %s: %w", path, e))
		}
	}
	for _, p := range machinePaths {
		allow(p, readAccess, false)
	}
	allow("/dev/null", fileAccess, true)
	allow(l.server(), ownAccess, true)
	allow(l.config(), readAccess, true)
	allow(l.users(), readAccess, true)
	for _, dir := range readable {
		allow(dir, readAccess, true)
	}
	return set, err
}

// allowPath adds a file, or a directory with all that is below it.
func allowPath(ruleset int, path string, access uint64) error {
	f, err := unix.Open(filepath.Clean(path), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(f) }()
	var stat unix.Stat_t
	if err := unix.Fstat(f, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= fileAccess
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(f)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 { //nolint:gosec // the same
		return errno
	}
	return nil
}
