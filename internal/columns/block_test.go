// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/testbed/load"
)

func shop(tb testing.TB, n int) (*Layout, event.Batch) {
	tb.Helper()
	snap, err := load.Schemas("../../configs/schemas")
	require.NoError(tb, err)
	gen, err := load.NewGenerator(load.GeneratorConfig{Seed: 1, Events: int64(n)})
	require.NoError(tb, err)
	batch := event.FromLogs(gen.Next(n))
	var r event.Reader
	r.Reset(batch)
	for e := r.Next(); e != nil; e = r.Next() {
		if s := snap.Match(e.Name); s != nil {
			e.SetSchema(s.Subject, s.Version)
		}
	}
	return New(snap, "", nil), batch
}

// blocks puts the events into blocks of so many rows.
func blocks(tb testing.TB, l *Layout, batch event.Batch, sizes ...int) [][]byte {
	tb.Helper()
	rows := NewEvents(l, "JSON")
	var out [][]byte
	flush := func() {
		out = append(out, AppendBlock(nil, rows.Rows(), slices.Concat(rows.Envelope(), rows.Typed())))
		rows.Reset()
	}
	var r event.Reader
	r.Reset(batch)
	for e := r.Next(); e != nil; e = r.Next() {
		if err := rows.Add(e, r.ResourceIndex()); err != nil {
			continue // the generator makes some that are no rows
		}
		if len(sizes) > 0 && rows.Rows() == sizes[0] {
			sizes = sizes[1:]
			flush()
		}
	}
	if rows.Rows() > 0 {
		flush()
	}
	return out
}

// texts prints every value of a vector, so that equal ones print alike however they are laid out.
func texts(f Field, v parquetfile.Vector, rows int) []string {
	out := make([]string, 0, rows)
	value := func(i int) string {
		switch {
		case v.Nulls == nil && v.Fixed == nil && v.Offsets == nil, v.Nulls != nil && v.Nulls[i] == 1:
			return "NULL"
		case f.Type.Kind != schema.String:
			w := native.Width(f.Type)
			return hex.EncodeToString(v.Fixed[i*w : (i+1)*w])
		case v.Keys != nil:
			i = int(v.Keys[i])
		}
		return fmt.Sprintf("%q", v.Text[v.Offsets[i]:v.Offsets[i+1]])
	}
	last := 0
	for i := range rows {
		if !f.Repeated {
			out = append(out, value(i))
			continue
		}
		end := last
		if v.Ends != nil {
			end = int(v.Ends[i])
		}
		var list []string
		for ; last < end; last++ {
			list = append(list, value(last))
		}
		out = append(out, fmt.Sprint(list))
	}
	return out
}

func TestBlocksThatAreJoinedHaveTheRowsOfOne(t *testing.T) {
	l, batch := shop(t, 2000)
	fields := Fields(l)
	join := func(blocks [][]byte) (out [][]string, rows int) {
		var j Join
		for i := range 3 { // its memory is used again, for other columns too
			j.Reset([][]Field{FailedEnvelope, fields, fields}[i])
			if i == 0 {
				continue
			}
			for _, b := range blocks {
				require.NoError(t, j.Add(b))
			}
		}
		out = make([][]string, len(fields))
		for i, v := range j.Vectors() {
			out[i] = texts(fields[i], v, j.Rows())
		}
		return out, j.Rows()
	}
	want, rows := join(blocks(t, l, batch))
	require.Greater(t, rows, 1500)
	filled := 0
	for i := range fields {
		if slices.ContainsFunc(want[i], func(s string) bool { return s != "NULL" && s != "[]" }) {
			filled++
		}
	}
	require.Greater(t, filled, len(Envelope)+10)
	got, _ := join(blocks(t, l, batch, 1, 1, 700, 2, 300))
	require.Equal(t, want, got)
}

func FuzzJoin(f *testing.F) {
	l, batch := shop(f, 20)
	fields := Fields(l)
	for _, b := range blocks(f, l, batch, 1, 5) {
		f.Add(b)
	}
	var j Join
	f.Fuzz(func(t *testing.T, b []byte) {
		j.Reset(fields)
		if j.Add(b) != nil {
			return
		}
		if rows := j.Rows(); rows < 10_000 {
			for i, v := range j.Vectors() {
				require.Len(t, texts(fields[i], v, rows), rows)
			}
		}
	})
}
