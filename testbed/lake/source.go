// SPDX-License-Identifier: Apache-2.0

package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Source is where a lake lies. Safe for concurrent use.
type Source interface {
	// List returns every file, hidden ones too. An entry without a version has one that Version tells.
	List(ctx context.Context) ([]Entry, error)
	// Version tells one content from another that was put in its place, cheaply. fs.ErrNotExist: there is no such file.
	Version(ctx context.Context, key string) (string, error)
	// Read returns the whole file.
	Read(ctx context.Context, key string) ([]byte, error)
}

// Entry is a file of a Source. Its key is slash-separated.
type Entry struct{ Key, Version string }

// Directory is a lake on a local disk. One that is not there is empty.
type Directory string

// Bucket is a lake in a bucket.
type Bucket struct {
	Client *minio.Client
	Name   string
}

var (
	_ Source = Directory("")
	_ Source = Bucket{}
)

// List is cheap: it opens no file, and asks for nothing but names.
func (d Directory) List(ctx context.Context) ([]Entry, error) {
	var out []Entry
	var walk func(below string) error
	walk = func(below string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := os.ReadDir(filepath.Join(string(d), filepath.FromSlash(below)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, e := range entries {
			key := e.Name()
			if below != "" {
				key = below + "/" + key
			}
			if !e.IsDir() {
				out = append(out, Entry{Key: key})
			} else if err := walk(key); err != nil {
				return err
			}
		}
		return err
	}
	if err := walk(""); err != nil {
		return nil, fmt.Errorf("listing %s: %w", d, err)
	}
	return out, nil
}

func (d Directory) path(key string) string { return filepath.Join(string(d), filepath.FromSlash(key)) }

// Version is made of size and time of change.
func (d Directory) Version(_ context.Context, key string) (string, error) {
	info, err := os.Lstat(d.path(key))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes of %d, %s", info.Size(), info.ModTime().UnixNano(), info.Mode()), nil
}

// Read reads the file.
func (d Directory) Read(_ context.Context, key string) ([]byte, error) {
	return os.ReadFile(d.path(key))
}

// List takes a request for a thousand objects.
func (b Bucket) List(ctx context.Context) ([]Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing that an error ended
	var out []Entry
	for o := range b.Client.ListObjects(ctx, b.Name, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return nil, fmt.Errorf("listing bucket %s: %w", b.Name, o.Err)
		}
		out = append(out, Entry{o.Key, version(&o)})
	}
	return out, ctx.Err()
}

func version(o *minio.ObjectInfo) string {
	return fmt.Sprintf("%d bytes, %s", o.Size, strings.Trim(o.ETag, `"`))
}

// Version is the object's tag.
func (b Bucket) Version(ctx context.Context, key string) (string, error) {
	o, err := b.Client.StatObject(ctx, b.Name, key, minio.StatObjectOptions{})
	if err != nil {
		return "", missing(err)
	}
	return version(&o), nil
}

// Read gets the object.
func (b Bucket) Read(ctx context.Context, key string) ([]byte, error) {
	o, err := b.Client.GetObject(ctx, b.Name, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, missing(err)
	}
	defer func() { _ = o.Close() }() // it was read to its end
	content, err := io.ReadAll(o)
	return content, missing(err)
}

func missing(err error) error {
	if err != nil && minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// hidden says whether readers pass the file over.
func hidden(key string) bool {
	for part := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(part, "_") || strings.HasPrefix(part, ".") {
			return true
		}
	}
	return false
}

func isCatalogue(key string) bool {
	return strings.HasPrefix(key, "_catalogue/") && !hidden(strings.TrimPrefix(key, "_")) && strings.HasSuffix(key, ".jsonl")
}
