// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clock is set by hand.
type clock struct{ at atomic.Int64 }

func newClock(text string) *clock {
	c := &clock{}
	c.set(text)
	return c
}

func (c *clock) set(text string) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	c.at.Store(t.UnixNano())
}

func (c *clock) now() time.Time { return time.Unix(0, c.at.Load()) }

// faulty is a disk that fails when told to.
type faulty struct {
	disk
	f *faults
}

type faults struct {
	mu       sync.Mutex // guards what follows
	room     int        // bytes that can be written; -1 is any number
	sync     error
	truncate error
	syncs    int
	before   func() // called before each sync
}

func (f *faults) open(path string) (disk, error) {
	d, err := openDisk(path)
	return &faulty{disk: d, f: f}, err
}

func (d *faulty) Write(p []byte) (int, error) {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	if d.f.room < 0 || len(p) <= d.f.room {
		return d.disk.Write(p)
	}
	n, err := d.disk.Write(p[:d.f.room])
	d.f.room -= n
	if err == nil {
		err = syscall.ENOSPC
	}
	return n, err
}

func (d *faulty) Sync() error {
	d.f.mu.Lock()
	d.f.syncs++
	before, err := d.f.before, d.f.sync
	d.f.mu.Unlock()
	if before != nil {
		before()
	}
	if err != nil {
		return err
	}
	return d.disk.Sync()
}

func (d *faulty) Truncate(n int64) error {
	if d.f.truncate != nil {
		return d.f.truncate
	}
	return d.disk.Truncate(n)
}

func openLog(t testing.TB, dir string, o Options) *File {
	t.Helper()
	a, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// counts returns the counts of all records that can be read, file by file.
func counts(t testing.TB, dir string) (list []int64) {
	t.Helper()
	all, err := days(dir)
	require.NoError(t, err)
	for _, day := range all {
		b, err := os.ReadFile(filepath.Join(dir, prefix+day+suffix))
		require.NoError(t, err)
		for text := range bytes.Lines(b) {
			var r Record
			if json.Unmarshal(text, &r) == nil {
				list = append(list, r.Count)
			}
		}
	}
	return list
}

func good(t testing.TB, dir string) Report {
	t.Helper()
	r, err := Verify(dir, "")
	require.NoError(t, err)
	require.Empty(t, r.Breaks)
	return r
}

func TestADayHasAFileAndTheChainGoesOnAcrossThem(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "some", "where")
	c := newClock("2026-03-01T23:59:59Z")
	a := openLog(t, dir, Options{Now: c.now})
	require.NoError(t, a.Write(Record{Action: Erased, Actor: "ann", Subject: "s1", Count: 1}))
	c.set("2026-03-02T00:00:00Z")
	require.NoError(t, a.Write(Record{Action: Masked, Time: time.Date(2026, 3, 1, 23, 59, 0, 0, time.FixedZone("", 3600)), Count: 2}, Record{Count: 3}))
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	require.ErrorIs(t, a.Write(Record{}), ErrClosed)
	c.set("2026-03-04T10:00:00Z")
	a = openLog(t, dir, Options{Now: c.now})
	require.NoError(t, a.Write(Record{Count: 4}))

	list, err := days(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"2026-03-01", "2026-03-02", "2026-03-04"}, list)
	require.Equal(t, []int64{1, 2, 3, 4}, counts(t, dir))
	first, err := os.ReadFile(filepath.Join(dir, "audit-2026-03-01.jsonl"))
	require.NoError(t, err)
	require.Equal(t, `{"prev":"","time":"2026-03-01T23:59:59Z","action":"erased","actor":"ann","subject":"s1","count":1}`, strings.TrimSuffix(string(first), "\n")) //nolint:testifylint // the bytes count
	r := good(t, dir)
	require.Equal(t, Report{
		Files: 3, Lines: 4, First: time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC), Last: time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC), Head: r.Head,
	}, r)
	info, err := os.Stat(filepath.Join(dir, "audit-2026-03-04.jsonl"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

func TestAClockThatGoesBackChangesNoOrder(t *testing.T) {
	dir := t.TempDir()
	c := newClock("2026-03-02T10:00:00Z")
	a := openLog(t, dir, Options{Now: c.now})
	require.NoError(t, a.Write(Record{Count: 1}))
	c.set("2026-03-01T10:00:00Z")
	require.NoError(t, a.Write(Record{Count: 2}))
	require.NoError(t, a.Close())
	a = openLog(t, dir, Options{Now: c.now})
	require.NoError(t, a.Write(Record{Count: 3}))
	require.Equal(t, []int64{1, 2, 3}, counts(t, dir))
	require.Equal(t, 1, good(t, dir).Files)
}

func TestALineThatACrashCutOffIsEndedAndTheNextOnesCanBeRead(t *testing.T) {
	f := func(keep int, torn int, want ...int64) {
		t.Helper()
		dir := t.TempDir()
		c := newClock("2026-03-02T10:00:00Z")
		a := openLog(t, dir, Options{Now: c.now})
		require.NoError(t, a.Write(Record{Count: 1}, Record{Count: 2, Purpose: strings.Repeat("x", 5000)}))
		require.NoError(t, a.Close())
		path := filepath.Join(dir, "audit-2026-03-02.jsonl")
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, b[:len(b)-keep], 0o600))
		r := good(t, dir) // as it is before the next start, too
		require.Equal(t, torn, r.Torn)
		c.set("2026-03-03T10:00:00Z") // and a new day at once
		a = openLog(t, dir, Options{Now: c.now})
		require.Equal(t, torn, good(t, dir).Torn)
		require.NoError(t, a.Write(Record{Count: 3}))
		require.Equal(t, want, counts(t, dir))
		require.Equal(t, torn, good(t, dir).Torn)
	}
	f(0, 0, 1, 2, 3)
	f(1, 0, 1, 2, 3) // the newline alone is missing
	f(2, 1, 1, 3)
	f(4990, 1, 1, 3)
}

