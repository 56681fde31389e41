// SPDX-License-Identifier: Apache-2.0

// Package disksearch looks for texts in every byte of a directory, whoever wrote it and in what format.
//
// Files are read as they are. What S2, LZ4 and Snappy make of a text that stands there once is the text itself, since they write
// literals as they come, so that segments of the log, parts of ClickHouse and Pebble's tables need no reading by their formats. Zstandard
// encodes literals: its frames are looked for by their magic number, wherever they begin, and decoded. A test that
// relies on this searches for something that is there too, in each place.
package disksearch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Finds are where needles were found.
type Finds struct {
	Files, Bytes, Frames int64 // Bytes as read, and as decoded from Frames
	// In has the files in which a needle is, by needle.
	In map[string][]string
}

// Needles in files whose path below the directory begins so; "" for all.
func (f *Finds) Needles(prefix string) (n int) {
	for _, files := range f.In {
		for _, file := range files {
			if strings.HasPrefix(file, prefix) {
				n++
				break
			}
		}
	}
	return n
}

// minNeedle is the length of the shortest needle: shorter ones would be found by chance.
const minNeedle = 8

// maxFrame bounds what one frame is decoded to.
const maxFrame = 256 << 20

// Search reads every file below the directory. Files that vanish meanwhile are passed over.
func Search(dir string, needles []string) (*Finds, error) {
	s, err := newSearcher(needles)
	if err != nil {
		return nil, err
	}
	defer s.decoder.Close()
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil:
			return err
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading what is searched: %w", err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		s.finds.Files++
		s.file = name
		s.look([]byte(name), false) // a name is on the disk too
		s.look(content, true)
		return nil
	})
	return &s.finds, err
}

type searcher struct {
	finds   Finds
	byStart map[uint64][]string // needles by their first eight bytes
	maybe   [1 << 13]uint64     // bits of the hashes of those
	decoder *zstd.Decoder
	file    string
}

func newSearcher(needles []string) (*searcher, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
	if err != nil {
		return nil, fmt.Errorf("making a decoder: %w", err)
	}
	s := &searcher{finds: Finds{In: map[string][]string{}}, byStart: map[uint64][]string{}, decoder: decoder}
	for _, n := range needles {
		if len(n) < minNeedle {
			return nil, fmt.Errorf("the needle %q is shorter than %d bytes", n, minNeedle)
		}
		start := binary.LittleEndian.Uint64([]byte(n))
		s.byStart[start] = append(s.byStart[start], n)
		h := hash(start)
		s.maybe[h>>6] |= 1 << (h & 63)
	}
	return s, nil
}

func hash(start uint64) uint64 { return start * 0x9E3779B97F4A7C15 >> 45 }

var zstdMagic = []byte{0x28, 0xB5, 0x2F, 0xFD}

func (s *searcher) look(content []byte, frames bool) {
	s.finds.Bytes += int64(len(content))
	for i := 0; i+minNeedle <= len(content); i++ {
		start := binary.LittleEndian.Uint64(content[i:])
		if h := hash(start); s.maybe[h>>6]>>(h&63)&1 == 0 {
			continue
		}
		for _, n := range s.byStart[start] {
			if bytes.HasPrefix(content[i:], []byte(n)) {
				s.found(n)
			}
		}
	}
	for from := 0; frames; {
		at := bytes.Index(content[from:], zstdMagic)
		if at < 0 {
			return
		}
		from += at
		// What follows a frame is decoded as far as it is one; what comes before an error is there.
		if err := s.decoder.Reset(bytes.NewReader(content[from:])); err == nil {
			var out bytes.Buffer
			_, _ = out.ReadFrom(s.decoder) // it ends with an error where the frame does not fill the file
			if out.Len() > 0 {
				s.finds.Frames++
				s.look(out.Bytes(), false)
			}
		}
		from += len(zstdMagic)
	}
}

func (s *searcher) found(needle string) {
	files := s.finds.In[needle]
	if len(files) == 0 || files[len(files)-1] != s.file {
		s.finds.In[needle] = append(files, s.file)
	}
}
