// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clause is the test of one clause of the contract, on a store of its own.
type clause struct {
	*testing.T
	store Store
}

// The contract of Store, as each store keeps it. open returns an empty store.
func testContract(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	run := func(name string, f func(t clause)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := open(t)
			defer func() { require.NoError(t, s.Close()) }()
			f(clause{t, s})
		})
	}
	run("WhatWasPutIsReadBackAndListed", func(t clause) {
		s := t.store
		before := time.Now().Add(-time.Minute)
		contents := map[string][]byte{
			"empty": {}, "a/one": []byte("1"), "event_name=ä ö%2F+&=?#\\/x.parquet": random(3000), "tail": random(tailBytes), "long": random(tailBytes*2 + 17),
		}
		for key, content := range contents {
			put(t, s, key, content)
		}
		keys := list(t, s, "")
		require.Len(t, keys, len(contents))
		for _, info := range keys {
			require.EqualValues(t, len(contents[info.Key]), info.Size, info.Key)
			require.WithinRange(t, info.Modified, before, time.Now().Add(time.Minute))
		}
		for key, content := range contents {
			require.Equal(t, content, get(t, s, key), key)
		}
	})
	run("PuttingAgainReplacesTheWhole", func(t clause) {
		s := t.store
		put(t, s, "a/b", random(5000))
		put(t, s, "a/b", []byte("short"))
		require.Equal(t, "short", string(get(t, s, "a/b")))
		require.Len(t, list(t, s, ""), 1)
	})
	run("ReadAtKeepsTheContractOfIo", func(t clause) {
		s := t.store
		content := random(3*tailBytes + 5)
		put(t, s, "k", content)
		o, err := s.Open(t.Context(), "k")
		require.NoError(t, err)
		defer func() { require.NoError(t, o.Close()) }()
		require.Equal(t, "k", o.Info().Key)
		f := func(off int64, n int, wantErr error) {
			t.Helper()
			p := make([]byte, n)
			got, err := o.ReadAt(p, off)
			if wantErr == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, wantErr)
			}
			end := min(int64(len(content)), off+int64(n))
			require.Equal(t, int(max(0, end-off)), got)
			if off < end {
				require.True(t, bytes.Equal(content[off:end], p[:got]))
			}
		}
		size := len(content)
		f(0, 10, nil)
		f(0, size, nil)
		f(0, size+1, io.EOF)
		f(10, 0, nil)
		f(int64(size)-8, 8, nil)
		f(int64(size)-8, 9, io.EOF)
		f(int64(size-tailBytes)-1, 2, nil)
		f(int64(size-tailBytes), tailBytes, nil)
		f(int64(size), 1, io.EOF)
		f(int64(size)+100, 1, io.EOF)
		_, err = o.ReadAt(make([]byte, 1), -1)
		require.Error(t, err)
		require.NotErrorIs(t, err, io.EOF)

		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				p := make([]byte, 1000)
				_, err := o.ReadAt(p, int64(i*1000))
				if err != nil || !bytes.Equal(p, content[i*1000:(i+1)*1000]) {
					t.Errorf("reading side by side at %d: %v", i*1000, err)
				}
			})
		}
		wg.Wait()
	})
	run("AnOpenObjectIsTheOldOneOrAnError", func(t clause) {
		s := t.store
		old := random(2 * tailBytes)
		put(t, s, "k", old)
		o, err := s.Open(t.Context(), "k")
		require.NoError(t, err)
		defer func() { require.NoError(t, o.Close()) }()
		put(t, s, "k", random(2*tailBytes))
		p := make([]byte, len(old))
		if _, err := o.ReadAt(p, 0); err == nil {
			require.True(t, bytes.Equal(old, p))
		} else {
			require.ErrorContains(t, err, "replaced while it was read")
			require.False(t, IsPermanent(err))
		}
	})
	run("WhatIsNotThereIsErrNotExist", func(t clause) {
		s := t.store
		put(t, s, "a/b/c", []byte("1"))
		f := func(key string) {
			t.Helper()
			_, err := s.Open(t.Context(), key)
			require.ErrorIs(t, err, ErrNotExist)
			require.False(t, IsPermanent(err))
			require.NoError(t, s.Delete(t.Context(), key))
		}
		f("nothing")
		f("a")
		f("a/b")
		f("a/b/d")
		f("x/y/z")
		require.Len(t, list(t, s, ""), 1)
	})
	run("DeleteRemovesOneObject", func(t clause) {
		s := t.store
		put(t, s, "a/b/c", []byte("1"))
		put(t, s, "a/b/d", []byte("2"))
		put(t, s, "a/e/f", []byte("3"))
		require.NoError(t, s.Delete(t.Context(), "a/b/c"))
		require.NoError(t, s.Delete(t.Context(), "a/b/c"))
		require.Equal(t, []string{"a/b/d", "a/e/f"}, keys(t, s, ""))
		require.NoError(t, s.Delete(t.Context(), "a/b/d"))
		require.NoError(t, s.Delete(t.Context(), "a/e/f"))
		require.Empty(t, keys(t, s, ""))
		put(t, s, "a/b/c", []byte("again"))
		require.Equal(t, "again", string(get(t, s, "a/b/c")))
	})
	run("ListIsInTheOrderOfKeysAndHidesWhatIsHidden", func(t clause) {
		s := t.store
		for _, key := range []string{
			"a/x", "a-b", "a.b", "ab", "a/b/c", "a/b-c", "a/b/-", "b", "Z", "ä", "_catalogue/2026", "_catalogue/_x/y", ".hidden", "d/_tmp/x",
			"d/.x", "d/e", "date=2026-11-22/hour=13/1", "date=2026-11-22/hour=1/1", "date=2026-11-23/hour=01/1",
		} {
			put(t, s, key, []byte(key))
		}
		f := func(prefix string, want ...string) {
			t.Helper()
			got := keys(t, s, prefix)
			require.Equal(t, want, got)
			require.True(t, slices.IsSorted(got))
		}
		f("", "Z", "a-b", "a.b", "a/b-c", "a/b/-", "a/b/c", "a/x", "ab", "b", "d/e",
			"date=2026-11-22/hour=1/1", "date=2026-11-22/hour=13/1", "date=2026-11-23/hour=01/1", "ä")
		f("a", "a-b", "a.b", "a/b-c", "a/b/-", "a/b/c", "a/x", "ab")
		f("a/", "a/b-c", "a/b/-", "a/b/c", "a/x")
		f("a/b", "a/b-c", "a/b/-", "a/b/c")
		f("a/b/c", "a/b/c")
		f("date=2026-11-22/hour=1", "date=2026-11-22/hour=1/1", "date=2026-11-22/hour=13/1")
		f("date=2026-11-22/hour=1/", "date=2026-11-22/hour=1/1")
		f("_catalogue/", "_catalogue/2026")
		f("_cat", "_catalogue/2026")
		f("_catalogue/_", "_catalogue/_x/y")
		f("d/.", "d/.x")
		f("nothing/at/all")
		f("a/x/")
		require.Equal(t, "_catalogue/2026", string(get(t, s, "_catalogue/2026")))
	})
	run("ListEndsWhenItsCallerHasEnoughAndWithTheContext", func(t clause) {
		s := t.store
		put(t, s, "a", nil)
		put(t, s, "b", nil)
		for info, err := range s.List(t.Context(), "") {
			require.NoError(t, err)
			require.Equal(t, "a", info.Key)
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var errs []error
		for _, err := range s.List(ctx, "") {
			errs = append(errs, err)
		}
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], context.Canceled)
		require.False(t, IsPermanent(errs[0]))
	})
	run("KeysThatNoStoreHasAreRefused", func(t clause) {
		s := t.store
		f := func(key string) {
			t.Helper()
			err := s.Put(t.Context(), key, source(t, nil))
			require.ErrorIs(t, err, ErrKey)
			require.True(t, IsPermanent(err))
			_, err = s.Open(t.Context(), key)
			require.ErrorIs(t, err, ErrKey)
			require.ErrorIs(t, s.Delete(t.Context(), key), ErrKey)
		}
		for _, key := range []string{
			"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "./a", "a\x00", "a\nb", "\xff", ".put", ".put/x",
			strings.Repeat("x", 256), strings.Repeat("xxxxxxx/", 200) + "x",
		} {
			f(key)
		}
		for _, prefix := range []string{"/", "../x", "a//b", "a/../", "\xff"} {
			for _, err := range s.List(t.Context(), prefix) {
				require.ErrorIs(t, err, ErrKey)
			}
		}
	})
	run("AFileThatCannotBeReadIsNotTheStoresFault", func(t clause) {
		s := t.store
		f := func(path string) {
			t.Helper()
			err := s.Put(t.Context(), "k", path)
			require.ErrorContains(t, err, "the file to store cannot be read")
			require.NotErrorIs(t, err, ErrNotExist)
			require.True(t, IsPermanent(err))
		}
		f(filepath.Join(t.TempDir(), "missing"))
		f(t.TempDir())
		require.Empty(t, keys(t, s, ""))
	})
	run("AnEndedContextPutsNothing", func(t clause) {
		s := t.store
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, s.Put(ctx, "k", source(t, []byte("x"))), context.Canceled)
		require.Empty(t, keys(t, s, ""))
	})
	run("AReaderNeverSeesAPart", testNoParts)
}