func TestACrashBeforeADaysFirstLineIsNoHarm(t *testing.T) {
	dir := t.TempDir()
	c := newClock("2026-03-02T10:00:00Z")
	a := openLog(t, dir, Options{Now: c.now})
	require.NoError(t, a.Write(Record{Count: 1}))
	require.NoError(t, a.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "audit-2026-03-03.jsonl"), nil, 0o600))
	c.set("2026-03-03T10:00:00Z")
	a = openLog(t, dir, Options{Now: c.now})
	require.NoError(t, a.Write(Record{Count: 2}))
	require.Equal(t, []int64{1, 2}, counts(t, dir))
	require.Equal(t, 2, good(t, dir).Files)
}

func TestAFullDiskFailsTheWriteAndLeavesNoHalfLine(t *testing.T) {
	f := func(truncate error) {
		t.Helper()
		dir := t.TempDir()
		c := newClock("2026-03-02T10:00:00Z")
		faults := &faults{room: -1}
		a := openLog(t, dir, Options{Now: c.now, disk: faults.open})
		require.NoError(t, a.Write(Record{Count: 1}))
		faults.room, faults.truncate = 40, truncate
		require.ErrorIs(t, a.Write(Record{Count: 2}), syscall.ENOSPC)
		require.ErrorIs(t, a.Write(Record{Count: 3}), cmp(truncate, syscall.ENOSPC))
		faults.room, faults.truncate = -1, nil
		c.set("2026-03-03T10:00:00Z")
		require.NoError(t, a.Write(Record{Count: 4}))
		require.Equal(t, []int64{1, 4}, counts(t, dir))
		require.Zero(t, good(t, dir).Torn)
	}
	f(nil)
	f(errors.New("cannot cut"))
}

func cmp(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func TestAfterASyncThatFailedNothingIsAcknowledged(t *testing.T) {
	dir := t.TempDir()
	broken := errors.New("broken")
	faults := &faults{room: -1, sync: broken}
	a := openLog(t, dir, Options{disk: faults.open})
	require.ErrorIs(t, a.Write(Record{Count: 1}), broken)
	faults.sync = nil
	err := a.Write(Record{Count: 2})
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, broken)
	require.NoError(t, a.Close())
	a = openLog(t, dir, Options{})
	require.NoError(t, a.Write(Record{Count: 3}))
	good(t, dir)
}

