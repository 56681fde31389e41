// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// Options of Open. The zero value is a store on the operating system's files, without a reserve.
type Options struct {
	// FS is where the directory is; nil is the operating system's.
	FS vfs.FS
	// Logger takes what the store says; nil is nobody.
	Logger *zap.Logger
	// MustExist refuses a directory that is not there, instead of making it.
	MustExist bool
	// ReserveBytes are held on the disk, so that a full one leaves room to finish what was begun. 0 is none.
	ReserveBytes int64
	// MinFreeBytes is the free space below which commits are refused. 0 is DefaultMinFreeBytes.
	MinFreeBytes int64
	// MemTableBytes and CacheBytes bound the memory: at most three memtables and the cache. 0 is the default of each.
	MemTableBytes, CacheBytes int64
	Hooks                     Hooks
}

// Defaults of Options.
const (
	DefaultReserveBytes  = 64 << 20 // of the state_store extension
	DefaultMinFreeBytes  = 8 << 20
	DefaultMemTableBytes = 8 << 20
	DefaultCacheBytes    = 8 << 20
)

// Files of ours beside Pebble's.
const (
	storeName    = "STORE"          // names format and ID; written last at creation
	creatingName = "STORE.creating" // the same, while the store is being created
	probeName    = "STORE.probe"
	lockName     = "LOCK"
)

// formatVersion of what is in the directory. It is raised with every change that an older Millrace must not open.
const formatVersion = 1

// pebbleFormat is fixed, not Pebble's newest: raising it is a change of formatVersion. This one tells WAL records that
// a crash cut off from corrupt ones.
const pebbleFormat = pebble.FormatWALSyncChunks

// idKey holds the ID in the database, which STORE names too: files of two stores are not mixed.
var idKey = Key([]byte(Own), []byte("store"), []byte("id"))

// Open opens the store in dir, or creates it. One process has it at a time. Errors are OpenErrors.
func Open(dir string, o Options) (*Pebble, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	for _, d := range []struct {
		field *int64
		value int64
	}{{&o.MinFreeBytes, DefaultMinFreeBytes}, {&o.MemTableBytes, DefaultMemTableBytes}, {&o.CacheBytes, DefaultCacheBytes}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	p := &Pebble{
		dir: dir, log: o.Logger, hooks: o.Hooks, deleted: newDeletions(),
		idle: make(chan struct{}), failed: make(chan struct{}), stuck: make(chan struct{}),
	}
	if err := p.open(o); err != nil {
		var known *OpenError
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, p.openError(err)
	}
	return p, nil
}

// openError names the kind of what the disk or Pebble said.
func (p *Pebble) openError(err error) error {
	e := &OpenError{Dir: p.dir, Err: err, Mend: "mend the cause and start again; nothing that was acknowledged is lost"}
	var failed *FailedError
	if errors.As(err, &failed) {
		e.Err = failed.Err
	}
	switch {
	case isFull(err):
		e.Kind, e.Mend = ErrFull, mendFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		e.Kind, e.Mend = ErrReadOnly, mendReadOnly
	case pebble.IsCorruptionError(err), errors.Is(err, fs.ErrNotExist), !errors.As(err, new(syscall.Errno)):
		// What the operating system did not say, Pebble said of the files.
		e.Kind, e.Mend = ErrCorrupt, mendCorrupt
	}
	return e
}

func (p *Pebble) open(o Options) (err error) {
	names, err := p.directory(o)
	if err != nil {
		return err
	}
	path := func(name string) string { return o.FS.PathJoin(p.dir, name) }
	if p.lock, err = o.FS.Lock(path(lockName)); err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			return err // the file cannot be made; what locks says so without a path
		}
		return &OpenError{Dir: p.dir, Kind: ErrLocked, Err: err, Mend: "stop it, or give each its own directory"}
	}
	defer func() {
		if err != nil {
			_ = p.lock.Close()
		}
	}()
	if err := probe(o.FS, path(probeName)); err != nil {
		return err
	}
	created := slices.Contains(names, storeName)
	if created {
		if p.id, err = p.readStore(o.FS, path(storeName)); err != nil {
			return err
		}
		if err := checkSynced(o.FS, p.dir); err != nil {
			return &OpenError{Dir: p.dir, Kind: ErrCorrupt, Err: err, Mend: mendCorrupt}
		}
	}

	p.space = &space{fs: o.FS, dir: p.dir, path: path(ballastName), reserve: o.ReserveBytes, minFree: o.MinFreeBytes, log: o.Logger}
	if err := p.makeRoom(); err != nil {
		return err
	}
	if !created {
		if err := p.beginCreation(o.FS, names); err != nil {
			return fmt.Errorf("creating the store: %w", err)
		}
	}
	sy, err := openSynced(o.FS, path(syncedName))
	if err != nil {
		return fmt.Errorf("opening %s: %w", syncedName, err)
	}
	p.guard = newGuardFS(o.FS, p.space, sy, p.stick)
	defer func() {
		if err != nil {
			p.guard.fence()
			sy.close()
		}
	}()
	if err := p.openPebble(o, created); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			p.shut()
			_ = p.closePebble()
		}
	}()
	if err := p.checkID(created); err != nil {
		return err
	}
	if !created {
		if err := finishCreation(o.FS, p.dir); err != nil {
			return fmt.Errorf("creating the store: %w", err)
		}
	}
	p.guard.opening.Store(false)
	// Without room for the reserve the store opens, can be read, and refuses commits.
	_ = p.space.room(p.space.minFree)
	return p.Err()
}

