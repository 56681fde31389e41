// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

func randomPlan(r *rand.Rand) *plan {
	table := func() tablePlan {
		t := tablePlan{mark: counter{table: r.Uint64()}, next: r.Uint64N(100)}
		for i := range r.IntN(4) {
			t.mark.blocks = append(t.mark.blocks, blockNumber{fmt.Sprint(i), r.Uint64()})
		}
		for range r.IntN(4) {
			p := piece{number: r.Uint64N(1000), repairs: r.Uint64N(3)}
			at := 0
			for range r.IntN(5) {
				from := at + r.IntN(300)
				at = from + 1 + r.IntN(300)
				p.rows = append(p.rows, span{from, at})
			}
			t.pieces = append(t.pieces, p)
		}
		return t
	}
	p := &plan{layout: "layout/" + fmt.Sprint(r.Uint32()), records: r.Uint64N(1e6), bound: r.Int64() - 1<<62, events: table(), failed: table()}
	at := 0
	for range r.IntN(50) {
		at += r.IntN(1000)
		p.rejected = append(p.rejected, rejection{at, fmt.Sprint("reason", r.IntN(3)), strings.Repeat("/p", r.IntN(4)), fmt.Sprint(r.IntN(2))})
	}
	return p
}

func TestAPlanReadsBackAsItWasWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		p := randomPlan(r)
		got, err := decodePlan(p.encode())
		require.NoError(t, err)
		require.Equal(t, p, got)
		refused, err := decodeRefusals(encodeRefusals(p.rejected))
		require.NoError(t, err)
		require.Equal(t, p.rejected, refused)
	}
}

func TestThePlanOfAnOrdinaryDeliveryIsSmall(t *testing.T) {
	p := &plan{
		layout: "layout/0123456789abcdef0123456789abcdef", records: 20_000, bound: someTime.UnixNano(),
		events: tablePlan{mark: counter{1 << 60, []blockNumber{{"", 1e6}}}, next: 1, pieces: []piece{{rows: spans{{0, 20_000}}}}},
		failed: tablePlan{mark: counter{1 << 60, []blockNumber{{"", 1e6}}}},
	}
	require.Less(t, len(p.encode()), 120)
}

// FuzzDecodePlan looks for bytes that a plan's reader takes and cannot write again, or that take all memory.
func FuzzDecodePlan(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		f.Add(randomPlan(r).encode())
		f.Add(encodeRefusals(randomPlan(r).rejected))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodePlan(b); err == nil {
			again, err := decodePlan(p.encode())
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
		if refused, err := decodeRefusals(b); err == nil {
			again, err := decodeRefusals(encodeRefusals(refused))
			require.NoError(t, err)
			require.Equal(t, refused, again)
		}
	})
}

func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		in := map[int]bool{}
		var positions []int
		for i := range 100 {
			if r.IntN(3) > 0 {
				in[i] = true
				positions = append(positions, i)
			}
		}
		s := spansOf(positions)
		for i := range 101 {
			require.Equal(t, in[i], s.has(i))
		}
	}
	assert.Equal(t, spans{{0, 3}, {5, 6}}, spansOf([]int{0, 1, 2, 5}))
}

func TestALayoutReadsBackAsItWasWritten(t *testing.T) {
	compile := func(subject, version, doc string) *schema.Schema {
		s, err := schema.Compile(subject, version, []byte(doc))
		require.NoError(t, err)
		return s
	}
	snap, err := schema.NewSnapshot(1, []*schema.Schema{
		compile("every", "1", everyType), compile("every", "2", `{"type":"object","properties":{"int":{"type":"integer"}}}`),
		compile("order", "1", ddlSchema[:len(ddlSchema)-1]+`}`),
	})
	require.NoError(t, err)
	l := newLayout(snap, map[string]bool{"low": true})
	l.propertiesType = "JSON(max_dynamic_paths=7)"
	name, value := l.encoding()
	got, err := decodeLayout(value)
	require.NoError(t, err)
	again, bytesAgain := got.encoding()
	require.Equal(t, name, again, "its name is a function of it")
	require.True(t, bytes.Equal(value, bytesAgain))
	require.Equal(t, l.Columns, got.Columns)
	other, _ := newLayout(snap, nil).encoding()
	require.NotEqual(t, name, other)

	for _, damaged := range []string{
		"", "{}", `{"properties_type":"String"}`, `{"properties_type":"JSON","columns":[{"name":"a","kind":"Int7"}]}`,
		`{"properties_type":"JSON","schemas":[{"subject":"a","properties":[{"path":["a"],"column":0}]}]}`,
		`{"properties_type":"JSON","columns":[{"name":"a","kind":"Int8"}],"schemas":[{"properties":[{"path":["a","b"],"each":1,"column":0}]}]}`,
	} {
		_, err := decodeLayout([]byte(damaged))
		require.Error(t, err, damaged)
	}
}

