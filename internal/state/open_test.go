// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// killed leaves a directory as a kill -9 does: copied while the store is open.
func killed(t testing.TB, prepare func(p *Pebble)) string {
	t.Helper()
	from, to := t.TempDir(), t.TempDir()
	p, err := Open(from, Options{})
	require.NoError(t, err)
	prepare(p)
	for name, content := range files(t, from) {
		require.NoError(t, os.WriteFile(filepath.Join(to, name), []byte(content), 0o600))
	}
	require.NoError(t, p.Close())
	return to
}

// refused opens a directory, which must fail with a kind, a text and a mend, and change nothing.
func refused(t testing.TB, dir string, o Options, kind error, text string) {
	t.Helper()
	var before map[string]string
	info, err := os.Stat(dir)
	isDir := err == nil && info.IsDir()
	if isDir {
		before = files(t, dir)
	}
	_, err = Open(dir, o)
	require.ErrorIs(t, err, kind)
	require.ErrorContains(t, err, text)
	var known *OpenError
	require.ErrorAs(t, err, &known)
	require.NotEmpty(t, known.Mend)
	require.NotContains(t, err.Error(), "\n")
	if isDir {
		require.Equal(t, before, files(t, dir), "something was changed")
	}
}

func TestADirectoryThatIsNoStoreIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	refused(t, dir, Options{MustExist: true}, ErrMissing, "create_directory")
	require.NoDirExists(t, dir)

	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	refused(t, dir, Options{}, ErrNotStore, "name a directory")

	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "precious"), []byte("x"), 0o600))
	refused(t, dir, Options{}, ErrNotStore, `"precious"`)
	require.NoFileExists(t, filepath.Join(dir, lockName))

	dir = killed(t, func(*Pebble) {})
	require.NoError(t, os.Remove(filepath.Join(dir, storeName)))
	refused(t, dir, Options{}, ErrNotStore, "restore the file")
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := killed(t, func(*Pebble) {})
	text := storeMagic + "format 2\nsomething new\n"
	text += fmt.Sprintf("check %08x\n", crc32.Checksum([]byte(text), castagnoli))
	require.NoError(t, os.WriteFile(filepath.Join(dir, storeName), []byte(text), 0o600))
	refused(t, dir, Options{}, ErrNewerFormat, "format 2, and this version knows up to 1")
}

func TestFilesOfTwoStoresAreNotMixed(t *testing.T) {
	a, b := killed(t, func(*Pebble) {}), killed(t, func(*Pebble) {})
	text, err := os.ReadFile(filepath.Join(a, storeName))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(b, storeName), text, 0o600))
	_, err = Open(b, Options{})
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "the database is of")
}

func TestASecondOpenOfTheDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir, Options{})
	set(t, p, "a", "1")
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrLocked)
	set(t, p, "b", "2")
	require.NoError(t, p.Close())
	require.Len(t, all(t, open(t, dir, Options{})), 2)

	fs := vfs.NewMem()
	open(t, "s", Options{FS: fs})
	_, err = Open("s", Options{FS: fs})
	require.ErrorIs(t, err, ErrLocked)
}

const childVariable = "STATE_TEST_CHILD"

// TestASecondProcessIsRefused runs this test again as the other process.
func TestASecondProcessIsRefused(t *testing.T) {
	if dir := os.Getenv(childVariable); dir != "" {
		p, err := Open(dir, Options{})
		require.NoError(t, err)
		set(t, p, "from", "child")
		fmt.Println("ready")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until it is killed
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestASecondProcessIsRefused$")
	child.Env = append(os.Environ(), childVariable+"="+dir)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	in, err := child.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	defer func() { _ = in.Close(); _ = child.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)

	_, err = Open(dir, Options{})
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, "give each its own directory")

	require.NoError(t, child.Process.Signal(syscall.SIGKILL))
	_ = child.Wait()
	require.Equal(t, map[string]string{"from": "child"}, all(t, open(t, dir, Options{})))
}

func TestAReadOnlyDirectoryIsRefused(t *testing.T) {
	f := func(code syscall.Errno) {
		t.Helper()
		d := newSmallDisk(64 << 20)
		p := open(t, "s", Options{FS: d})
		require.NoError(t, p.Close())
		d.fault = func(op, _ string) error {
			if op == "create" {
				return code
			}
			return nil
		}
		_, err := Open("s", Options{FS: d})
		require.ErrorIs(t, err, ErrReadOnly)
	}
	f(syscall.EROFS)
	f(syscall.EACCES)
	f(syscall.EPERM)
}

func TestAFlippedBitInWhatWasSyncedIsFound(t *testing.T) {
	// The record of the last commit is at the end of the WAL, and the one before in its middle.
	f := func(prefix, suffix string, text string) {
		t.Helper()
		dir := killed(t, func(p *Pebble) {
			for i := range 20 {
				set(t, p, fmt.Sprint(i), strings.Repeat("v", 100))
			}
			require.NoError(t, p.db.Flush()) // a second edit in the MANIFEST, and another WAL
			for i := range 20 {
				set(t, p, fmt.Sprint(i), strings.Repeat("w", 100))
			}
		})
		path := newest(t, dir, prefix, suffix)
		info, err := os.Stat(path)
		require.NoError(t, err)
		for at := 1; at < int(info.Size()); at += 1 + int(info.Size())/150 {
			flip(t, path, -at)
			refused(t, dir, Options{}, ErrCorrupt, text)
			flip(t, path, -at)
		}
		require.Len(t, all(t, open(t, dir, Options{})), 20, "unharmed it opens")
	}
	f("", ".log", "that were synced")
	f("MANIFEST-", "", "that were synced")
	f("STORE", "", "its check does not match")
}

