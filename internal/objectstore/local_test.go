// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func localStore(t testing.TB, dir string) *local {
	t.Helper()
	s, err := (&Config{Directory: dir}).Open(t.Context())
	require.NoError(t, err)
	return s.(*local)
}

func TestADirectoryKeepsTheContract(t *testing.T) {
	testContract(t, func(t *testing.T) Store {
		t.Helper()
		return localStore(t, filepath.Join(t.TempDir(), "made", "when", "needed"))
	})
}

// Another device makes Put copy where it would move.
func TestADirectoryOnAnotherDeviceKeepsTheContract(t *testing.T) {
	dir := tmpfs(t, "size=64m")
	n := 0
	testContract(t, func(t *testing.T) Store {
		t.Helper()
		n++
		return localStore(t, filepath.Join(dir, string(rune('a'+n))))
	})
}

// tmpfs mounts a small file system, or skips the test.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("NOT TESTED on another device: mounting a tmpfs: %v (run as root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// files lists all that is below a directory, hidden or not.
func files(t testing.TB, dir string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != dir {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, rel)
		}
		return err
	}))
	return all
}

func TestAFullDiskIsARetryableErrorAndLeavesNothing(t *testing.T) {
	dir := tmpfs(t, "size=4m")
	s := localStore(t, dir)
	put(t, s, "a/1", random(1<<20))
	big := source(t, random(5<<20))
	err := s.Put(t.Context(), "a/2", big)
	require.ErrorIs(t, err, ErrFull)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "putting a/2 into directory "+dir+": the disk is full: free space")
	require.False(t, IsPermanent(err))
	require.Equal(t, []string{".put", "a", "a/1"}, files(t, dir))
	require.NoError(t, s.Delete(t.Context(), "a/1"))
	require.ErrorIs(t, s.Put(t.Context(), "a/2", big), ErrFull)
	require.NoError(t, s.Put(t.Context(), "a/2", source(t, random(3<<20))))
	require.FileExists(t, big)
}

func TestLeftoversOfACrashAreHiddenAndGoWithTheNextPutOrAfterADay(t *testing.T) {
	dir := tmpfs(t, "size=4m")
	s := localStore(t, dir)
	// What a process leaves that is killed in the middle of a copy: the names are those of copy.
	var leftovers []string
	for _, key := range []string{"a/1", "a/2", "a/3"} {
		err := s.Put(t.Context(), key, source(t, random(5<<20))) // makes the directories
		require.ErrorIs(t, err, ErrFull)
	}
	name := func(key string) string { return filepath.Join(dir, scratch, copyName(key)+"-1-1") }
	for _, key := range []string{"a/1", "a/2", "a/3"} {
		require.NoError(t, os.WriteFile(name(key), []byte("half"), 0o600))
		leftovers = append(leftovers, name(key))
	}
	require.Empty(t, keys(t, s, ""))
	require.Empty(t, keys(t, s, "."))
	require.Empty(t, keys(t, s, scratch))

	put(t, s, "a/1", []byte("whole"))
	require.NoFileExists(t, leftovers[0])
	require.FileExists(t, leftovers[1])

	old := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(leftovers[1], old, old))
	localStore(t, dir)
	require.NoFileExists(t, leftovers[1])
	require.FileExists(t, leftovers[2])
	require.Equal(t, []string{"a/1"}, keys(t, s, ""))
}

func TestAMovedFileIsNeitherCopiedNorLeftBehind(t *testing.T) {
	dir := t.TempDir()
	s := localStore(t, dir)
	path := source(t, []byte("x"))
	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, s.Put(t.Context(), "a/b", path))
	require.NoFileExists(t, path)
	after, err := os.Stat(filepath.Join(dir, "a/b"))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.Equal(t, []string{"a", "a/b"}, files(t, dir))
}

func TestAnObjectIsAsReadableAsTheStoresDirectory(t *testing.T) {
	f := func(dirs, want fs.FileMode) {
		t.Helper()
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, dirs))
		s := localStore(t, dir)
		put(t, s, "a", []byte("x"))
		info, err := os.Stat(filepath.Join(dir, "a"))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm())
	}
	f(0o755, 0o644)
	f(0o750, 0o640)
	f(0o700, 0o600)
	f(0o770, 0o660)
}

