// SPDX-License-Identifier: Apache-2.0

package lake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Seen is what a Watcher has seen until now.
type Seen struct {
	Listings int64
	Files    int64
	Replaced int64 // by the same content
	Faults   []string
	// More faults than are named.
	More int64
}

// maxFaults are named; one is enough for a failure.
const maxFaults = 20

// Watcher lists a lake again and again and opens what it has not seen. What is not a whole Parquet file, what changes, and what
// vanishes is a fault.
type Watcher struct {
	source Source
	flaky  bool // the source may be away
	stop   context.CancelFunc
	done   chan struct{}

	// Of the goroutine alone.
	files     map[string]*watched
	catalogue map[string]*watched
	round     int
	all       bool // looks at every file in this round

	mu   sync.Mutex
	seen Seen // guarded by mu
}

type watched struct {
	version string
	sum     uint64
	slot    int // the rounds in which it is looked at again
	there   int // the last round in which it was listed
	lines   int // of a file of the catalogue
}

// slots are the rounds in which each file is looked at once: to ask for all of them each time would take more than the pause
// between two listings.
const slots = 20

// Watch begins. flaky says that the source may not answer for a while, which is then no fault.
func Watch(source Source, every time.Duration, flaky bool) *Watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher{
		source: source, flaky: flaky, stop: cancel, done: make(chan struct{}),
		files: map[string]*watched{}, catalogue: map[string]*watched{},
	}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for ctx.Err() == nil {
			w.look(ctx)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
		// Once more, and at all files.
		ctx, cancel := context.WithTimeout(context.Background(), lastLook)
		defer cancel()
		w.all = true
		w.look(ctx)
	}()
	return w
}

// lastLook bounds the last one.
const lastLook = 30 * time.Second

// Stop looks a last time, at every file, and says what it saw.
func (w *Watcher) Stop() Seen {
	w.stop()
	<-w.done
	return w.Seen()
}

// Seen says what it saw until now.
func (w *Watcher) Seen() Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.seen
	s.Faults = append([]string(nil), s.Faults...)
	return s
}

func (w *Watcher) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen.Faults) >= maxFaults {
		w.seen.More++
		return
	}
	w.seen.Faults = append(w.seen.Faults, fmt.Sprintf(format, args...))
}

func (w *Watcher) count(n *int64) {
	w.mu.Lock()
	*n++
	w.mu.Unlock()
}

// away says whether the error is that of a source that does not answer, and notes a fault if it should.
func (w *Watcher) away(ctx context.Context, what string, err error) {
	if ctx.Err() == nil && !w.flaky {
		w.fault("%s: %v", what, err)
	}
}

func (w *Watcher) look(ctx context.Context) {
	entries, err := w.source.List(ctx)
	if err != nil {
		w.away(ctx, "listing", err)
		return
	}
	w.round++
	for _, e := range entries {
		switch {
		case isCatalogue(e.Key):
			w.lookAt(ctx, w.catalogue, e, w.catalogueFile)
		case hidden(e.Key):
		case strings.HasSuffix(e.Key, ".parquet"):
			w.lookAt(ctx, w.files, e, w.parquetFile)
		default:
			if w.files[e.Key] == nil {
				w.files[e.Key] = &watched{there: w.round}
				w.fault("%s: whoever lists the lake takes it for data", e.Key)
			}
			w.files[e.Key].there = w.round
		}
	}
	for _, known := range []map[string]*watched{w.files, w.catalogue} {
		for key, f := range known {
			if f.there != w.round {
				w.fault("%s: it was there and has vanished", key)
				delete(known, key)
			}
		}
	}
	w.count(&w.seen.Listings)
}

// lookAt reads a file that is new or another than it was.
func (w *Watcher) lookAt(ctx context.Context, known map[string]*watched, e Entry, read func(ctx context.Context, key string, f *watched, content []byte)) {
	f := known[e.Key]
	if f != nil {
		f.there = w.round
	}
	// The catalogue changes all the time; files are not to.
	if e.Version == "" && (f == nil || path.Ext(e.Key) != ".parquet" || w.all || f.slot == w.round%slots) {
		var err error
		if e.Version, err = w.source.Version(ctx, e.Key); err != nil {
			w.gone(ctx, e.Key, f, err)
			return
		}
	}
	if f != nil && (e.Version == "" || e.Version == f.version) {
		return
	}
	content, err := w.source.Read(ctx, e.Key)
	if err != nil {
		w.gone(ctx, e.Key, f, err)
		return
	}
	if f == nil {
		f = &watched{slot: len(known) % slots, there: w.round}
		known[e.Key] = f
	}
	read(ctx, e.Key, f, content)
	f.version, f.sum = e.Version, xxhash.Sum64(content)
}

func (w *Watcher) gone(ctx context.Context, key string, f *watched, err error) {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		w.away(ctx, "reading "+key, err)
	case f == nil: // what is known is missed in the next listing
		w.fault("%s: it was listed and has vanished", key)
	}
}

func (w *Watcher) parquetFile(_ context.Context, key string, f *watched, content []byte) {
	if f.version != "" {
		if xxhash.Sum64(content) != f.sum {
			w.fault("%s: it has changed: was %s, and is of %d bytes", key, f.version, len(content))
		} else {
			w.count(&w.seen.Replaced)
		}
		return
	}
	if err := check(content); err != nil {
		w.fault("%s: cannot be read: %v", key, err)
	}
	w.count(&w.seen.Files)
}

func (w *Watcher) catalogueFile(ctx context.Context, key string, f *watched, content []byte) {
	lines, err := parseCatalogue(content)
	if err != nil {
		w.fault("%s: cannot be read: %v", key, err)
		return
	}
	if len(lines) < f.lines {
		w.fault("%s: had %d lines and has %d", key, f.lines, len(lines))
	}
	f.lines = len(lines)
	for i := range lines {
		if _, known := w.files[lines[i].File]; known || lines[i].Op != "add" {
			continue
		}
		// It may be newer than the listing.
		if _, err := w.source.Version(ctx, lines[i].File); errors.Is(err, fs.ErrNotExist) {
			w.fault("%s: line %d names %s, which is not there", key, i+1, lines[i].File)
		}
	}
}
