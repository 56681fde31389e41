// SPDX-License-Identifier: Apache-2.0

package lake

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/testbed/load"
)

// check opens the file and reads the pages of its first column in all row groups.
func check(content []byte) (err error) {
	defer recovered(&err)
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return err
	}
	var all int64
	for g, group := range f.RowGroups() {
		n, err := countPages(group.ColumnChunks()[0])
		if err != nil {
			return fmt.Errorf("row group %d: %w", g, err)
		}
		if n != group.NumRows() {
			return fmt.Errorf("row group %d has %d rows, and %d in its first column", g, group.NumRows(), n)
		}
		all += n
	}
	if all != f.NumRows() || all == 0 {
		return fmt.Errorf("the footer speaks of %d rows, and there are %d", f.NumRows(), all)
	}
	return nil
}

// recovered makes an error of a panic: parquet-go has some for damaged files.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("reading it panics: %v", r)
	}
}

func countPages(chunk parquet.ColumnChunk) (n int64, err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		p, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		values, err := io.Copy(io.Discard, valueReader{p.Values(), make([]parquet.Value, 256)})
		parquet.Release(p)
		if err != nil {
			return n, err
		}
		n += values
	}
}

// valueReader counts values as bytes.
type valueReader struct {
	parquet.ValueReader
	buf []parquet.Value
}

func (r valueReader) Read(p []byte) (int, error) {
	return r.ReadValues(r.buf[:min(len(p), len(r.buf))])
}

// file is one that is read as a whole.
type file struct {
	pq      *parquet.File
	kind    string
	failed  bool
	log     []parquetfile.LogRange
	columns []column // by the column's index
}

// column says what to do with a column's values.
type column struct {
	name  string
	prop  *parquetfile.LayoutColumn // nil of the envelope's
	typ   string                    // of prop, without its parameters
	scale int                       // of typ
}

func open(content []byte) (*file, error) {
	pq, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	f := &file{pq: pq}
	meta := func(key string, into any) {
		text, ok := pq.Lookup(key)
		if !ok {
			err = errors.Join(err, fmt.Errorf("its footer has no %s", key))
		} else if e := json.Unmarshal([]byte(text), into); e != nil {
			err = errors.Join(err, fmt.Errorf("its footer's %s: %w", key, e))
		}
	}
	var layout parquetfile.Layout
	meta(parquetfile.KeyLayout, &layout)
	meta(parquetfile.KeyLog, &f.log)
	if err != nil {
		return nil, err
	}
	kind, _ := pq.Lookup(parquetfile.KeyKind)
	f.kind, f.failed = kind, kind == parquetfile.KindFailedEvents
	if !f.failed && kind != parquetfile.KindEvents && kind != parquetfile.KindResults {
		return nil, fmt.Errorf("its footer speaks of %s %q", parquetfile.KeyKind, kind)
	}
	typed := map[string]*parquetfile.LayoutColumn{}
	for i := range layout.Columns {
		typed[layout.Columns[i].Name] = &layout.Columns[i]
	}
	for _, path := range pq.Schema().Columns() {
		c := column{name: path[0], prop: typed[path[0]]}
		if c.prop != nil {
			var parameters string
			c.typ, parameters, _ = strings.Cut(strings.TrimSuffix(c.prop.Type, ")"), "(")
			scale, second, _ := strings.Cut(parameters, ",")
			if c.typ == "Decimal" {
				scale = second
			}
			c.scale, _ = strconv.Atoi(strings.TrimSpace(scale)) // most have none
			delete(typed, path[0])
		}
		f.columns = append(f.columns, c)
	}
	for name := range typed {
		return nil, fmt.Errorf("its footer's layout names column %q, which is not there", name)
	}
	return f, nil
}

// row is what load.Compare asks for, and what tells the folder.
type row struct {
	load.Row
	received int64
}