// directory makes it, or looks what is in it. It touches nothing that is there.
func (p *Pebble) directory(o Options) ([]string, error) {
	info, err := o.FS.Stat(p.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && o.MustExist:
		return nil, &OpenError{Dir: p.dir, Kind: ErrMissing, Err: err, Mend: "make the directory, or set create_directory to true"}
	case errors.Is(err, fs.ErrNotExist):
		return nil, makeDirectory(o.FS, p.dir)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, &OpenError{Dir: p.dir, Kind: ErrNotStore, Err: errors.New("it is a file"), Mend: "name a directory"}
	}
	names, err := o.FS.List(p.dir)
	if err != nil {
		return nil, err
	}
	if slices.Contains(names, storeName) || slices.Contains(names, creatingName) {
		return names, nil
	}
	for _, n := range names {
		// What an attempt to open leaves behind, and what file systems make.
		if n == lockName || n == probeName || n == "lost+found" || strings.HasPrefix(n, ".") {
			continue
		}
		return nil, &OpenError{
			Dir: p.dir, Kind: ErrNotStore, Err: fmt.Errorf("there is %q and no file %s", n, storeName),
			Mend: "name an empty directory, or restore the file from a copy",
		}
	}
	return names, nil
}

// makeDirectory makes a directory whose name survives a power loss.
func makeDirectory(fsys vfs.FS, dir string) error {
	var parents []string
	for d := dir; ; {
		parent := fsys.PathDir(d)
		parents = append(parents, parent)
		if _, err := fsys.Stat(parent); err == nil || parent == d {
			break
		}
		d = parent
	}
	if err := fsys.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := syncDirectory(fsys, parent); err != nil {
			return err
		}
	}
	return nil
}

func syncDirectory(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		_ = d.Close()
		return err
	}
	return d.Close()
}

// probe finds a directory that cannot be written before anything is changed in it. That it is full is found later.
func probe(fsys vfs.FS, path string) error {
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		if isFull(err) {
			return nil
		}
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return fsys.Remove(path)
}

// makeRoom looks for the reserve, and gives it away where opening needs it.
func (p *Pebble) makeRoom() error {
	s := p.space
	if err := s.find(); err != nil {
		return fmt.Errorf("finding the reserve: %w", err)
	}
	free, known := s.free()
	if known && free < s.minFree && s.give() {
		free, known = s.free()
	}
	if known && free < s.minFree {
		return &OpenError{
			Dir: p.dir, Kind: ErrFull, Mend: mendFull, Err: fmt.Errorf("%d bytes are free and %d are needed", free, s.minFree),
		}
	}
	return nil
}

const storeMagic = "millrace state store\n"

