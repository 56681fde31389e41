// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// end is the log's acknowledged end, read from its files as internal/segmentlog/format.go lays them out.
type end struct {
	file  string
	at    int64 // in the file: where the acknowledged entries end
	first int64 // where the file's first entry begins
	last  int64 // where the last acknowledged entry begins; first == at if there is none
}

// readEnd reads the mark, and walks the entries up to it.
func readEnd(dir string) (end, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "mark"))
	if err != nil {
		return end{}, err
	}
	le := binary.LittleEndian
	const slot, stride = 512, 4096
	var best []byte
	for i := range 2 {
		if len(raw) < i*stride+slot {
			continue
		}
		b := append([]byte(nil), raw[i*stride:i*stride+slot]...)
		sum := le.Uint32(b[12:])
		le.PutUint32(b[12:], 0)
		if crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) == sum && (best == nil || le.Uint64(b[32:]) > le.Uint64(best[32:])) {
			best = b
		}
	}
	if best == nil {
		return end{}, errors.New("the log's mark cannot be read")
	}
	e := end{file: filepath.Join(dir, fmt.Sprintf("%016d.segment", le.Uint64(best[40:]))), at: int64(le.Uint64(best[48:]))}
	data, err := os.ReadFile(e.file)
	if err != nil {
		return end{}, err
	}
	e.first = int64(le.Uint32(data[12:]))
	e.last = e.first
	for off := e.first; off < e.at; {
		e.last = off
		n := int64(le.Uint32(data[off+8:]))
		if n < 64 {
			return end{}, fmt.Errorf("%s has no entry at %d", e.file, off)
		}
		off += n
	}
	return e, nil
}

// tear is one way to damage the end. It returns where the damage is.
type tear struct {
	name    string
	refused bool // the start is refused until the file is restored
	do      func(r *rand.Rand, data []byte, e end) []byte
}

// footer is left alone by flips: an entry is padded with up to 7 zeros.
const footer = 8

var tears = []tear{
	{"garbage behind the end", false, func(r *rand.Rand, data []byte, e end) []byte {
		for i := e.at; i < min(e.at+200, int64(len(data))); i++ {
			data[i] = byte(r.Uint32())
		}
		return data
	}},
	{"half an entry behind the end", false, func(_ *rand.Rand, data []byte, e end) []byte {
		copy(data[e.at:], data[e.last:e.last+(e.at-e.last)/2])
		return data
	}},
	{"last entry cut off", true, func(r *rand.Rand, data []byte, e end) []byte {
		return data[:e.at-1-r.Int64N(e.at-e.last)]
	}},
	{"last entry zeroed", true, func(r *rand.Rand, data []byte, e end) []byte {
		clear(data[e.last+r.Int64N(e.at-e.last-footer):])
		return data
	}},
	{"bit flipped in the last entry", true, func(r *rand.Rand, data []byte, e end) []byte {
		data[e.last+r.Int64N(e.at-e.last-footer)] ^= 1 << r.IntN(8)
		return data
	}},
	{"bit flipped in an earlier entry", true, func(r *rand.Rand, data []byte, e end) []byte {
		data[e.first+r.Int64N(e.last-e.first)] ^= 1 << r.IntN(8)
		return data
	}},
}

// tornTails kills the collector and damages the end of its log, before it is started again.
func (p *phase) tornTails(ctx context.Context, n int) (err error) {
	defer func() { err = p.close(ctx, err) }()
	r := p.o.random(p.report.Phase)
	// Large segments: what is damaged is to be in the last one.
	spec := Spec{Apart: true, Overlays: []string{`{connectors: {event_log: {segment_bytes: 8388608}}}`}}
	if err := p.open(ctx, spec, n*len(tears)); err != nil {
		return err
	}
	dir := filepath.Join(p.w.data, "log", "segments")
	for range n {
		for _, t := range tears {
			e, err := p.killWithEntries(ctx, dir)
			if err != nil {
				return err
			}
			p.say("%s", t.name)
			if err := p.tearOnce(ctx, r, t, e); err != nil {
				return fmt.Errorf("%s, at %d of %s: %w", t.name, e.at, e.file, err)
			}
			p.step(t.name)
		}
	}
	return nil
}

// killWithEntries kills the collector when its last segment has entries that are acknowledged.
func (p *phase) killWithEntries(ctx context.Context, dir string) (end, error) {
	for {
		p.say("waiting for events")
		acked := p.t.run.Stats().Acked
		if err := await(ctx, "events are acknowledged", func() bool { return p.t.run.Stats().Acked > acked+500 }); err != nil {
			return end{}, err
		}
		if err := p.w.Kill(); err != nil {
			return end{}, err
		}
		e, err := readEnd(dir)
		if err != nil || e.last > e.first {
			return e, err
		}
		if err := p.w.Start(ctx); err != nil {
			return end{}, err
		}
	}
}

func (p *phase) tearOnce(ctx context.Context, r *rand.Rand, t tear, e end) error {
	whole, err := os.ReadFile(e.file)
	if err != nil {
		return err
	}
	torn := t.do(r, append([]byte(nil), whole...), e)
	if err := os.WriteFile(e.file, torn, 0o600); err != nil {
		return err
	}
	if !t.refused {
		return p.w.Start(ctx)
	}
	if err := p.w.Launch(""); err != nil {
		return err
	}
	served, err := p.w.awaitServing(ctx)
	if err != nil {
		return err
	}
	if served {
		return errors.New("the collector started on a log that has lost what it acknowledged")
	}
	said := p.w.child.Tail(4)
	if !strings.Contains(said, filepath.Base(e.file)+" is damaged at byte ") {
		return fmt.Errorf("the refusal does not name file and offset: %w", p.w.child.Died())
	}
	now, err := os.ReadFile(e.file)
	if err != nil {
		return err
	}
	if string(now) != string(torn) {
		return errors.New("the start changed a file that it refused")
	}
	if err := os.WriteFile(e.file, whole, 0o600); err != nil {
		return err
	}
	began := time.Now()
	err = p.w.Start(ctx)
	p.o.Logf("%s: refused, and restored within %s", t.name, time.Since(began).Round(time.Millisecond))
	return err
}
