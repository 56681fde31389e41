// SPDX-License-Identifier: Apache-2.0

package pages

import "io"

// window reads a column's bytes from front to back, some ahead.
type window struct {
	r       io.ReaderAt
	at, end int64 // of what follows buf
	buf     []byte
	from    int // of buf that was taken
}

// readAhead is how many bytes are read at once: a request to an object store costs as much as reading some of them.
const readAhead = 256 << 10

// peek returns the next n bytes, or fewer at the end. They are valid until the next call.
func (w *window) peek(n int) ([]byte, error) {
	if have := len(w.buf) - w.from; have < n && w.at < w.end {
		more := int(min(w.end-w.at, int64(max(n-have, readAhead))))
		rest := w.buf[w.from:]
		if cap(w.buf) < have+more {
			w.buf = append(make([]byte, 0, have+more), rest...)
		} else {
			w.buf = append(w.buf[:0], rest...)
		}
		w.from = 0
		w.buf = w.buf[:have+more]
		if err := readFull(w.r, w.buf[have:], w.at); err != nil {
			w.buf = w.buf[:have]
			return nil, err
		}
		w.at += int64(more)
	}
	b := w.buf[w.from:]
	return b[:min(n, len(b))], nil
}

// take returns the next n bytes and moves over them.
func (w *window) take(n int) ([]byte, error) {
	b, err := w.peek(n)
	if err != nil {
		return nil, err
	}
	if len(b) < n {
		return nil, errShortColumn
	}
	w.from += n
	return b, nil
}

var errShortColumn = corrupt("a page is longer than its column")

func (w *window) skip(n int) error {
	if have := len(w.buf) - w.from; n > have {
		w.from = len(w.buf)
		if w.at += int64(n - have); w.at > w.end {
			return errShortColumn
		}
		return nil
	}
	w.from += n
	return nil
}
