// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// walker goes through the entries of a segment, reading no more than it must. Not for concurrent use.
type walker struct {
	file       io.ReaderAt
	name       string
	seed       seed
	partitions int
	off, end   int64 // where the next entry begins, and how far entries count

	buf  []byte
	at   int64 // where in the file buf begins
	hop  bool  // the last entry was larger than what was read for it: read little
	mend bool  // the end is not known to be whole: damage is where the log ends, and no CorruptError
}

const (
	readShort = 4 << 10
	readLong  = 64 << 10
)

// fetch returns n bytes of the file from off. They are the walker's, until the next fetch.
func (w *walker) fetch(off int64, n int) ([]byte, error) {
	if i := off - w.at; i >= 0 && i+int64(n) <= int64(len(w.buf)) {
		return w.buf[i : i+int64(n)], nil
	}
	ahead := readLong
	if w.hop {
		ahead = readShort
	}
	size := int(min(int64(max(n, ahead)), w.end-off))
	if size < n {
		return nil, errCutOff
	}
	if cap(w.buf) < size {
		w.buf = make([]byte, max(size, readLong))
	}
	w.buf, w.at = w.buf[:size], off
	if err := readFull(w.file, w.buf, off); err != nil {
		w.buf = w.buf[:0]
		return nil, err
	}
	return w.buf, nil
}

// readFull reads all of b; that the file ends before is errCutOff.
func readFull(f io.ReaderAt, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return errCutOff
	}
	return fmt.Errorf("reading: %w", err)
}

// next reads the head of the next entry and goes past it. Its directory is the walker's, until the next call of any
// method. It returns io.EOF at the end.
func (w *walker) next() (entryHead, error) {
	if w.off == w.end {
		return entryHead{}, io.EOF
	}
	h, err := w.head(w.off)
	if err != nil {
		return entryHead{}, w.wrap(w.off, err)
	}
	w.hop = h.off+h.length > w.at+int64(len(w.buf))
	w.off += h.length
	return h, nil
}

func (w *walker) head(off int64) (entryHead, error) {
	b, err := w.fetch(off, entryFixed)
	if err != nil {
		return entryHead{}, err
	}
	if need := headNeed(b); need > len(b) && le.Uint32(b) == entryMagic {
		if b, err = w.fetch(off, need); err != nil {
			return entryHead{}, err
		}
	}
	return decodeHead(w.seed, b, off, w.end, w.partitions)
}

// side returns the IDs and the source of an entry, checked. They are the walker's, until its next call.
func (w *walker) side(h *entryHead) (ids, source []byte, err error) {
	if h.sideSize() == 0 {
		return nil, nil, nil
	}
	off, sum, n := h.off+int64(h.headSize()), h.bodySum, IDBytes*h.ids
	b, err := w.fetch(off, h.sideSize())
	if err != nil {
		return nil, nil, w.wrap(h.off, err)
	}
	b = b[:h.sideSize()]
	if checksum(b) != sum {
		return nil, nil, w.wrap(h.off, errBodySum)
	}
	return b[:n:n], b[n:], nil
}

// body checks all of an entry, and leaves the head valid until the next call.
func (w *walker) body(h *entryHead) error {
	b, err := w.fetch(h.off, int(h.length))
	if err != nil {
		return w.wrap(h.off, err)
	}
	h.directory = b[entryFixed:h.headSize()] // it may have lain in the buffer that fetch used again
	if err := h.checkBody(b); err != nil {
		return w.wrap(h.off, err)
	}
	return nil
}

func (w *walker) wrap(off int64, err error) error {
	var d damage
	if w.mend || !errors.As(err, &d) {
		return err
	}
	return &CorruptError{File: w.name, Offset: off, Reason: string(d)}
}

// promised looks in [off, end) for an entry that was written when all before some byte after off was already synced. Such
// an entry proves that damage at off is damage to acknowledged data. It returns where the entry lies, or -1.
func promised(f file, s seed, off, end int64, partitions int) (int64, error) {
	var magic [4]byte
	le.PutUint32(magic[:], entryMagic)
	w := &walker{file: f, seed: s, partitions: partitions, end: end, mend: true, hop: true}
	buf := make([]byte, min(1<<20, end-off))
	for at := off; ; {
		if at = max(at, f.data(at)&^7); at > end-entryFixed { // data's answer may be the highest number there is
			break
		}
		b := buf[:min(int64(len(buf)), end-at)]
		if err := readFull(f, b, at); err != nil {
			return -1, err
		}
		for i := 0; ; i++ {
			j := bytes.Index(b[i:], magic[:])
			if j < 0 {
				break
			}
			i += j
			candidate := at + int64(i)
			if candidate%8 != 0 || candidate+entryFixed > end {
				continue
			}
			h, err := w.head(candidate)
			var d damage
			switch {
			case err == nil && h.group > off:
				return candidate, nil
			case err != nil && !errors.As(err, &d):
				return -1, err
			}
		}
		if int64(len(b)) == end-at {
			break
		}
		at += int64(len(b)) - 8 // a magic number may lie across two reads
	}
	return -1, nil
}