// FuzzDecodeLayout reads an event by whatever layout can be read.
func FuzzDecodeLayout(f *testing.F) {
	s, err := schema.Compile("every", "1", []byte(everyType))
	require.NoError(f, err)
	snap, err := schema.NewSnapshot(1, []*schema.Schema{s})
	require.NoError(f, err)
	_, value := newLayout(snap, nil).encoding()
	f.Add(value)
	f.Add([]byte(`{"properties_type":"JSON","columns":[{"name":"a.b","kind":"Int8","repeated":true}],"schemas":[{"subject":"every","version":"1","properties":[{"path":["products","sku"],"each":1,"column":0}]}]}`))
	b := event.NewBuilder("acme", "web", "test")
	addTyped(f, b, "1", `{"int": 1, "tags": ["a"], "products": [{"sku": "s", "size": {"width": 1}}, null], "address": {"city": "x", "lines": ["y"]}}`)
	batch := b.Batch()
	f.Fuzz(func(t *testing.T, value []byte) {
		l, err := decodeLayout(value)
		if err != nil {
			return
		}
		_, again := l.encoding()
		_, err = decodeLayout(again)
		require.NoError(t, err)
		rows := newEventRows(l)
		var r event.Reader
		r.Reset(batch)
		for e := r.Next(); e != nil; e = r.Next() {
			_ = rows.Add(e, r.ResourceIndex())
		}
		_ = rows.columns()
	})
}

func TestAColumnHoldsWhatANarrowerOneHad(t *testing.T) {
	f := func(typ schema.Type, repeated bool, definition string, want bool) {
		t.Helper()
		c := columns.Column{Type: typ, Repeated: repeated}
		assert.Equal(t, want, holds(&c, definition), "%s in %s", c.Definition(), definition)
	}
	kind := func(k schema.Kind) schema.Type { return schema.Type{Kind: k} }
	f(kind(schema.Int8), false, "Nullable(Int8)", true)
	f(kind(schema.Int8), false, "Nullable(Int64)", true)
	f(kind(schema.Int16), false, "Nullable(Int8)", false)
	f(kind(schema.UInt8), false, "Nullable(Int16)", true)
	f(kind(schema.UInt32), false, "Nullable(Int64)", true)
	f(kind(schema.UInt8), false, "Nullable(Int8)", false)
	f(kind(schema.UInt64), false, "Nullable(Int64)", false)
	f(kind(schema.Float32), false, "Nullable(Float64)", true)
	f(kind(schema.Float64), false, "Nullable(Float32)", false)
	f(kind(schema.Int64), false, "Nullable(Float64)", false)
	f(kind(schema.Int8), true, "Array(Nullable(Int16))", true)
	f(kind(schema.String), false, "LowCardinality(Nullable(String))", true)
	f(schema.Type{Kind: schema.Decimal, Precision: 9, Scale: 2}, false, "Nullable(Decimal(18, 2))", true)
	f(schema.Type{Kind: schema.Decimal, Precision: 9, Scale: 2}, false, "Nullable(Decimal(18, 3))", false)
}

func TestTheClassesOfTheServersErrors(t *testing.T) {
	f := func(code int, message string, want class) {
		t.Helper()
		assert.Equal(t, want, classify(exception(code, message)), code)
	}
	for _, code := range []int{159, 160, 164, 202, 209, 210, 216, 241, 242, 243, 252, 279, 319, 425, 497, 516, 999, 1002, 65535} {
		f(code, "anything", classRetry)
	}
	for _, code := range []int{60, 81, 16, 47, 53} {
		f(code, "anything", classTables)
	}
	for _, code := range []int{6, 27, 69 + 400, 321} {
		f(code, "anything", classRows)
		f(code, "something: while pushing to view analytics.v", classRetry)
	}
	assert.Equal(t, classRetry, classify(errCrash), "the network's")
}

func TestPartitionsAreNeverReckonedTooFew(t *testing.T) {
	f := func(key string, want int) {
		t.Helper()
		p := parsePartitioning(key)
		assert.Len(t, p.terms, want, key)
		assert.False(t, p.unknown, key)
	}
	f("", 0)
	f("tuple()", 0)
	f("toYYYYMM(event_time)", 1)
	f("(tenant_id, toDate(event_time))", 2)
	f("tenant_id, toStartOfHour(received_time)", 2)
	require.True(t, slices.Equal([]bool{true, true, true, true}, []bool{
		parsePartitioning("toYYYYMM(toDateTime(event_time))").unknown, parsePartitioning("cityHash64(event_id) % 8").unknown,
		parsePartitioning("toStartOfInterval(event_time, toIntervalDay(3))").unknown, parsePartitioning("toYYYYMM(birth_date)").unknown,
	}))
}
