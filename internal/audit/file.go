// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/syncedfile"
)

// Options of Open.
type Options struct {
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// disk opens a day's file for appending; nil is the operating system's. Tests put one in its place that fails.
	disk func(path string) (disk, error)
}

// disk is an open file that is appended to.
type disk interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// Errors of a File.
var (
	ErrClosed  = errors.New("the audit log is closed")
	ErrLocked  = errors.New("another process writes the audit log")
	ErrFailed  = errors.New("the audit log has failed")
	ErrTooLong = errors.New("the record is too long")
)

// MaxLine bounds a line, in bytes. A record that makes a longer one is refused.
const MaxLine = 64 << 10

const (
	prefix   = "audit-"
	suffix   = ".jsonl"
	dayForm  = "2006-01-02"
	lockName = "LOCK"
)

// line is what a line holds. Prev is the SHA-256 of the line before, without its newline; empty in the very first.
type line struct {
	Prev string `json:"prev"`
	Record
}

// File is a Log in a directory: JSON lines, a file for each day of writing in UTC. A day never goes back: where the clock does, the
// newest file is gone on with. Files are never removed; that is the operator's, oldest first.
//
// After a crash all that Write returned nil for is there. A line that the crash cut off stays as it is and is ended, so that each
// later one stands for itself.
type File struct {
	dir  string
	now  func() time.Time
	open func(path string) (disk, error)
	lock io.Closer

	mu      sync.Mutex // guards what follows; any goroutine
	waiting []*entry   // what the next sync is to hold
	busy    bool       // somebody writes, and what is below turn is theirs
	closed  bool

	turn    sync.Mutex // guards what follows; held by whoever writes, which keeps Close off
	day     string
	f       disk
	size    int64  // bytes that are whole lines
	torn    bool   // there may be more than size in the file, from a write that failed
	last    string // SHA-256 of the last line
	failure error  // no write is tried any more
}

var _ Log = (*File)(nil)

// entry is one call of Write that waits.
type entry struct {
	records []Record
	done    chan error // gets the result, or errLead when the caller is to write
}

var errLead = errors.New("it is your turn")

// Open opens the log in dir, or makes it. One process has it at a time. The error wraps ErrLocked where another one has.
func Open(dir string, o Options) (*File, error) {
	a := &File{dir: dir, now: o.Now, open: o.disk}
	if a.now == nil {
		a.now = time.Now
	}
	if a.open == nil {
		a.open = openDisk
	}
	if err := makeDirectory(dir); err != nil {
		return nil, fmt.Errorf("making the audit log's directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("audit log %q: %w: stop it, ask it to do the work, or name another directory", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the audit log: %w", err)
	}
	a.lock = lock
	if err := a.recover(); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("recovering the audit log: %w", err)
	}
	return a, nil
}

func openDisk(path string) (disk, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

func makeDirectory(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncedfile.Sync(filepath.Dir(dir))
}

// days lists the days that there are files of, oldest first.
func days(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		day, ok := strings.CutPrefix(e.Name(), prefix)
		day, ok2 := strings.CutSuffix(day, suffix)
		if _, err := time.Parse(dayForm, day); ok && ok2 && err == nil {
			list = append(list, day)
		}
	}
	slices.Sort(list)
	return list, nil
}

func (a *File) path(day string) string { return filepath.Join(a.dir, prefix+day+suffix) }

// recover finds the end of the chain, and ends a line that a crash cut off.
func (a *File) recover() error {
	list, err := days(a.dir)
	if err != nil {
		return err
	}
	for i, day := range slices.Backward(list) {
		tail, size, err := lastLine(a.path(day))
		if err != nil {
			return err
		}
		if i == len(list)-1 {
			if err := a.use(day, size); err != nil {
				return err
			}
		}
		if size == 0 {
			continue // a crash came before its first line
		}
		whole, ended := bytes.CutSuffix(tail, []byte("\n"))
		if !ended && i == len(list)-1 {
			if _, err := a.f.Write([]byte("\n")); err != nil {
				return err
			}
			if err := a.f.Sync(); err != nil {
				return err
			}
			a.size++
		}
		a.last = hash(whole)
		return nil
	}
	return nil
}

// lastLine reads a file's last line, with its newline where it has one, and the file's size.
func lastLine(path string) (tail []byte, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	size = info.Size()
	for n := min(size, 4<<10); n > 0; n = min(size, 2*n) {
		tail = make([]byte, n)
		if _, err := f.ReadAt(tail, size-n); err != nil {
			return nil, 0, err
		}
		if at := bytes.LastIndexByte(tail[:n-1], '\n'); at >= 0 {
			return tail[at+1:], size, nil
		}
		if n == size {
			break
		}
	}
	return tail, size, nil
}

