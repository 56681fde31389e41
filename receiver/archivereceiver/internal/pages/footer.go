// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Bounds of a footer. A list's elements take memory before they are read: up to a kilobyte each.
const (
	maxFooterBytes    = 32 << 20
	maxFooterElements = 400_000
	maxSchemaElements = 20_000
	maxThriftDepth    = 32
)

// readFooter reads the file's metadata.
func readFooter(r io.ReaderAt, size int64) (*format.FileMetaData, error) {
	var tail [8]byte
	if size < 12 {
		return nil, corrupt("it has %d bytes", size)
	}
	if err := readFull(r, tail[:4], 0); err != nil {
		return nil, err
	}
	head := string(tail[:4])
	if err := readFull(r, tail[:], size-8); err != nil {
		return nil, err
	}
	switch magic := string(tail[4:]); {
	case head == "PARE" && magic == "PARE":
		return nil, unsupported("it is encrypted")
	case head != "PAR1" || magic != "PAR1":
		return nil, corrupt("it lacks the mark of its format at the beginning or the end")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	switch {
	case n > size-12:
		return nil, corrupt("its footer is longer than the file")
	case n > maxFooterBytes:
		return nil, fmt.Errorf("%w: its footer has %d bytes", ErrTooLarge, n)
	}
	b := make([]byte, n)
	if err := readFull(r, b, size-8-n); err != nil {
		return nil, err
	}
	w := thriftWalker{b: b}
	if err := w.structure(0); err != nil {
		return nil, err
	}
	meta := new(format.FileMetaData)
	compact := thrift.CompactProtocol{}
	if err := thrift.NewDecoder(compact.NewReaderFromBytes(b)).Decode(meta); err != nil {
		return nil, corrupt("its footer: %v", err)
	}
	if meta.EncryptionAlgorithm.Value != nil {
		return nil, unsupported("it is encrypted")
	}
	return meta, nil
}

// readFull reads all of b. A read that ends early is of a file that is shorter than it was listed as.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return corrupt("it is cut off")
	}
	return fmt.Errorf("reading the file: %w", err)
}

// thriftWalker checks a message of thrift's compact protocol before it is decoded: that it is whole, not too deep, and that
// its lists are not longer than what is there.
type thriftWalker struct {
	b        []byte
	at       int
	elements int // of all lists
}

var errThrift = corrupt("a header or its footer cannot be read")

// Types of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

func (w *thriftWalker) byte() (byte, error) {
	if w.at >= len(w.b) {
		return 0, errThrift
	}
	w.at++
	return w.b[w.at-1], nil
}

func (w *thriftWalker) varint() (uint64, error) {
	n, used := binary.Uvarint(w.b[w.at:])
	if used <= 0 {
		return 0, errThrift
	}
	w.at += used
	return n, nil
}

func (w *thriftWalker) skip(n uint64) error {
	if n > uint64(len(w.b)-w.at) {
		return errThrift
	}
	w.at += int(n)
	return nil
}

func (w *thriftWalker) structure(depth int) error {
	if depth > maxThriftDepth {
		return errThrift
	}
	for {
		h, err := w.byte()
		if err != nil || h == 0 {
			return err
		}
		if h>>4 == 0 {
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if t := h & 15; t == thriftTrue || t == thriftFalse {
			continue // the type is the value
		}
		if err := w.value(h&15, depth); err != nil {
			return err
		}
	}
}

func (w *thriftWalker) value(t byte, depth int) error {
	switch {
	case t >= thriftTrue && t <= thriftByte:
		return w.skip(1)
	case t >= thriftI16 && t <= thriftI64:
		_, err := w.varint()
		return err
	case t == thriftDouble:
		return w.skip(8)
	case t == thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case t == thriftList || t == thriftSet:
		h, err := w.byte()
		if err != nil {
			return err
		}
		n := uint64(h >> 4)
		if n == 15 {
			if n, err = w.varint(); err != nil {
				return err
			}
		}
		return w.list(n, depth, h&15)
	case t == thriftMap:
		n, err := w.varint()
		if err != nil || n == 0 {
			return err
		}
		h, err := w.byte()
		if err != nil {
			return err
		}
		return w.list(n, depth, h>>4, h&15)
	case t == thriftStruct:
		return w.structure(depth + 1)
	}
	return errThrift
}

func (w *thriftWalker) list(n uint64, depth int, types ...byte) error {
	if n > uint64(len(w.b)-w.at) { // each element has a byte at least
		return errThrift
	}
	if w.elements += int(n); w.elements > maxFooterElements {
		return fmt.Errorf("%w: its footer has more than %d elements", ErrTooLarge, maxFooterElements)
	}
	if depth >= maxThriftDepth {
		return errThrift
	}
	for range n {
		for _, t := range types {
			if err := w.value(t, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
