// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/syncedfile"
)

// local is a directory. Every call opens it anew, so that one that was mounted again, or made again, is the one that is used.
// All access goes through os.Root: no symbolic link leads out of it.
type local struct {
	dir  string
	keys [64]sync.Mutex // by the key's hash: two Puts of one key follow one another

	mu sync.Mutex
	// synced are the directories, by key, of which this process knows that they and all above them survive a power loss.
	// One that is there may have been made right before a crash. Guarded by mu.
	synced map[string]bool
	// moved are the files, by key, that were moved into place while the directory could not be synced: then the next
	// Put of the same file finds it gone. Guarded by mu.
	moved map[string]string
}

var _ Store = (*local)(nil)

const (
	maxSynced = 10_000             // directories; then they are synced once more
	abandoned = 24 * time.Hour     // after which a file in scratch is a crash's leftover
	attempts  = 100                // at a directory that somebody removes, since it was empty, while we put a file into it
	copyBytes = 1 << 20            // between two looks at the context
	newDirs   = fs.FileMode(0o755) // of directories, less the umask
)

var hashSeed = maphash.MakeSeed()

func openLocal(dir string) (*local, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	switch info, err := os.Stat(dir); {
	case err == nil && !info.IsDir():
		return nil, fmt.Errorf("directory: %q is a file: give a directory", dir)
	case err != nil && errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("directory: %q stands below a file: give another directory", dir)
	}
	l := &local{dir: dir, synced: map[string]bool{}, moved: map[string]string{}}
	l.sweep(func(_ string, modified time.Time) bool { return time.Since(modified) > abandoned })
	return l, nil
}

func (l *local) String() string { return "directory " + l.dir }

func (l *local) Close() error { return nil }

func (l *local) check(context.Context) error {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return fmt.Errorf("opening %s: %w", l, err)
	}
	defer closeAll(root)
	f, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("opening %s: %w", l, err)
	}
	defer closeAll(f)
	if _, err := f.ReadDir(1); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading %s: %w", l, err)
	}
	return nil
}

// Put moves the file, or copies it from another device. The order is: content synced, directories made and synced, rename,
// directory synced. A crash before the rename leaves nothing that List shows, one after it the whole object.
func (l *local) Put(ctx context.Context, key, file string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	lock := &l.keys[maphash.String(hashSeed, key)%uint64(len(l.keys))]
	lock.Lock()
	defer lock.Unlock()
	var err error
	for range attempts {
		if err = l.put(ctx, key, file); !errors.Is(err, errVanished) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("putting %s into %s: %w", key, l, localError(err))
	}
	return nil
}

// errVanished says that the directory was removed between two steps: Delete removes those that it empties.
var errVanished = errors.New("the directory of the object was removed meanwhile")

func vanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errVanished, err)
	}
	return err
}

func (l *local) put(ctx context.Context, key, file string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Lstat(file)
	placed := errors.Is(err, fs.ErrNotExist) && l.wasMoved(key, file)
	if err != nil && !placed {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	if err := os.MkdirAll(l.dir, newDirs); err != nil {
		return err
	}
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return err
	}
	defer closeAll(root)
	dir, err := l.makeDir(root, path.Dir(key))
	if err != nil {
		return vanished(err)
	}
	defer closeAll(dir)
	if placed {
		if _, err := root.Lstat(key); err != nil {
			return fmt.Errorf("%w: it was moved into place, and is not there: %w", errSource, err)
		}
	} else {
		if err := l.place(ctx, root, dir, key, file, info); err != nil {
			return err
		}
	}
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("syncing the object's directory: %w", err)
	}
	l.setMoved(key, "")
	return nil
}

// place makes the file appear under its key. It is content-synced then, its directory not yet.
func (l *local) place(ctx context.Context, root *os.Root, dir *os.File, key, file string, info fs.FileInfo) error {
	src, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	defer closeAll(src)
	if i, err := src.Stat(); err != nil || !i.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a regular file: %w", errSource, file, cmp.Or(err, error(syscall.EINVAL)))
	}
	mode := fileMode(root)
	if info.Mode().IsRegular() { // not by a link: it would lead elsewhere from there
		if info.Mode().Perm() != mode {
			_ = src.Chmod(mode) // another's file can be moved, though, and is as readable as it is
		}
		if err := src.Sync(); err != nil {
			return fmt.Errorf("syncing the file: %w", err)
		}
		err := unix.Renameat(unix.AT_FDCWD, file, int(dir.Fd()), path.Base(key))
		if err == nil {
			l.setMoved(key, file)
			return syncDir(filepath.Dir(file))
		}
		if !errors.Is(err, syscall.EXDEV) {
			return vanished(fmt.Errorf("moving the file: %w", err))
		}
	}
	return l.copy(ctx, root, key, src, mode)
}

