// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Manifest records every event that was made and what became of it on the way. Safe for concurrent use.
type Manifest struct {
	seed    uint64
	tenants []string

	mu      sync.Mutex // guards entries: the generator appends, the senders count
	entries []entry
}

// entry is kept small: a run has millions. The texts follow from the seed and the numbers.
type entry struct {
	id                           ID
	time                         int64
	hash                         uint64
	total                        int64
	user                         uint32
	name                         name
	tenant                       uint8
	path                         Path
	bad                          BadKind
	flags                        uint8
	sent, acked, refused, unsure uint8 // copies, saturating
}

const (
	flagKnown = 1 << iota
	flagAnonymous
)

const entrySize = 16 + 3*8 + 4 + 9

// Entry is one event of a Manifest.
type Entry struct {
	ID          ID      `json:"-"`
	Name        string  `json:"event_name"`
	Tenant      string  `json:"tenant_id"`
	Path        Path    `json:"-"`
	Time        int64   `json:"time_ns"` // since the epoch
	UserID      string  `json:"user_id,omitempty"`
	AnonymousID string  `json:"anonymous_id,omitempty"`
	Total       int64   `json:"total_cents,omitempty"` // of a valid order; 0 is nothing to compare
	Bad         BadKind `json:"-"`
	Hash        uint64  `json:"properties_hash"` // HashProperties
	// Sent is how many copies were given to a sender, on purpose. Of them Acked were acknowledged and Refused
	// refused for good. Unsure counts further attempts whose outcome is unknown, such as one that timed out:
	// each may have left one more copy.
	Sent    int `json:"sent"`
	Acked   int `json:"acknowledged"`
	Refused int `json:"refused,omitempty"`
	Unsure  int `json:"unsure,omitempty"`
}

// Failed says whether the event belongs into failed_events, not into events.
func (e *Entry) Failed() bool { return e.Bad.Fails() }

// MarshalJSON adds what has a text of its own.
func (e Entry) MarshalJSON() ([]byte, error) {
	type plain Entry
	outcome := "events"
	if e.Failed() {
		outcome = "failed_events"
	}
	return json.Marshal(struct {
		ID      string `json:"event_id"`
		Outcome string `json:"expected"`
		Bad     string `json:"bad"`
		Path    string `json:"path"`
		plain
	}{e.ID.String(), outcome, e.Bad.String(), e.Path.String(), plain(e)})
}

// NewManifest starts an empty manifest of what a generator of that configuration makes.
func NewManifest(cfg GeneratorConfig) *Manifest {
	cfg.setDefaults()
	return &Manifest{seed: cfg.Seed, tenants: cfg.allTenants(), entries: make([]entry, 0, min(cfg.Events, 10_000_000))}
}

// Record makes the generator enter what it makes into the manifest.
func (g *Generator) Record(m *Manifest) { g.record = m }

func (m *Manifest) add(e *simEvent, hash uint64) uint32 {
	n := entry{
		id: e.id, time: e.time, hash: hash, total: e.total, user: e.user,
		name: e.name, tenant: e.tenant, path: e.path, bad: e.bad,
	}
	if e.known {
		n.flags |= flagKnown
	}
	if e.anonymous {
		n.flags |= flagAnonymous
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, n)
	return uint32(len(m.entries) - 1)
}

// count raises one counter of each of the entries.
func (m *Manifest) count(entries []uint32, counter func(*entry) *uint8) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range entries {
		if c := counter(&m.entries[i]); *c < math.MaxUint8 {
			*c++
		}
	}
}

func countSent(e *entry) *uint8    { return &e.sent }
func countAcked(e *entry) *uint8   { return &e.acked }
func countRefused(e *entry) *uint8 { return &e.refused }
func countUnsure(e *entry) *uint8  { return &e.unsure }

// Len returns the number of unique events.
func (m *Manifest) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

