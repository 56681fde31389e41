// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/schema"
)

// Kinds of files: FileConfig.Compatibility.
const (
	standard = "standard"
	// spark leaves out what Spark 3.x refuses: timestamps of nanoseconds, UUIDs, and, before 3.4, the delta encodings.
	spark = "spark"
)

// typeOf is the type that a column has in the file.
func (l *fileLayout) typeOf(t schema.Type) schema.Type {
	if l.Compatibility != spark {
		return t
	}
	switch {
	case t.Kind == schema.DateTime64 && t.Scale > 6:
		return schema.Type{Kind: schema.DateTime64, Scale: 6}
	case t.Kind == schema.UUID:
		return schema.Type{Kind: schema.String}
	}
	return t
}

// adapted is memory for one column's values as the file has them.
type adapted struct {
	bytes   []byte
	offsets []uint32
}

// adapt makes the vectors those of the file's types. What they were is not changed, but a time's digits below a microsecond
// are left out.
func (e *encoder) adapt(layout *fileLayout, vectors []parquetfile.Vector) {
	for i, f := range layout.fields {
		to := layout.file[i].Type
		if f.Type == to || vectors[i].Fixed == nil {
			continue
		}
		for len(e.memory) <= i {
			e.memory = append(e.memory, adapted{})
		}
		m := &e.memory[i]
		if f.Type.Kind == schema.UUID {
			m.uuids(vectors[i].Fixed)
			vectors[i].Fixed, vectors[i].Text, vectors[i].Offsets = nil, m.bytes, m.offsets
			continue
		}
		unit := int64(1)
		for range f.Type.Scale - to.Scale {
			unit *= 10
		}
		m.times(vectors[i].Fixed, unit)
		vectors[i].Fixed = m.bytes
	}
}

func (m *adapted) times(fixed []byte, unit int64) {
	m.bytes = m.bytes[:0]
	for ; len(fixed) >= 8; fixed = fixed[8:] {
		m.bytes = binary.LittleEndian.AppendUint64(m.bytes, uint64(floor(int64(binary.LittleEndian.Uint64(fixed)), unit)))
	}
}

// uuids writes the 8-4-4-4-12 form of UUIDs of two little-endian halves.
func (m *adapted) uuids(fixed []byte) {
	m.bytes, m.offsets = m.bytes[:0], append(m.offsets[:0], 0)
	for ; len(fixed) >= 16; fixed = fixed[16:] {
		var raw [16]byte
		binary.BigEndian.PutUint64(raw[:8], binary.LittleEndian.Uint64(fixed))
		binary.BigEndian.PutUint64(raw[8:], binary.LittleEndian.Uint64(fixed[8:]))
		from := 0
		for part, to := range [...]int{4, 6, 8, 10, 16} {
			if part > 0 {
				m.bytes = append(m.bytes, '-')
			}
			m.bytes = hex.AppendEncode(m.bytes, raw[from:to])
			from = to
		}
		m.offsets = append(m.offsets, uint32(len(m.bytes)))
	}
}