// rows calls f for every row.
func (f *file) rows(each func(*row) error) (err error) {
	defer recovered(&err)
	buf := make([]parquet.Row, 128)
	for _, group := range f.pq.RowGroups() {
		if err := f.group(group, buf, each); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) group(group parquet.RowGroup, buf []parquet.Row, each func(*row) error) (err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	left := group.NumRows()
	for {
		n, err := rows.ReadRows(buf)
		for i := range n {
			r, err := f.row(buf[i])
			if err != nil {
				return err
			}
			if err := each(r); err != nil {
				return err
			}
		}
		left -= int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if left != 0 {
		return fmt.Errorf("%d rows less than the footer says", left)
	}
	return nil
}

func (f *file) row(values parquet.Row) (*row, error) {
	r := &row{Row: load.Row{Failed: f.failed}}
	props := map[string]any{}
	for len(values) > 0 {
		at := values[0].Column()
		n := 1
		for n < len(values) && values[n].Column() == at {
			n++
		}
		c := &f.columns[at]
		var err error
		if c.prop != nil {
			err = c.put(props, values[:n])
		} else {
			err = r.put(c.name, values[0], props)
		}
		if err != nil {
			return nil, fmt.Errorf("event %q, column %s: %w", r.ID, c.name, err)
		}
		values = values[n:]
	}
	for key := range props { // what Segment's API has around the properties, and what sessionization keeps of a session's name
		if strings.HasPrefix(key, "segment.") || key == "session.original_id" {
			delete(props, key)
		}
	}
	var err error
	r.Hashed = true
	if r.Hash, err = load.HashProperties(props); err != nil {
		return nil, fmt.Errorf("event %q: %w", r.ID, err)
	}
	return r, nil
}

// put takes a column of the envelope.
func (r *row) put(name string, v parquet.Value, props map[string]any) error {
	if v.IsNull() {
		return nil
	}
	switch name {
	case "event_id":
		r.ID = string(v.ByteArray())
	case "event_name":
		r.Name = string(v.ByteArray())
	case "event_time":
		r.Time = v.Int64()
	case "received_time":
		r.received = v.Int64()
	case "user_id":
		r.User = string(v.ByteArray())
	case "anonymous_id":
		r.Anon = string(v.ByteArray())
	case "tenant_id":
		r.Tenant = string(v.ByteArray())
	case "properties":
		return decode(v.ByteArray(), &props)
	case "raw":
		var raw struct{ Properties map[string]any }
		err := decode(v.ByteArray(), &raw)
		for k, v := range raw.Properties {
			props[k] = v
		}
		return err
	}
	return nil
}

func decode(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec.Decode(into)
}

// put puts a typed column's values where the event had them.
func (c *column) put(props map[string]any, values []parquet.Value) error {
	if values[0].DefinitionLevel() == 0 {
		return nil // NULL, or a list without elements
	}
	path := c.prop.Path
	if c.prop.Each > 0 {
		at, err := member(props, path[:c.prop.Each-1])
		if err != nil {
			return err
		}
		list, _ := at[path[c.prop.Each-1]].([]any)
		for i, v := range values {
			if i == len(list) {
				list = append(list, map[string]any{})
			}
			if v.IsNull() {
				continue
			}
			if err := c.set(list[i].(map[string]any), path[c.prop.Each:], v); err != nil {
				return err
			}
		}
		at[path[c.prop.Each-1]] = list
		return nil
	}
	if !c.prop.Array {
		return c.set(props, path, values[0])
	}
	var list []any
	for _, v := range values {
		element, err := c.value(v)
		if err != nil {
			return err
		}
		list = append(list, element)
	}
	at, err := member(props, path[:len(path)-1])
	if err != nil {
		return err
	}
	at[path[len(path)-1]] = list
	return nil
}

func (c *column) set(in map[string]any, path []string, v parquet.Value) error {
	at, err := member(in, path[:len(path)-1])
	if err != nil {
		return err
	}
	at[path[len(path)-1]], err = c.value(v)
	return err
}

// member returns the object at the path, made if it is not there.
func member(in map[string]any, path []string) (map[string]any, error) {
	for _, key := range path {
		if in[key] == nil {
			in[key] = map[string]any{}
		}
		next, ok := in[key].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%q is a value and an object", key)
		}
		in = next
	}
	return in, nil
}

// value returns what JSON had for it.
func (c *column) value(v parquet.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	switch c.typ {
	case "String":
		return string(v.ByteArray()), nil
	case "Bool":
		return v.Boolean(), nil
	case "Int8", "Int16", "Int32":
		return int64(v.Int32()), nil
	case "UInt8", "UInt16", "UInt32":
		return int64(v.Uint32()), nil
	case "Int64":
		return v.Int64(), nil
	case "UInt64":
		return json.Number(strconv.FormatUint(v.Uint64(), 10)), nil
	case "Float32":
		return float64(v.Float()), nil
	case "Float64":
		return v.Double(), nil
	case "Date32":
		return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly), nil
	case "DateTime64":
		unit := int64(time.Nanosecond)
		if c.scale <= 6 {
			unit = int64(time.Microsecond)
		}
		if c.scale <= 3 {
			unit = int64(time.Millisecond)
		}
		return time.Unix(0, v.Int64()*unit).UTC().Format(time.RFC3339Nano), nil
	case "UUID":
		h := hex.EncodeToString(v.ByteArray())
		if len(h) != 32 {
			return nil, fmt.Errorf("a UUID of %d bytes", len(h)/2)
		}
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
	case "Decimal":
		return json.Number(c.decimal(v)), nil
	}
	return nil, fmt.Errorf("its type %s is not known here", c.prop.Type)
}

func (c *column) decimal(v parquet.Value) string {
	n := new(big.Int)
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default:
		b := v.ByteArray()
		if n.SetBytes(b); b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(c.scale)), nil)).FloatString(c.scale)
}
