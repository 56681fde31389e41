// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// List walks the directories in the order of keys. It holds the names of one directory of each level at a time. What
// vanishes meanwhile is left out. Links and what else is no regular file are no objects.
func (l *local) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield(Info{}, err)
			return
		}
		w := &walk{ctx: ctx, prefix: prefix, yield: yield}
		root, err := os.OpenRoot(l.dir)
		if err == nil {
			defer closeAll(root)
			dir, _ := path.Split(prefix)
			if dir == "" {
				err = w.dir(root, "")
			} else if sub, subErr := root.OpenRoot(dir); subErr == nil {
				defer closeAll(sub)
				err = w.dir(sub, dir)
			} else {
				err = subErr
			}
		}
		if err = notExist(err); err != nil && !errors.Is(err, errStopped) && !errors.Is(err, ErrNotExist) {
			yield(Info{}, fmt.Errorf("listing %s: %w", l, localError(err)))
		}
	}
}

type walk struct {
	ctx    context.Context
	prefix string
	yield  func(Info, error) bool
}

var errStopped = errors.New("the caller has seen enough")

// dir yields what is below the directory, whose key ends with a slash unless it is the root's, which is "".
func (w *walk) dir(r *os.Root, key string) error {
	f, err := r.Open(".")
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	closeAll(f)
	if err != nil {
		return err
	}
	// A directory stands where its objects stand: a-b, a/x, a.b is the order of bytes.
	order := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(order(a), order(b)) })
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		name := key + e.Name()
		if !strings.HasPrefix(name, w.prefix) || hidden(name, w.prefix) || CheckKey(name) != nil {
			continue
		}
		if e.IsDir() {
			sub, err := r.OpenRoot(e.Name())
			if err == nil {
				err = w.dir(sub, name+"/")
				closeAll(sub)
			}
			if err != nil && !gone(err) {
				return err
			}
			continue
		}
		if !e.Type().IsRegular() {
			continue
		}
		info, err := r.Lstat(e.Name())
		switch {
		case gone(err) || err == nil && !info.Mode().IsRegular():
			continue
		case err != nil:
			return err
		case !w.yield(Info{Key: name, Size: info.Size(), Modified: info.ModTime()}, nil):
			return errStopped
		}
	}
	return nil
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }
