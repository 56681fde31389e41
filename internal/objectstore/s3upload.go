// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// abortTimeout bounds what is done for tidiness after a failed upload, whose store may be away: a shutdown waits for it.
const abortTimeout = 5 * time.Second

// upload sends the file in parts, some of them side by side, and completes the object at the end: before that nobody sees
// any of it. (minio-go can do it alone, but goes on for up to a minute after the context has ended, and leaves an upload
// behind whose identity it did not get to know.)
func (b *bucket) upload(ctx context.Context, object string, file io.ReaderAt, size, part int64, options minio.PutObjectOptions) (err error) {
	b.abortLeftovers(ctx, object)
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
			defer cancel()
			b.abortLeftovers(ctx, object)
		}
	}()
	id, err := b.core.NewMultipartUpload(ctx, b.name, object, options)
	if err != nil {
		return err
	}
	parts, err := b.sendParts(ctx, object, id, file, size, part)
	if err != nil {
		return err
	}
	options = minio.PutObjectOptions{}
	if b.sse != nil && b.sse.Type() == encrypt.SSEC {
		options.ServerSideEncryption = b.sse // it goes with every request; what else there is was said at the begin
	}
	_, err = b.core.CompleteMultipartUpload(ctx, b.name, object, id, parts, options)
	return err
}

// sendParts returns when nothing is being sent any more.
func (b *bucket) sendParts(ctx context.Context, object, id string, file io.ReaderAt, size, part int64) ([]minio.CompletePart, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make([]minio.CompletePart, (size+part-1)/part) // each by the one goroutine that sends it
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(b.config.Concurrency, len(parts)) {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(parts)) || ctx.Err() != nil {
					return
				}
				length := min(part, size-i*part)
				sent, err := b.core.PutObjectPart(ctx, b.name, object, id, int(i)+1, io.NewSectionReader(file, i*part, length), length,
					minio.PutObjectPartOptions{SSE: b.sse})
				if err != nil {
					cancel(err)
					return
				}
				parts[i] = minio.CompletePart{PartNumber: sent.PartNumber, ETag: sent.ETag}
			}
		})
	}
	wg.Wait()
	return parts, context.Cause(ctx)
}
