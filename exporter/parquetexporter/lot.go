// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"cmp"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/parquetfile"
)

// lot is what is staged for one file: pieces, and parts that were made of pieces. It is open until a plan closes it. Then
// nothing is added any more, and the file is a function of it. Guarded by exporter.mu, but the worker may read a closed one.
type lot struct {
	id     uint64
	key    lotKey
	opened int64 // Unix nanoseconds
	pieces []piece
	parts  []part
	rows   int64  // of the pieces
	raw    int64  // bytes of the pieces, before compression
	file   string // key in the store; "" while the lot is open
	made   making // how the file is made; set with file
	// sealAt is when a row group is tried again that could not be made. The worker's.
	sealAt time.Time
}

// making is what a file's bytes depend on beside its rows. It is part of the plan: a file that is made again after a restart
// with another configuration is the same, byte for byte.
type making struct {
	Author           string   `json:"author"`
	CreatedBy        string   `json:"created_by"`
	RowGroupRows     int      `json:"row_group_rows"`
	RowGroupBytes    int64    `json:"row_group_bytes"`
	PageBytes        int      `json:"page_bytes"`
	CompressionLevel int      `json:"compression_level"`
	Bloom            []string `json:"bloom,omitempty"`
	FalsePositives   float64  `json:"false_positives"`
}

// making returns how a file is made by the configuration.
func (x *parquetExporter) making() making {
	f := &x.cfg.File
	return making{x.author, x.createdBy, f.RowGroupRows, f.RowGroupBytes, f.PageBytes, f.CompressionLevel, f.BloomFilter.Columns, f.BloomFilter.FalsePositives}
}

func (m *making) options(l *fileLayout) parquetfile.Options {
	return parquetfile.Options{
		CompressionLevel: m.CompressionLevel, PageBytes: m.PageBytes, BloomFPP: m.FalsePositives,
		Sorted: l.sorted, CreatedBy: m.CreatedBy, OldReaders: l.Compatibility == spark,
	}
}

// columns of the file.
func (m *making) columns(l *fileLayout) []parquetfile.Column {
	out := slices.Clone(l.file)
	for i := range out {
		out[i].Bloom = slices.Contains(m.Bloom, out[i].Name)
	}
	return out
}

// group returns how many of the pieces make the next row group: as many as fit, and at least one.
func (m *making) group(pieces []piece) int {
	var rows, raw int64
	for i := range pieces {
		rows += pieces[i].Rows
		raw += int64(pieces[i].Raw)
		if i > 0 && (rows > int64(m.RowGroupRows) || raw > m.RowGroupBytes) {
			return i
		}
	}
	return len(pieces)
}

// lotKey says which events share a file.
type lotKey struct {
	layout string // name of the kept layout, which says kind and schema too
	folder string // below the store's root
}

// piece is some rows of one delivery that go into one file.
type piece struct {
	Sequence uint64 `json:"-"` // order of staging
	place
	Raw    uint32 `json:"raw"` // bytes before compression
	Rows   int64  `json:"rows"`
	Extent extent `json:"extent"`
	// Log says which records these are; nil where no event log stands before the exporter.
	Log *parquetfile.LogRange `json:"log,omitempty"`
}

// part is a Parquet file of one row group in the staging directory.
type part struct {
	File   string                 `json:"file"`
	Bytes  int64                  `json:"bytes"`
	Rows   int64                  `json:"rows"`
	Extent extent                 `json:"extent"`
	Log    []parquetfile.LogRange `json:"log,omitempty"`
}

// extent is the first and the last time of some rows, in Unix nanoseconds.
type extent struct {
	Event    [2]int64 `json:"event"`
	Received [2]int64 `json:"received"`
}

func newExtent() extent {
	none := [2]int64{math.MaxInt64, math.MinInt64}
	return extent{none, none}
}

func (x *extent) add(event, received int64) {
	x.Event[0], x.Event[1] = min(x.Event[0], event), max(x.Event[1], event)
	x.Received[0], x.Received[1] = min(x.Received[0], received), max(x.Received[1], received)
}

func (x *extent) join(o extent) {
	x.Event[0], x.Event[1] = min(x.Event[0], o.Event[0]), max(x.Event[1], o.Event[1])
	x.Received[0], x.Received[1] = min(x.Received[0], o.Received[0]), max(x.Received[1], o.Received[1])
}

// size is about how large the lot's file would be now.
func (l *lot) size() int64 {
	n := l.raw / 6 // as typed columns encode, about
	for i := range l.parts {
		n += l.parts[i].Bytes
	}
	return n
}

func (l *lot) add(p piece) {
	l.pieces = append(l.pieces, p)
	l.rows += p.Rows
	l.raw += int64(p.Raw)
}

// drop removes the first n pieces.
func (l *lot) drop(n int) {
	for i := range l.pieces[:n] {
		l.rows -= l.pieces[i].Rows
		l.raw -= int64(l.pieces[i].Raw)
	}
	l.pieces = l.pieces[n:]
}

// sum is what is in a lot, or a piece of it.
type sum struct {
	rows   int64
	extent extent
	log    []parquetfile.LogRange // in one order, whichever came first
}

func (s *sum) addPiece(p *piece) {
	s.rows += p.Rows
	s.extent.join(p.Extent)
	if p.Log != nil {
		s.addRange(*p.Log)
	}
}

// addRange joins ranges of one partition of one log, with what may lie between them: which of the log's records went into
// which file depends on the record.
func (s *sum) addRange(r parquetfile.LogRange) {
	for i := range s.log {
		have := &s.log[i]
		if have.Incarnation == r.Incarnation && have.Epoch == r.Epoch && have.Pipeline == r.Pipeline && have.Partition == r.Partition {
			have.First, have.Last, have.Rows = min(have.First, r.First), max(have.Last, r.Last), have.Rows+r.Rows
			return
		}
	}
	s.log = append(s.log, r)
}

func sumOf(pieces []piece, parts []part) sum {
	s := sum{extent: newExtent(), log: []parquetfile.LogRange{}}
	for i := range parts {
		s.rows += parts[i].Rows
		s.extent.join(parts[i].Extent)
		for _, r := range parts[i].Log {
			s.addRange(r)
		}
	}
	for i := range pieces {
		s.addPiece(&pieces[i])
	}
	slices.SortFunc(s.log, func(a, b parquetfile.LogRange) int {
		return cmp.Or(strings.Compare(a.Incarnation+a.Pipeline, b.Incarnation+b.Pipeline), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Partition, b.Partition))
	})
	return s
}

// partitionValues reads the values of a folder's key=value parts, as readers do.
func partitionValues(folder string) map[string]string {
	values := map[string]string{}
	for p := range strings.SplitSeq(path.Clean(folder), "/") {
		if k, v, ok := strings.Cut(p, "="); ok {
			values[k] = unescape(v)
		}
	}
	return values
}