func TestWritersAtTheSameTimeShareASync(t *testing.T) {
	dir := t.TempDir()
	faults := &faults{room: -1}
	a := openLog(t, dir, Options{disk: faults.open})
	require.NoError(t, a.Write(Record{}))
	// The first one's sync lasts until all the others wait.
	const writers = 20
	first := make(chan struct{})
	faults.before = sync.OnceFunc(func() {
		close(first)
		require.Eventually(t, func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.waiting) == writers-1
		}, time.Minute, time.Millisecond)
	})
	faults.syncs = 0
	var wg sync.WaitGroup
	for i := range writers {
		if i == 1 {
			<-first
		}
		wg.Go(func() {
			if err := a.Write(Record{Count: int64(i)}, Record{Count: int64(i)}); err != nil {
				t.Errorf("writing: %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 2, faults.syncs)
	require.Equal(t, 1+2*writers, good(t, dir).Lines)
}

func TestCloseWaitsForTheWritersAndEachGetsAnAnswer(t *testing.T) {
	dir := t.TempDir()
	a := openLog(t, dir, Options{})
	var wg sync.WaitGroup
	var written atomic.Int64
	for range 8 {
		wg.Go(func() {
			for {
				err := a.Write(Record{Count: 1})
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("writing: %v", err)
					return
				}
				written.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return written.Load() > 20 }, time.Minute, time.Millisecond)
	require.NoError(t, a.Close())
	wg.Wait()
	require.EqualValues(t, written.Load(), good(t, dir).Lines)
}

func TestARecordThatIsTooLongFailsAlone(t *testing.T) {
	dir := t.TempDir()
	a := openLog(t, dir, Options{})
	require.NoError(t, a.Write(Record{Count: 1}))
	require.ErrorIs(t, a.Write(Record{Count: 2}, Record{Purpose: strings.Repeat("x", MaxLine)}), ErrTooLong)
	require.NoError(t, a.Write(Record{Count: 3}))
	require.Equal(t, []int64{1, 3}, counts(t, dir))
	good(t, dir)
}

func TestOneProcessHasTheLog(t *testing.T) {
	dir := t.TempDir()
	a := openLog(t, dir, Options{})
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, "name another directory")
	require.NoError(t, a.Close())
	openLog(t, dir, Options{})
}

func TestWhatWasChangedRemovedOrPutInIsSeen(t *testing.T) {
	dir := t.TempDir()
	c := newClock("2026-03-01T10:00:00Z")
	a := openLog(t, dir, Options{Now: c.now})
	for i := range 9 {
		c.set(fmt.Sprintf("2026-03-%02dT10:00:00Z", 1+i/3))
		require.NoError(t, a.Write(Record{Count: int64(i), Actor: "ann"}))
	}
	require.NoError(t, a.Close())
	before := good(t, dir)

	f := func(day string, change func(lines []string) []string, breaks ...string) {
		t.Helper()
		path := filepath.Join(dir, "audit-2026-03-"+day+".jsonl")
		old, err := os.ReadFile(path)
		require.NoError(t, err)
		lines := change(strings.SplitAfter(strings.TrimSuffix(string(old), "\n"), "\n"))
		text := ""
		for _, l := range lines {
			text += strings.TrimSuffix(l, "\n") + "\n"
		}
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		r, err := Verify(dir, before.Head)
		require.NoError(t, err)
		var got []string
		for _, b := range r.Breaks {
			got = append(got, fmt.Sprintf("%s:%d", b.File, b.Line))
		}
		require.Equal(t, breaks, got)
		require.NoError(t, os.WriteFile(path, old, 0o600))
	}
	f("02", func(l []string) []string { l[1] = strings.Replace(l[1], "ann", "bob", 1); return l }, "audit-2026-03-02.jsonl:3")
	f("02", func(l []string) []string { return append(l[:1], l[2]) }, "audit-2026-03-02.jsonl:2")
	f("02", func(l []string) []string { return l[1:] }, "audit-2026-03-02.jsonl:1")
	f("02", func(l []string) []string { return l[:2] }, "audit-2026-03-03.jsonl:1")
	f("02", func(l []string) []string { return append(l[:2], l[1], l[2]) }, "audit-2026-03-02.jsonl:3")
	f("02", func(l []string) []string { l[1] = "nonsense"; return l }, "audit-2026-03-02.jsonl:2", "audit-2026-03-02.jsonl:3")
	f("02", func(l []string) []string { l[0], l[1] = l[1], l[0]; return l }, "audit-2026-03-02.jsonl:1", "audit-2026-03-02.jsonl:2", "audit-2026-03-02.jsonl:3")

	// The last line has none after it: its hash, kept elsewhere, tells.
	known, err := Verify(dir, before.Head)
	require.NoError(t, err)
	require.True(t, known.Known)
	path := filepath.Join(dir, "audit-2026-03-03.jsonl")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1], 0o600))
	known, err = Verify(dir, before.Head)
	require.NoError(t, err)
	require.Empty(t, known.Breaks)
	require.False(t, known.Known)

	// Retention takes the oldest days away: that is no break, and it shows.
	require.NoError(t, os.Remove(filepath.Join(dir, "audit-2026-03-01.jsonl")))
	r := good(t, dir)
	require.NotEmpty(t, r.Begins)
	require.NoError(t, os.Remove(path))
	require.Equal(t, 3, good(t, dir).Lines)
}

func TestVerifyOfNoLogIsAnError(t *testing.T) {
	_, err := Verify(filepath.Join(t.TempDir(), "none"), "")
	require.ErrorIs(t, err, fs.ErrNotExist)
	r, err := Verify(t.TempDir(), "")
	require.NoError(t, err)
	require.Zero(t, r.Lines)
}

func FuzzOpenAndVerifyStandAnyFile(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\n\n"))
	f.Add([]byte(`{"prev":"","time":"2026-03-01T23:59:59Z","action":"erased"}` + "\n" + `{"pre`))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "audit-2026-03-01.jsonl"), content, 0o600))
		_, err := Verify(dir, "")
		require.NoError(t, err)
		a := openLog(t, dir, Options{Now: newClock("2026-03-01T10:00:00Z").now})
		require.NoError(t, a.Write(Record{Count: 7}))
		require.NoError(t, a.Close())
		got := counts(t, dir)
		require.EqualValues(t, 7, got[len(got)-1])
	})
}

func BenchmarkWrite(b *testing.B) {
	a := openLog(b, b.TempDir(), Options{})
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := a.Write(Record{Action: Detokenized, Actor: "ann", Purpose: "a ticket", Count: 3}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