func storeText(id [16]byte) []byte {
	text := fmt.Sprintf("%sformat %d\nid %x\n", storeMagic, formatVersion, id)
	return fmt.Appendf(nil, "%scheck %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// readStore reads the file STORE. Later formats keep its first and last line.
func (p *Pebble) readStore(fsys vfs.FS, path string) (id [16]byte, err error) {
	corrupt := func(err error) error {
		return &OpenError{Dir: p.dir, Kind: ErrCorrupt, Err: fmt.Errorf("reading %s: %w", storeName, err), Mend: mendCorrupt}
	}
	b, err := readFile(fsys, path, 4096)
	if err != nil {
		return id, err
	}
	text, check, ok := bytes.Cut(b, []byte("check "))
	if !ok || !bytes.HasPrefix(text, []byte(storeMagic)) || string(check) != fmt.Sprintf("%08x\n", crc32.Checksum(text, castagnoli)) {
		return id, corrupt(errors.New("its check does not match"))
	}
	var format int
	if _, err := fmt.Sscanf(string(text[len(storeMagic):]), "format %d\n", &format); err != nil {
		return id, corrupt(err)
	}
	if format > formatVersion {
		return id, &OpenError{
			Dir: p.dir, Kind: ErrNewerFormat, Err: fmt.Errorf("format %d, and this version knows up to %d", format, formatVersion),
			Mend: "run the version that wrote it, or a newer one",
		}
	}
	var digits string
	if _, err := fmt.Sscanf(string(text[len(storeMagic):]), "format %d\nid %32s\n", &format, &digits); err != nil {
		return id, corrupt(err)
	}
	if n, err := hex.Decode(id[:], []byte(digits)); err != nil || n != len(id) {
		return id, corrupt(fmt.Errorf("the ID has %d bytes: %w", n, err))
	}
	return id, nil
}

// beginCreation clears away an earlier creation that a crash ended: its store was never open, so nobody had it. Only
// files with names that Pebble gives are removed.
func (p *Pebble) beginCreation(fsys vfs.FS, names []string) error {
	for _, n := range names {
		if n == syncedName || pebbleFile(n) {
			if err := fsys.Remove(fsys.PathJoin(p.dir, n)); err != nil {
				return err
			}
		}
	}
	if _, err := rand.Read(p.id[:]); err != nil {
		return err
	}
	f, err := fsys.Create(fsys.PathJoin(p.dir, creatingName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err = f.Write(storeText(p.id)); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return syncDirectory(fsys, p.dir)
}

func finishCreation(fsys vfs.FS, dir string) error {
	if err := fsys.Rename(fsys.PathJoin(dir, creatingName), fsys.PathJoin(dir, storeName)); err != nil {
		return err
	}
	return syncDirectory(fsys, dir)
}

func pebbleFile(name string) bool {
	for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "marker.", "temporary."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, suffix := range []string{".log", ".sst", ".blob", ".dbtmp"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// openPebble runs pebble.Open, which may meet a disk that fails and then never returns.
func (p *Pebble) openPebble(o Options, created bool) error {
	type opened struct {
		db  *pebble.DB
		err error
	}
	done := make(chan opened, 1)
	go func() {
		var r opened
		r.err = p.guarded(func() (err error) {
			r.db, err = pebble.Open(p.dir, p.pebbleOptions(o, created))
			return err
		})
		done <- r
	}()
	select {
	case r := <-done:
		p.db = r.db
		return r.err
	case <-p.stuck:
		return p.failure
	}
}

func (p *Pebble) pebbleOptions(o Options, created bool) *pebble.Options {
	return &pebble.Options{
		FS:                          p.guard,
		FormatMajorVersion:          pebbleFormat,
		ErrorIfNotExists:            created,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: 3,
		MaxOpenFiles:                256,
		Logger:                      pebbleLog{p},
		Cleaner:                     deleteCleaner{},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				if !isFull(err) { // which is said once, and comes again and again
					p.log.Warn("The state store's background work", zap.Error(err))
				}
			},
			DataCorruption: func(i pebble.DataCorruptionInfo) { p.fail(ErrCorrupt, i.Details) },
			DiskSlow: func(i pebble.DiskSlowInfo) {
				p.log.Warn("The state store's disk is slow or full", zap.Stringer("operation", i))
			},
			TableDeleted:    func(i pebble.TableDeleteInfo) { p.deleted.note(i.Path, i.Err) },
			WALDeleted:      func(i pebble.WALDeleteInfo) { p.deleted.note(i.Path, i.Err) },
			WriteStallBegin: func(pebble.WriteStallBeginInfo) { p.stallBegan = time.Now() },
			WriteStallEnd:   func() { p.hooks.stalled(time.Since(p.stallBegan)) },
		},
	}
}

// checkID holds the ID in the database against the one in STORE, or writes it.
func (p *Pebble) checkID(created bool) error {
	if !created {
		var b Batch
		b.Set(idKey, p.id[:])
		return p.commit(&b)
	}
	v, _, err := p.Get(idKey)
	if err != nil {
		return err
	}
	if !bytes.Equal(v, p.id[:]) {
		return &OpenError{
			Dir: p.dir, Kind: ErrCorrupt, Mend: mendCorrupt,
			Err: fmt.Errorf("%s names the store %x, and the database is of %x", storeName, p.id, v),
		}
	}
	return nil
}