// Entries yields all events in the order in which they happened. The manifest must not change meanwhile.
func (m *Manifest) Entries() iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		for i := range m.entries {
			if !yield(i, m.entry(i)) {
				return
			}
		}
	}
}

func (m *Manifest) entry(i int) Entry {
	n := &m.entries[i]
	e := Entry{
		ID: n.id, Name: eventNames[n.name], Tenant: m.tenants[n.tenant], Path: n.path, Time: n.time, Total: n.total,
		Bad: n.bad, Hash: n.hash, Sent: int(n.sent), Acked: int(n.acked), Refused: int(n.refused), Unsure: int(n.unsure),
	}
	if n.flags&flagKnown != 0 {
		e.UserID = userID(n.user)
	}
	if n.flags&flagAnonymous != 0 {
		e.AnonymousID = uuid(m.seed, saltAnonymous, uint64(n.user)).String()
	}
	return e
}

// Mend takes events that were bad in that way for good ones from now on: a schema was changed, and they came again.
func (m *Manifest) Mend(bad BadKind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.entries {
		if m.entries[i].bad == bad {
			m.entries[i].bad = Good
		}
	}
}

// Summary counts what a manifest holds. Events are unique ones, the others are copies.
type Summary struct {
	Events         int64            `json:"events"`          // sent at least once
	Unsent         int64            `json:"unsent"`          // made, but the run ended before
	Sent           int64            `json:"sent"`            // copies given to a sender
	Duplicates     int64            `json:"duplicates"`      // of them, further copies
	Acked          int64            `json:"acknowledged"`    // copies
	Refused        int64            `json:"refused"`         // copies
	Unsure         int64            `json:"unsure"`          // attempts of unknown outcome, before the one that counted
	ExpectedStored int64            `json:"expected_stored"` // events that belong into events
	ExpectedFailed int64            `json:"expected_failed"` // events that belong into failed_events
	ByPath         map[string]int64 `json:"by_path"`         // events
	ByName         map[string]int64 `json:"by_name"`
	ByTenant       map[string]int64 `json:"by_tenant"`
	Bad            map[string]int64 `json:"bad"` // events, by kind
	First          time.Time        `json:"first"`
	Last           time.Time        `json:"last"`
}

// Summary counts the manifest.
func (m *Manifest) Summary() Summary {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Summary{ByPath: map[string]int64{}, ByName: map[string]int64{}, ByTenant: map[string]int64{}, Bad: map[string]int64{}}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range m.entries {
		e := &m.entries[i]
		if e.sent == 0 {
			s.Unsent++
			continue
		}
		s.Events++
		s.Sent += int64(e.sent)
		s.Duplicates += int64(e.sent) - 1
		s.Acked += int64(e.acked)
		s.Refused += int64(e.refused)
		s.Unsure += int64(e.unsure)
		if e.bad.Fails() {
			s.ExpectedFailed++
		} else {
			s.ExpectedStored++
		}
		s.ByPath[e.path.String()]++
		s.ByName[eventNames[e.name]]++
		s.ByTenant[m.tenants[e.tenant]]++
		if e.bad != Good {
			s.Bad[e.bad.String()]++
		}
		first, last = min(first, e.time), max(last, e.time)
	}
	if s.Events > 0 {
		s.First, s.Last = time.Unix(0, first).UTC(), time.Unix(0, last).UTC()
	}
	return s
}

// The file: magic, length of the header, header as JSON, entries of entrySize bytes, CRC-32C of all of it.
const manifestMagic = "MILLMAN1"

