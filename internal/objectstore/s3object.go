// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
)

// tailBytes is how much of an object's end Open fetches: it knows the size by it, and a Parquet file's footer is there.
const tailBytes = 64 << 10

// remote is an object of a bucket, as of when it was opened: its ETag goes with each request, and the store refuses another.
// Each ReadAt is a request, side by side with others, until the context that Open was given ends.
type remote struct {
	bucket *bucket
	ctx    context.Context
	cancel context.CancelFunc
	info   Info
	etag   string
	tail   []byte // the end of the object
}

// Open fetches the end of the object. The context is for all of its reads.
func (b *bucket) Open(ctx context.Context, key string) (Object, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &remote{bucket: b, ctx: ctx, cancel: cancel, info: Info{Key: key}}
	if err := o.open(); err != nil {
		cancel()
		return nil, fmt.Errorf("opening %s in %s: %w", key, b, responseError(err))
	}
	return o, nil
}

// open asks for the end by GET, since the answer to a refused HEAD has no reason.
func (o *remote) open() error {
	options := minio.GetObjectOptions{ServerSideEncryption: o.bucket.sse}
	options.Set("Range", fmt.Sprintf("bytes=-%d", tailBytes))
	for retry := 0; ; retry++ {
		body, info, header, err := o.bucket.core.GetObject(o.ctx, o.bucket.name, o.object(), options)
		var r minio.ErrorResponse
		if errors.As(err, &r) && r.Code == minio.InvalidRange { // it is empty
			stat := minio.StatObjectOptions{ServerSideEncryption: o.bucket.sse}
			info, err = o.bucket.core.StatObject(o.ctx, o.bucket.name, o.object(), stat)
			if err != nil {
				return err
			}
			o.info.Size, o.info.Modified, o.etag = info.Size, info.LastModified, info.ETag
			return nil
		}
		if err != nil {
			return err
		}
		size := info.Size
		if r := header.Get("Content-Range"); r != "" { // bytes first-last/size
			_, total, _ := strings.Cut(r, "/")
			if size, err = strconv.ParseInt(total, 10, 64); err != nil {
				closeAll(body)
				return fmt.Errorf("reading the answer's Content-Range %q: %w", r, err)
			}
		} else if size > tailBytes { // the store does not know suffixes, and sends the whole
			closeAll(body)
			o.info.Size, o.info.Modified, o.etag = size, info.LastModified, info.ETag
			return nil
		}
		tail := make([]byte, min(size, tailBytes))
		_, err = readBody(body, tail)
		if err == nil {
			o.info.Size, o.info.Modified, o.etag, o.tail = size, info.LastModified, info.ETag, tail
			return nil
		}
		if retry == o.bucket.config.MaxRetries || o.ctx.Err() != nil {
			return err
		}
	}
}

func (o *remote) object() string { return o.bucket.prefix + o.info.Key }

func (o *remote) Info() Info { return o.info }

func (o *remote) Close() error {
	o.cancel()
	return nil
}

// ReadAt is what io.ReaderAt says. An answer that is cut off is asked for again from where it ended.
func (o *remote) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading %s at %d: the offset is negative", o.info.Key, off)
	}
	if off >= o.info.Size {
		return 0, io.EOF
	}
	want, short := p, error(nil)
	if rest := o.info.Size - off; int64(len(p)) > rest {
		want, short = p[:rest], io.EOF
	}
	start := o.info.Size - int64(len(o.tail))
	if off >= start {
		return copy(want, o.tail[off-start:]), short
	}
	done := 0
	for retry := 0; done < len(want); retry++ {
		n, err := o.read(want[done:], off+int64(done))
		done += n
		if err == nil {
			break
		}
		// The client has tried again already what failed before the body.
		if !errors.Is(err, errCut) || retry == o.bucket.config.MaxRetries || o.ctx.Err() != nil {
			return done, fmt.Errorf("reading %s in %s: %w", o.info.Key, o.bucket, responseError(err))
		}
	}
	return done, short
}

func (o *remote) read(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	options := minio.GetObjectOptions{ServerSideEncryption: o.bucket.sse}
	if err := options.SetRange(off, off+int64(len(p))-1); err != nil {
		return 0, err
	}
	if err := options.SetMatchETag(o.etag); err != nil {
		return 0, err
	}
	body, _, header, err := o.bucket.core.GetObject(o.ctx, o.bucket.name, o.object(), options)
	if err != nil {
		var r minio.ErrorResponse
		if errors.As(err, &r) && r.Code == minio.PreconditionFailed {
			return 0, fmt.Errorf("it was replaced while it was read: %w", err)
		}
		return 0, err
	}
	if !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", off)) {
		closeAll(body)
		return 0, fmt.Errorf("the store does not serve ranges: its answer's Content-Range is %q", header.Get("Content-Range"))
	}
	return readBody(body, p)
}

// errCut says that the connection ended within an answer's body. It hides the io.EOF of the connection, which is not the object's:
// a reader would take the object for one that is cut off.
var errCut = errors.New("the answer is cut off")

// readBody fills p and closes the body.
func readBody(body io.ReadCloser, p []byte) (int, error) {
	defer closeAll(body)
	n, err := io.ReadFull(body, p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return n, fmt.Errorf("%w after %d of %d bytes", errCut, n, len(p))
	}
	return n, fmt.Errorf("%w after %d of %d bytes: %w", errCut, n, len(p), err)
}
