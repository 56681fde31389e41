// SPDX-License-Identifier: Apache-2.0

package window

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyed"
)

// A stage before that may emit a result more than once has its results kept by result.id until their window closes, so that
// a later pane takes the place of an earlier one. A row is: pane index (4 bytes), the Point's time (8) and position (8), mask (8),
// length of the group key (2), group key, and the values that the functions read.
const rowHead = 30

var errRow = errors.New("a result of the stage before is not readable")

// keepRow keeps a pane in place of an earlier one of its result, or removes that if the condition does not hold any more.
func (w *work) keepRow(a *aggregation, s *aggState, t int64, holds bool, key []byte, mask uint64, values []event.Scalar, at aggregate.Point, result outcome) outcome {
	sl := s.current
	if sl == nil || t < sl.start || t >= sl.end {
		sl = w.slice(a, s, t)
	}
	if sl.rows == nil {
		sl.rows = w.e.space.Table(w.part.number, tableName(a.id, kindRows, sl.start))
	}
	said := values[len(w.plan.names):] // resultFields
	id := []byte(said[0].Text)
	if len(id) > maxKey {
		return filtered
	}
	index := uint32(min(max(said[1].Int(), 0), math.MaxUint32))
	hash := keyed.Hash(id)
	r, found := sl.rows.Find(hash, id)
	if found && binary.BigEndian.Uint32(sl.rows.Value(r)) > index {
		return pane
	}
	if !holds {
		if found {
			sl.rows.Delete(r)
		}
		return filtered
	}
	b := binary.BigEndian.AppendUint32(w.part.value[:0], index)
	b = binary.BigEndian.AppendUint64(b, uint64(at.Time))
	b = binary.BigEndian.AppendUint64(b, at.Position)
	b = binary.BigEndian.AppendUint64(b, mask)
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, key...)
	for _, c := range a.columns {
		b = appendScalar(b, &values[c])
	}
	w.part.value = b
	if !found {
		r = sl.rows.Insert(hash, id, len(b))
		copy(sl.rows.Edit(r), b)
		return result
	}
	copy(sl.rows.Resize(r, len(b)), b)
	return result
}

func appendScalar(b []byte, v *event.Scalar) []byte {
	b = append(b, byte(v.Kind))
	switch v.Kind {
	case event.KindBool, event.KindInt, event.KindDouble:
		b = binary.BigEndian.AppendUint64(b, v.Bits)
	case event.KindString:
		b = binary.AppendUvarint(b, uint64(len(v.Text)))
		b = append(b, v.Text...)
	}
	return b
}

func readScalar(b []byte) (event.Scalar, []byte, error) {
	if len(b) == 0 {
		return event.Scalar{}, nil, errRow
	}
	v := event.Scalar{Kind: event.Kind(b[0])}
	b = b[1:]
	switch v.Kind {
	case event.KindBool, event.KindInt, event.KindDouble:
		if len(b) < 8 {
			return v, nil, errRow
		}
		v.Bits = binary.BigEndian.Uint64(b)
		b = b[8:]
	case event.KindString:
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return v, nil, errRow
		}
		v.Text = strings.Clone(string(b[k : k+int(n)]))
		b = b[k+int(n):]
	}
	return v, b, nil
}

// addRows aggregates the rows of a table into `to`, by group, in the order of their IDs: they came in one that depends on when the stage before
// had checkpoints.
func (c *closing) addRows(a *aggregation, rows *keyed.Table, partition uint32, to *keyed.Table) error {
	type entry struct {
		id  string
		ref keyed.Ref
	}
	var order []entry
	rows.All(func(r keyed.Ref) bool {
		order = append(order, entry{string(rows.Key(r)), r})
		return true
	})
	slices.SortFunc(order, func(x, y entry) int { return strings.Compare(x.id, y.id) })
	width := 0
	for _, column := range a.columns {
		width = max(width, column+1)
	}
	values := make([]event.Scalar, width)
	for _, e := range order {
		v := rows.Value(e.ref)
		if len(v) < rowHead {
			return errRow
		}
		at := aggregate.Point{Time: int64(binary.BigEndian.Uint64(v[4:])), Partition: partition, Position: binary.BigEndian.Uint64(v[12:])}
		mask := binary.BigEndian.Uint64(v[20:])
		n := int(binary.BigEndian.Uint16(v[28:]))
		if len(v) < rowHead+n {
			return errRow
		}
		key := v[rowHead : rowHead+n]
		v = v[rowHead+n:]
		for _, column := range a.columns {
			var err error
			if values[column], v, err = readScalar(v); err != nil {
				return err
			}
		}
		hash := keyed.Hash(key)
		r, found := to.Find(hash, key)
		if !found {
			r = to.Insert(hash, key, len(a.empty))
			copy(to.Edit(r), a.empty)
		}
		acc := to.Edit(r)
		if out := a.set.Add(acc, values, mask, at); len(out) != len(acc) {
			copy(to.Resize(r, len(out)), out)
		}
	}
	return nil
}