func TestSymbolicLinksDoNotLeadOutOfTheStore(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "dir")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "file")))
	s := localStore(t, dir)
	f := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, errEscapes)
		require.True(t, IsPermanent(err))
	}
	f(s.Put(t.Context(), "dir/new", source(t, nil)))
	f(s.Delete(t.Context(), "dir/secret"))
	_, err := s.Open(t.Context(), "dir/secret")
	f(err)
	_, err = s.Open(t.Context(), "file")
	f(err)
	require.Empty(t, keys(t, s, ""))
	require.Equal(t, []string{"secret"}, files(t, outside))

	// A Put replaces the link, not what it leads to; and it stores what a link leads to, not the link.
	put(t, s, "file", []byte("mine"))
	link := filepath.Join(t.TempDir(), "link")
	target := source(t, []byte("target"))
	require.NoError(t, os.Symlink(target, link))
	require.NoError(t, s.Put(t.Context(), "linked", link))
	require.Equal(t, "target", string(get(t, s, "linked")))
	require.Equal(t, "mine", string(get(t, s, "file")))
	require.Equal(t, []string{"file", "linked"}, keys(t, s, ""))
	b, err := os.ReadFile(filepath.Join(outside, "secret"))
	require.NoError(t, err)
	require.Equal(t, "secret", string(b))
	require.FileExists(t, target)
}

func TestPipesAndOtherThingsAreNoObjects(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	s := localStore(t, dir)
	_, err := s.Open(t.Context(), "pipe")
	require.ErrorIs(t, err, ErrNotExist)
	require.Empty(t, keys(t, s, ""))
}

func TestListToleratesWhatVanishesMeanwhile(t *testing.T) {
	s := localStore(t, t.TempDir())
	for _, key := range []string{"a/1", "a/2", "b/1", "c/1", "d"} {
		put(t, s, key, nil)
	}
	var got []string
	for info, err := range s.List(t.Context(), "") {
		require.NoError(t, err)
		got = append(got, info.Key)
		if len(got) == 1 { // the names of a/ and of the root are read by now
			for _, key := range []string{"a/2", "b/1", "d"} {
				require.NoError(t, s.Delete(t.Context(), key))
			}
		}
	}
	require.Equal(t, []string{"a/1", "c/1"}, got)
	require.NoError(t, os.RemoveAll(s.dir))
	require.Empty(t, keys(t, s, ""))
	require.ErrorContains(t, Check(t.Context(), s), "no such file")
	put(t, s, "a/1", nil) // after somebody removed all of it
	require.NoError(t, Check(t.Context(), s))
}

func TestDeleteRemovesDirectoriesThatItEmptiesWhilePutsMakeThem(t *testing.T) {
	dir := t.TempDir()
	s := localStore(t, dir)
	var wg sync.WaitGroup
	for _, key := range []string{"a/b/1", "a/b/2"} {
		wg.Go(func() {
			for range 200 {
				if err := s.Put(t.Context(), key, source(t, nil)); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Empty(t, files(t, dir))
}

func TestAFileThatWasMovedBeforeItsDirectoryCouldBeSyncedIsPutAgain(t *testing.T) {
	s := localStore(t, t.TempDir())
	path := source(t, []byte("x"))
	require.NoError(t, s.Put(t.Context(), "a", path))
	s.setMoved("a", path) // as if the last sync had failed
	require.NoError(t, s.Put(t.Context(), "a", path))
	require.Equal(t, "x", string(get(t, s, "a")))
	require.ErrorIs(t, s.Put(t.Context(), "a", path), errSource) // once: then it is there for good

	s.setMoved("a", path)
	require.NoError(t, s.Delete(t.Context(), "a"))
	require.ErrorIs(t, s.Put(t.Context(), "a", path), errSource)
}

func TestADirectoryThatCannotBeOneIsRefused(t *testing.T) {
	f := func(dir, want string) {
		t.Helper()
		_, err := (&Config{Directory: dir}).Open(t.Context())
		require.ErrorContains(t, err, want)
	}
	file := source(t, nil)
	f(file, "is a file: give a directory")
	f(filepath.Join(file, "x"), "stands below a file")
}

func TestADirectoryWithoutPermissionIsAPermanentError(t *testing.T) {
	dir := tmpfs(t, "size=1m")
	s := localStore(t, dir)
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	err := s.Put(t.Context(), "a/b", source(t, nil))
	require.ErrorIs(t, err, syscall.EROFS)
	require.True(t, IsPermanent(err))
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, ""))
	put(t, s, "a/b", nil)

	put(t, s, "a/c", nil)
	err = s.Put(t.Context(), "a/c/d", source(t, nil))
	require.True(t, IsPermanent(err), err)
}