// copy writes the file into scratch and moves it from there. What a crash leaves there goes at the key's next Put.
func (l *local) copy(ctx context.Context, root *os.Root, key string, src *os.File, mode fs.FileMode) (err error) {
	name := copyName(key)
	if err := root.Mkdir(scratch, newDirs); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	l.sweep(func(found string, _ time.Time) bool { return strings.HasPrefix(found, name) })
	// Another process may put the same key: each has a file of its own.
	name = path.Join(scratch, fmt.Sprintf("%s-%d-%d", name, os.Getpid(), time.Now().UnixNano()))
	dst, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() {
		_ = dst.Close() // a second time after success
		if err != nil {
			_ = root.Remove(name) // the error that led here says more
		}
	}()
	_ = dst.Chmod(mode) // despite the umask; see fileMode
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch n, err := io.CopyN(dst, src, copyBytes); {
		case errors.Is(err, io.EOF):
			if err := dst.Sync(); err != nil {
				return fmt.Errorf("syncing the file: %w", err)
			}
			if err := dst.Close(); err != nil {
				return err
			}
			return vanished(root.Rename(name, key))
		case err != nil:
			return fmt.Errorf("copying the file, %d bytes further: %w", n, err)
		}
	}
}

// copyName is what the names of a key's copies in scratch begin with.
func copyName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// fileMode lets those read an object who may read the store's directory, whatever umask the file was made under.
func fileMode(root *os.Root) fs.FileMode {
	info, err := root.Stat(".")
	if err != nil {
		return 0o644
	}
	return info.Mode().Perm()&0o666 | 0o600
}

// makeDir returns the directory, which is there, as are those above it, after a power loss too.
func (l *local) makeDir(root *os.Root, dir string) (*os.File, error) {
	if !l.isSynced(dir) {
		if err := root.MkdirAll(dir, newDirs); err != nil {
			return nil, err
		}
		for d := dir; ; d = path.Dir(d) {
			f, err := root.Open(d)
			if err != nil {
				return nil, err
			}
			err = f.Sync()
			closeAll(f)
			if err != nil {
				return nil, fmt.Errorf("syncing directory %s: %w", d, err)
			}
			if d == "." {
				break
			}
		}
		if !l.isSynced(".") {
			for d := filepath.Dir(l.dir); ; d = filepath.Dir(d) {
				// Those above may be others', whose entries were there before us.
				if err := syncDir(d); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EROFS) {
					return nil, err
				}
				if d == filepath.Dir(d) {
					break
				}
			}
		}
		l.setSynced(dir)
	}
	f, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		l.forget()
	}
	return f, err
}

func syncDir(dir string) error {
	if err := syncedfile.Sync(dir); err != nil {
		return fmt.Errorf("syncing directory %s: %w", dir, err)
	}
	return nil
}

func (l *local) isSynced(dir string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.synced[dir]
}

func (l *local) setSynced(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.synced) > maxSynced {
		clear(l.synced)
	}
	l.synced[dir], l.synced["."] = true, true
}

// forget what is synced: a directory is gone, and is made again by somebody else perhaps.
func (l *local) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.synced)
}

func (l *local) wasMoved(key, file string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.moved[key]
	return ok && f == file
}

func (l *local) setMoved(key, file string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if file == "" {
		delete(l.moved, key)
	} else {
		l.moved[key] = file
	}
}

// sweep removes those files in scratch that it is told to. What cannot be removed now is removed another time.
func (l *local) sweep(leftover func(name string, modified time.Time) bool) {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return
	}
	defer closeAll(root)
	entries, err := fs.ReadDir(root.FS(), scratch)
	if err != nil {
		return // mostly there is none
	}
	for _, e := range entries {
		name := path.Join(scratch, e.Name())
		if info, err := root.Lstat(name); err == nil && leftover(e.Name(), info.ModTime()) {
			_ = root.Remove(name)
		}
	}
}

// Open returns the file. It stays readable while it is open, whatever is put or deleted.
func (l *local) Open(ctx context.Context, key string) (Object, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s in %s: %w", key, l, notExist(err))
	}
	defer closeAll(root)
	// Not blocking: what stands there may be a pipe.
	f, err := root.OpenFile(key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s in %s: %w", key, l, localError(notExist(err)))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: it is not a file", ErrNotExist)
	}
	if err != nil {
		closeAll(f)
		return nil, fmt.Errorf("opening %s in %s: %w", key, l, err)
	}
	return &localObject{File: f, info: Info{Key: key, Size: info.Size(), Modified: info.ModTime()}}, nil
}

func notExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", ErrNotExist, err)
	}
	return err
}

type localObject struct {
	*os.File
	info Info
}

func (o *localObject) Info() Info { return o.info }

// Delete removes the file, and the directories that are empty then: a bucket has none either.
func (l *local) Delete(ctx context.Context, key string) error {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return err
	}
	if err := l.remove(key); err != nil && !errors.Is(err, ErrNotExist) {
		return fmt.Errorf("deleting %s from %s: %w", key, l, localError(err))
	}
	return nil
}

func (l *local) remove(key string) error {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return notExist(err)
	}
	defer closeAll(root)
	switch info, err := root.Lstat(key); {
	case err != nil:
		return notExist(err)
	case info.IsDir():
		return nil // keys end with files
	}
	if err := root.Remove(key); err != nil {
		return notExist(err)
	}
	dir := path.Dir(key)
	for ; dir != "."; dir = path.Dir(dir) {
		if info, err := root.Lstat(dir); err != nil || !info.IsDir() {
			break // a link: it was made by hand
		}
		if root.Remove(dir) != nil {
			break // it is not empty
		}
		l.forget()
	}
	// A deleted object that came back after a power loss would be counted again by whoever reads the directory.
	f, err := root.Open(dir)
	if err != nil {
		return notExist(err)
	}
	defer closeAll(f)
	return f.Sync()
}

// closeAll closes what was only read, or what was synced before.
func closeAll(c io.Closer) { _ = c.Close() }
