// SPDX-License-Identifier: Apache-2.0

// Package objectstore keeps whole files under keys: in a local directory, or in a bucket of an S3-compatible store.
package objectstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// ErrNotExist is returned, wrapped, for a key that is not there.
var ErrNotExist = errors.New("there is no such object")

// Store keeps whole objects. Keys are slash-separated paths below the store's root; none begins with a slash or has an
// empty, "." or ".." part. All methods may be called by any goroutine. Errors are retryable, unless IsPermanent says otherwise.
type Store interface {
	// Put makes the file at path the object's content. Whoever lists or opens the key sees the whole of it or what was there
	// before, never a part, also after a crash; when Put returns nil the object is durable. The file may be gone afterwards
	// (a local store moves it where it can). Putting the same content again changes nothing that a reader sees.
	Put(ctx context.Context, key, path string) error
	// Open opens an object for reading. What was opened stays readable, on S3 as the version that was opened or an error.
	Open(ctx context.Context, key string) (Object, error)
	// List lists the objects whose keys begin with the prefix, in the order of their keys, and leaves out what is hidden: a
	// part of a key that begins with "." or "_" (after the prefix). It ends with the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// String names the store for people, without secrets.
	String() string
	Close() error
}

// Info says what an object is.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time
}

// Object is an open object.
type Object interface {
	io.ReaderAt
	io.Closer
	Info() Info
}