type manifestHeader struct {
	Seed    uint64   `json:"seed"`
	Tenants []string `json:"tenants"`
	Names   []string `json:"names"`
	Entries int      `json:"entries"`
	Summary Summary  `json:"summary"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteFile writes the manifest, in place of the file only when it is whole. About 53 bytes an event.
func (m *Manifest) WriteFile(path string) error {
	header, err := json.Marshal(manifestHeader{m.seed, m.tenants, eventNames, m.Len(), m.Summary()})
	if err != nil {
		return fmt.Errorf("writing manifest: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing manifest: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the rename there is none of that name
	sum := crc32.New(castagnoli)
	w := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<16)
	put := func(b []byte) { _, _ = w.Write(b) } // a bufio.Writer keeps its first error for Flush
	put([]byte(manifestMagic))
	put(binary.LittleEndian.AppendUint32(nil, uint32(len(header))))
	put(header)
	m.mu.Lock()
	var b [entrySize]byte
	for i := range m.entries {
		m.entries[i].encode(&b)
		put(b[:])
	}
	m.mu.Unlock()
	err = w.Flush()
	if err == nil {
		_, err = f.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing manifest: %w", err)
	}
	return nil
}

// ReadManifest reads a file that WriteFile wrote.
func ReadManifest(path string) (*Manifest, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading manifest: %w", err)
	}
	m, err := decodeManifest(b)
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", path, err)
	}
	return m, nil
}

func decodeManifest(b []byte) (*Manifest, error) {
	const fixed = len(manifestMagic) + 4
	if len(b) < fixed+4 || string(b[:len(manifestMagic)]) != manifestMagic {
		return nil, errors.New("this is no manifest")
	}
	body, tail := b[:len(b)-4], b[len(b)-4:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(tail) {
		return nil, errors.New("checksum does not match: the file is cut off or was changed")
	}
	n := uint64(binary.LittleEndian.Uint32(b[len(manifestMagic):]))
	body = body[fixed:]
	if n > uint64(len(body)) {
		return nil, errors.New("the header is longer than the file")
	}
	var h manifestHeader
	if err := json.Unmarshal(body[:n], &h); err != nil {
		return nil, fmt.Errorf("decoding header: %w", err)
	}
	body = body[n:]
	if h.Entries < 0 || len(body)%entrySize != 0 || h.Entries != len(body)/entrySize {
		return nil, fmt.Errorf("the header names %d entries, the file holds %d bytes of them", h.Entries, len(body))
	}
	if len(h.Names) != len(eventNames) {
		return nil, errors.New("another version of the load generator wrote this file")
	}
	m := &Manifest{seed: h.Seed, tenants: h.Tenants, entries: make([]entry, h.Entries)}
	for i := range m.entries {
		e := &m.entries[i]
		e.decode(body[i*entrySize:])
		if int(e.tenant) >= len(m.tenants) || int(e.name) >= len(eventNames) || e.bad >= numBadKinds || e.path >= numPaths {
			return nil, fmt.Errorf("entry %d: a number is out of range", i)
		}
	}
	return m, nil
}

func (e *entry) encode(b *[entrySize]byte) {
	copy(b[0:], e.id[:])
	binary.LittleEndian.PutUint64(b[16:], uint64(e.time))
	binary.LittleEndian.PutUint64(b[24:], e.hash)
	binary.LittleEndian.PutUint64(b[32:], uint64(e.total))
	binary.LittleEndian.PutUint32(b[40:], e.user)
	copy(b[44:], []byte{byte(e.name), e.tenant, byte(e.path), byte(e.bad), e.flags, e.sent, e.acked, e.refused, e.unsure})
}

func (e *entry) decode(b []byte) {
	copy(e.id[:], b)
	e.time = int64(binary.LittleEndian.Uint64(b[16:]))
	e.hash = binary.LittleEndian.Uint64(b[24:])
	e.total = int64(binary.LittleEndian.Uint64(b[32:]))
	e.user = binary.LittleEndian.Uint32(b[40:])
	e.name, e.tenant, e.path, e.bad = name(b[44]), b[45], Path(b[46]), BadKind(b[47])
	e.flags, e.sent, e.acked, e.refused, e.unsure = b[48], b[49], b[50], b[51], b[52]
}
