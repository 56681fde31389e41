// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// plan is what the exporter does with one delivery. It is bound to the delivery's identity, durably, before the first
// INSERT and whenever it changes before the next one, so that a replay sends the same rows under the same tokens,
// or leaves them out for the same reasons. Everything in it that a decision was taken by is pinned; what is not in it
// is a function of the records.
type plan struct {
	// layout names the kept layout that the events are mapped by.
	layout string
	// records is how many the delivery had.
	records uint64
	// bound is when the first INSERT was about to be sent, in Unix nanoseconds of our clock.
	bound int64
	// events and failed say what each of the two tables is still to get.
	events, failed tablePlan
	// rejected are the events that have no row in the events table, by position, ascending: those that the
	// exporter itself finds to be no row. What the server refused is in refusals of its own, see run.refuse.
	rejected []rejection
}

// tablePlan is what one table is still to get.
type tablePlan struct {
	// mark is how far the table's count of blocks was at the last checkpoint before the plan was bound.
	mark counter
	// next is the number of the next piece. 0 of failed says that it has not been cut into pieces yet.
	next uint64
	// pieces that are not known to be stored, each one INSERT, in their order.
	pieces []piece
}

// piece is the rows of one INSERT. Its token is a function of the delivery, the table and the number.
type piece struct {
	number uint64
	// rows are positions in the delivery: its events at these positions, less those that have no row.
	rows spans
	// repairs is how many times the rows were found missing under a token that the server took for known.
	repairs uint64

	fresh bool // known to have never been sent
}

// rejection is one event that goes to the failed ones.
type rejection struct {
	position int
	reason   string
	pointer  string
	message  string // of the server
}

// spans are ascending ranges [from, to) of positions that do not touch.
type spans []span

type span struct{ from, to int }

func (s spans) has(position int) bool {
	_, found := slices.BinarySearchFunc(s, position, func(one span, p int) int {
		switch {
		case one.to <= p:
			return -1
		case one.from > p:
			return 1
		}
		return 0
	})
	return found
}

// spansOf makes spans of ascending positions.
func spansOf(positions []int) spans {
	var s spans
	for _, p := range positions {
		if n := len(s); n > 0 && s[n-1].to == p {
			s[n-1].to++
			continue
		}
		s = append(s, span{p, p + 1})
	}
	return s
}

// counter is a table's count of inserted blocks, see facts.go.
type counter struct {
	// table is the table's identity: one that was dropped and made anew has another. 0 is an unknown count.
	table uint64
	// blocks are highest block numbers, by partition ID for a Replicated table, all under "" else; ascending by ID.
	blocks []blockNumber
}

type blockNumber struct {
	partition string
	number    uint64
}

const planVersion = 1

// maxPlan bounds what a plan's numbers may claim, so that a damaged one cannot take all memory.
const maxPlan = 1 << 28

var errPlan = errors.New("the plan is damaged, or of a newer version")

func (p *plan) encode() []byte {
	b := []byte{planVersion}
	b = appendText(b, p.layout)
	b = binary.AppendUvarint(b, p.records)
	b = binary.AppendVarint(b, p.bound)
	b = p.events.append(b)
	b = p.failed.append(b)
	return appendRejections(b, p.rejected)
}

func (t *tablePlan) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, t.mark.table)
	b = binary.AppendUvarint(b, uint64(len(t.mark.blocks)))
	for _, n := range t.mark.blocks {
		b = binary.AppendUvarint(appendText(b, n.partition), n.number)
	}
	b = binary.AppendUvarint(b, t.next)
	b = binary.AppendUvarint(b, uint64(len(t.pieces)))
	for i := range t.pieces {
		p := &t.pieces[i]
		b = binary.AppendUvarint(b, p.number)
		b = binary.AppendUvarint(b, p.repairs)
		b = binary.AppendUvarint(b, uint64(len(p.rows)))
		at := 0
		for _, s := range p.rows {
			b = binary.AppendUvarint(b, uint64(s.from-at))
			b = binary.AppendUvarint(b, uint64(s.to-s.from))
			at = s.to
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendRejections writes texts that come again by number: thousands of events mostly fail for a few reasons.
func appendRejections(b []byte, rejected []rejection) []byte {
	b = binary.AppendUvarint(b, uint64(len(rejected)))
	known := map[string]uint64{}
	text := func(s string) {
		n, ok := known[s]
		if !ok {
			n = uint64(len(known))
			known[s] = n
		}
		b = binary.AppendUvarint(b, n)
		if !ok {
			b = appendText(b, s)
		}
	}
	at := 0
	for i := range rejected {
		r := &rejected[i]
		b = binary.AppendUvarint(b, uint64(r.position-at))
		at = r.position
		text(r.reason)
		text(r.pointer)
		text(r.message)
	}
	return b
}

// planReader reads; after the first error everything is zero.
type planReader struct {
	b   []byte
	bad bool
}

func (r *planReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads how many items follow, each of at least one byte.
func (r *planReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *planReader) fixed() uint64 {
	if len(r.b) < 8 {
		r.bad, r.b = true, nil
		return 0
	}
	n := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return n
}

func (r *planReader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// step reads the distance to a position that comes later.
func (r *planReader) step(from int) int {
	n := r.uvarint()
	if n > maxPlan || uint64(from)+n > maxPlan {
		r.bad, r.b = true, nil
		return from
	}
	return from + int(n)
}

func decodePlan(b []byte) (*plan, error) {
	if len(b) == 0 || b[0] != planVersion {
		return nil, errPlan
	}
	r := &planReader{b: b[1:]}
	p := &plan{layout: r.text(), records: r.uvarint()}
	var size int
	if p.bound, size = binary.Varint(r.b); size <= 0 {
		return nil, errPlan
	}
	r.b = r.b[size:]
	r.table(&p.events)
	r.table(&p.failed)
	p.rejected = r.rejections()
	if r.bad || len(r.b) > 0 {
		return nil, errPlan
	}
	return p, nil
}

func (r *planReader) table(t *tablePlan) {
	t.mark.table = r.fixed()
	for range r.count() {
		t.mark.blocks = append(t.mark.blocks, blockNumber{r.text(), r.uvarint()})
	}
	t.next = r.uvarint()
	for range r.count() {
		p := piece{number: r.uvarint(), repairs: r.uvarint()}
		at := 0
		for range r.count() {
			var s span
			s.from = r.step(at)
			s.to = r.step(s.from)
			at = s.to
			p.rows = append(p.rows, s)
		}
		t.pieces = append(t.pieces, p)
	}
}

func (r *planReader) rejections() []rejection {
	var out []rejection
	var known []string
	text := func() string {
		n := r.uvarint()
		switch {
		case n < uint64(len(known)):
		case n == uint64(len(known)) && !r.bad:
			known = append(known, r.text())
		default:
			r.bad, r.b = true, nil
			return ""
		}
		return known[n]
	}
	at := 0
	for range r.count() {
		at = r.step(at)
		one := rejection{position: at, reason: text(), pointer: text()}
		one.message = text()
		out = append(out, one)
	}
	return out
}

// encodeRefusals writes rejections alone.
func encodeRefusals(rejected []rejection) []byte {
	return appendRejections([]byte{planVersion}, rejected)
}

func decodeRefusals(b []byte) ([]rejection, error) {
	if len(b) == 0 || b[0] != planVersion {
		return nil, errPlan
	}
	r := &planReader{b: b[1:]}
	out := r.rejections()
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("reading refused events: %w", errPlan)
	}
	return out, nil
}