func TestAFileThatIsMissingOrShortIsFound(t *testing.T) {
	f := func(prefix, suffix string, harm func(path string) error) {
		t.Helper()
		dir := killed(t, func(p *Pebble) {
			set(t, p, "a", strings.Repeat("v", 1000))
			require.NoError(t, p.db.Flush())
			set(t, p, "b", "2")
		})
		require.NoError(t, harm(newest(t, dir, prefix, suffix)))
		_, err := Open(dir, Options{})
		require.ErrorIs(t, err, ErrCorrupt)
		require.ErrorContains(t, err, mendCorrupt)
	}
	shorten := func(path string) error { return os.Truncate(path, 20) }
	for _, harm := range []func(string) error{os.Remove, shorten} {
		f("", ".log", harm)
		f("MANIFEST-", "", harm)
		f("", ".sst", harm)
	}
	f("marker.manifest", "", os.Remove)
}

func TestATornTailOfTheWALIsNoCorruption(t *testing.T) {
	// What is after the last sync was acknowledged to nobody: a crash may leave any part of it.
	dir := killed(t, func(p *Pebble) { set(t, p, "a", "1") })
	path := newest(t, dir, "", ".log")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.Write([]byte{1, 2, 3, 4, 50, 0, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, map[string]string{"a": "1"}, all(t, open(t, dir, Options{})))
}

func TestAFlippedBitInATableIsAnErrorNotAnAbsence(t *testing.T) {
	dir := killed(t, func(p *Pebble) {
		for i := range 1000 {
			set(t, p, fmt.Sprintf("%04d", i), "value")
		}
		require.NoError(t, p.db.Flush())
	})
	flip(t, newest(t, dir, "", ".sst"), 100)
	p := open(t, dir, Options{})
	_, _, err := p.Get([]byte("0000"))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, mendCorrupt)
	require.NotContains(t, err.Error(), "\n")
	require.ErrorIs(t, p.Range(nil, nil, func(_, _ []byte) error { return nil }), ErrCorrupt)
	<-p.Failed()
	require.ErrorIs(t, p.Commit(&Batch{Ops: []Op{{Key: []byte("a")}}}), ErrCorrupt, "nothing is acknowledged any more")
	require.ErrorIs(t, p.Err(), ErrCorrupt)
}

func TestACrashWhileOpeningIsNoHarm(t *testing.T) {
	// Every operation of creating a store, and of opening one that a crash left, is tried as the last one: with all
	// that was not synced, with nothing of it, and with a part.
	f := func(there bool) {
		t.Helper()
		rng := rand.New(rand.NewPCG(1, 2))
		for n, done := 1, false; !done; n++ {
			d := newSmallDisk(64 << 20)
			o := Options{FS: d, ReserveBytes: 1 << 20}
			if there {
				p := open(t, "s", o)
				set(t, p, "a", "1")
				require.NoError(t, p.db.Flush())
				set(t, p, "b", "2")
				d.MemFS = d.CrashClone(vfs.CrashCloneCfg{})
			}
			ops := 0
			var crashed []*vfs.MemFS
			d.fault = func(string, string) error {
				if ops++; ops == n {
					for _, percent := range []int{0, 50, 100} {
						crashed = append(crashed, d.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}))
					}
				}
				return nil
			}
			p, err := Open("s", o)
			require.NoError(t, err)
			require.NoError(t, p.Close())
			if done = crashed == nil; done {
				require.Greater(t, n, 15)
			}
			for i, fs := range crashed {
				p, err = Open("s", Options{FS: fs})
				require.NoError(t, err, "after %d operations, %d", n, i)
				if there {
					require.Equal(t, map[string]string{"a": "1", "b": "2"}, all(t, p))
				}
				set(t, p, "a", "3")
				require.NoError(t, p.Close())
			}
		}
	}
	f(false)
	f(true)
}

func TestADiskThatFailsWhileOpeningIsAnError(t *testing.T) {
	// Every operation of opening a new store, and one that is there, fails once.
	for _, code := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, there := range []bool{false, true} {
			failed := 0
			for n, done := 1, false; !done; n++ {
				d := newSmallDisk(64 << 20)
				if there {
					p := open(t, "s", Options{FS: d})
					set(t, p, "a", "1")
					require.NoError(t, p.Close())
				}
				ops := 0
				d.fault = func(string, string) error {
					if ops++; ops == n {
						return code
					}
					return nil
				}
				p, err := Open("s", Options{FS: d})
				d.mu.Lock()
				d.fault, done = nil, ops < n
				d.mu.Unlock()
				if err != nil {
					failed++
					var known *OpenError
					require.ErrorAs(t, err, &known)
					require.ErrorIs(t, err, code, "operation %d", n)
					require.NotErrorIs(t, err, ErrCorrupt)
					p, err = Open("s", Options{FS: d})
					require.NoError(t, err, "after operation %d failed", n)
				}
				if there {
					require.Equal(t, map[string]string{"a": "1"}, all(t, p))
				}
				set(t, p, "b", "2")
				require.NoError(t, p.Close())
			}
			require.Greater(t, failed, 5)
		}
	}
}

func TestPebblesFormatIsFixed(t *testing.T) {
	// Raising it makes stores that an older Millrace cannot open: raise formatVersion with it.
	require.EqualValues(t, 20, pebbleFormat)
	require.Equal(t, 1, formatVersion)
}
