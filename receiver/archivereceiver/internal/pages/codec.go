// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// zstdDecoder never decodes more than there is room for in what it is given. Any goroutine.
var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxPageBytes), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // of its options, which are constant
	}
	return d
})

// decompress fills dst, which is as long as the page says that it is, from src.
func decompress(codec format.CompressionCodec, dst, src []byte) error {
	switch codec {
	case format.Snappy:
		n, err := snappy.DecodedLen(src)
		if err != nil || n != len(dst) {
			return corrupt("a page is not as long as it says")
		}
		out, err := snappy.Decode(dst, src)
		return filled(dst, out, err)
	case format.Zstd:
		out, err := zstdDecoder().DecodeAll(src, dst[:0:len(dst)])
		return filled(dst, out, err)
	case format.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return corrupt("decompressing a page: %v", err)
		}
		if _, err := io.ReadFull(r, dst); err != nil {
			return corrupt("decompressing a page: %v", err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // a reader's own
			return corrupt("a page is not as long as it says")
		}
		return nil
	}
	return unsupported("it is compressed with %s: write it with zstd, gzip, snappy or without compression", codec)
}

func filled(dst, out []byte, err error) error {
	if err != nil {
		return fmt.Errorf("%w: decompressing a page: %w", ErrCorrupt, err)
	}
	if len(out) != len(dst) || len(dst) > 0 && &out[0] != &dst[0] {
		return corrupt("a page is not as long as it says")
	}
	return nil
}