// use makes a day's file the one that is written. The caller has the turn.
func (a *File) use(day string, size int64) error {
	f, err := a.open(a.path(day))
	if err != nil {
		return err
	}
	if err := syncedfile.Sync(a.dir); err != nil {
		_ = f.Close()
		return err
	}
	if a.f != nil {
		_ = a.f.Close() // all of it is synced
	}
	a.f, a.day, a.size, a.torn = f, day, size, false
	return nil
}

// Write adds the records in one write. Calls at the same time share a sync. After an error of the disk the records may be there or
// not; after a sync that failed every later call fails too, since the kernel does not say what it lost.
func (a *File) Write(records ...Record) error {
	e := &entry{records: records, done: make(chan error, 1)}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return ErrClosed
	}
	a.waiting = append(a.waiting, e)
	lead := !a.busy
	a.busy = true
	a.mu.Unlock()
	if !lead {
		if err := <-e.done; !errors.Is(err, errLead) {
			return err
		}
	}

	a.turn.Lock()
	defer a.turn.Unlock()
	a.mu.Lock()
	batch := a.waiting
	a.waiting = nil
	a.mu.Unlock()
	mine := a.write(batch, e)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) > 0 {
		a.waiting[0].done <- errLead
	} else {
		a.busy = false
	}
	return mine
}

// write carries out a batch and tells all but the caller's own entry. The caller has the turn.
func (a *File) write(batch []*entry, own *entry) (mine error) {
	var lines []byte
	last := a.last
	var written []*entry
	tell := func(e *entry, err error) {
		if e == own {
			mine = err
			return
		}
		e.done <- err
	}
	for _, e := range batch {
		more, end, err := a.encode(lines, last, e.records)
		if err != nil {
			tell(e, err)
			continue
		}
		lines, last = more, end
		written = append(written, e)
	}
	err := a.append(lines)
	if err == nil {
		a.last = last
	}
	for _, e := range written {
		tell(e, err)
	}
	return mine
}

// encode appends the records' lines, each naming the one before.
func (a *File) encode(to []byte, last string, records []Record) ([]byte, string, error) {
	for _, r := range records {
		if r.Time.IsZero() {
			r.Time = a.now()
		}
		r.Time = r.Time.UTC()
		b, err := json.Marshal(line{Prev: last, Record: r})
		if err != nil {
			return nil, "", fmt.Errorf("encoding an audit record: %w", err)
		}
		if len(b) > MaxLine {
			return nil, "", fmt.Errorf("encoding an audit record: %w: %d bytes, and %d are allowed", ErrTooLong, len(b), MaxLine)
		}
		to = append(append(to, b...), '\n')
		last = hash(b)
	}
	return to, last, nil
}

func (a *File) append(lines []byte) error {
	if a.failure != nil {
		return a.failure
	}
	if len(lines) == 0 {
		return nil
	}
	if day := a.now().UTC().Format(dayForm); a.f == nil || day > a.day {
		if err := a.begin(day); err != nil {
			return fmt.Errorf("beginning a day's audit log: %w", err)
		}
	}
	if a.torn {
		if err := a.f.Truncate(a.size); err != nil {
			return fmt.Errorf("removing a half line of the audit log: %w", err)
		}
		a.torn = false
	}
	if _, err := a.f.Write(lines); err != nil {
		a.torn = a.f.Truncate(a.size) != nil
		return fmt.Errorf("writing the audit log: %w", err)
	}
	if err := a.f.Sync(); err != nil {
		a.failure = fmt.Errorf("%w: syncing it: %w: look after the disk and restart", ErrFailed, err)
		return a.failure
	}
	a.size += int64(len(lines))
	return nil
}

// begin goes on to a new day, once the day before is as it should be: a half line in its midst would look like a change.
func (a *File) begin(day string) error {
	if a.torn {
		if err := a.f.Truncate(a.size); err != nil {
			return err
		}
		a.torn = false
	}
	_, size, err := lastLine(a.path(day))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return a.use(day, size)
}

// Close waits for the writes under way. It can be called again.
func (a *File) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	a.mu.Unlock()
	for {
		a.turn.Lock()
		a.mu.Lock()
		done := !a.busy
		a.mu.Unlock()
		if done {
			break
		}
		a.turn.Unlock() // the next writer has been told, and takes its turn
	}
	defer a.turn.Unlock()
	var err error
	if a.f != nil {
		err = a.f.Close()
	}
	if lockErr := a.lock.Close(); err == nil {
		err = lockErr
	}
	if err != nil {
		return fmt.Errorf("closing the audit log: %w", err)
	}
	return nil
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