// testNoParts replaces two objects by ones of other sizes while readers list and read them.
func testNoParts(t clause) {
	s := t.store
	const rounds = 15
	version := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 100_000+i*1000) }
	whole := func(b []byte) error {
		if len(b) == 0 || !bytes.Equal(b, version(int(b[0]))) {
			return fmt.Errorf("%d bytes are no version", len(b))
		}
		return nil
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				for info, err := range s.List(t.Context(), "") {
					if err != nil {
						t.Errorf("listing: %v", err)
						return
					}
					if (info.Size-100_000)%1000 != 0 || info.Size < 100_000 {
						t.Errorf("%s is listed with %d bytes", info.Key, info.Size)
					}
					o, err := s.Open(t.Context(), info.Key)
					if err != nil {
						t.Errorf("opening %s, which was listed: %v", info.Key, err)
						return
					}
					b := make([]byte, o.Info().Size)
					_, err = o.ReadAt(b, 0)
					if err == nil {
						err = whole(b)
					} else if strings.Contains(err.Error(), "replaced while it was read") {
						err = nil
					}
					if err := errors.Join(err, o.Close()); err != nil {
						t.Errorf("reading %s: %v", info.Key, err)
						return
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range rounds {
		put(t, s, "a/1", version(i))
		put(t, s, fmt.Sprintf("b/%02d", i), version(i))
	}
	close(done)
	wg.Wait()
	require.Len(t, keys(t, s, ""), rounds+1)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

// source writes a file to put.
func source(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func put(t testing.TB, s Store, key string, content []byte) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, source(t, content)))
}

func get(t testing.TB, s Store, key string) []byte {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	require.NoError(t, err)
	defer func() { require.NoError(t, o.Close()) }()
	content, err := io.ReadAll(io.NewSectionReader(o, 0, o.Info().Size))
	require.NoError(t, err)
	return content
}

func list(t testing.TB, s Store, prefix string) []Info {
	t.Helper()
	var infos []Info
	for info, err := range s.List(t.Context(), prefix) {
		require.NoError(t, err)
		infos = append(infos, info)
	}
	return infos
}

func keys(t testing.TB, s Store, prefix string) []string {
	t.Helper()
	var all []string
	for _, info := range list(t, s, prefix) {
		all = append(all, info.Key)
	}
	return all
}
