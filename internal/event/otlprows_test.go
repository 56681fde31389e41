// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// allReferences are of every kind, and such that random records often have them.
var allReferences = []string{
	"event.name", "time", "received", "tenant.id", "event.source", "log.record.uid", "user.id|enduser.pseudo.id", "session.id",
	"event.schema", "plan", "a", "a.b", "a.b.c", "b|a.c|plan", "c",
}

var randomKeys = []string{
	"event.name", "otel.event.name", "tenant.id", "event.source", "service.name", "cloudevents.event_source", "log.record.uid",
	"user.id", "enduser.pseudo.id", "session.id", "event.schema", "plan", "a", "a.b", "a.b.c", "b", "b.c", "c", "other", "x.y", "",
	strings.Repeat("k", 200),
}

// wire writes OTLP as no encoder does and every decoder must read: fields in any order, repeated, unknown, with numbers
// and lengths longer than need be.
type wire struct {
	*rand.Rand
	tidy bool // as encoders do
}

func (w wire) varint(b []byte, v uint64) []byte {
	b = binary.AppendUvarint(b, v)
	for !w.tidy && w.IntN(40) == 0 && v < 1<<40 { // zeros at its end
		b[len(b)-1] |= 0x80
		b = append(b, 0)
		v <<= 7
	}
	return b
}

func (w wire) number(field int, kind uint64, v uint64) []byte {
	b := w.varint(nil, uint64(field)<<3|kind)
	switch kind {
	case wireI64:
		return binary.LittleEndian.AppendUint64(b, v)
	case wireI32:
		return binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return w.varint(b, v)
}

func (w wire) bytes(field int, inside []byte) []byte {
	return append(w.varint(w.varint(nil, uint64(field)<<3|wireLen), uint64(len(inside))), inside...)
}

// message puts fields together, mostly in their order.
func (w wire) message(fields [][]byte) []byte {
	if !w.tidy {
		for w.IntN(8) == 0 {
			unknown := w.number(100+w.IntN(5000), []uint64{wireVarint, wireI64, wireI32}[w.IntN(3)], w.Uint64())
			if w.IntN(2) == 0 {
				unknown = w.bytes(100+w.IntN(5000), []byte("unknown"))
			}
			fields = append(fields, unknown)
		}
		if w.IntN(3) == 0 {
			w.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		}
	}
	return slices.Concat(fields...)
}

// times is how often a field stands that should stand once.
func (w wire) times() int {
	if w.tidy {
		return 1
	}
	return []int{1, 1, 1, 1, 0, 2}[w.IntN(6)]
}

func (w wire) value(depth int) []byte {
	var fields [][]byte
	for range w.times() {
		kinds := 9
		if depth > 3 {
			kinds = 7
		}
		var inside [][]byte
		switch w.IntN(kinds) {
		case 0: // null
		case 1:
			fields = append(fields, w.bytes(anyString, nil))
		case 2:
			fields = append(fields, w.bytes(anyString, []byte([]string{"x", "é\x00\"\\", "\xff", strings.Repeat("long", 40)}[w.IntN(4)])))
		case 3:
			fields = append(fields, w.number(anyInt, wireVarint, []uint64{0, 1, math.MaxUint64, math.MaxInt64, 1 << 63, 300}[w.IntN(6)]))
		case 4:
			f := []float64{0, math.Copysign(0, -1), 1.5, math.NaN(), math.Inf(-1), 1e300}[w.IntN(6)]
			fields = append(fields, w.number(anyDouble, wireI64, math.Float64bits(f)))
		case 5:
			fields = append(fields, w.number(anyBool, wireVarint, uint64(w.IntN(3))))
		case 6:
			fields = append(fields, w.bytes(anyBytes, make([]byte, w.IntN(3))))
		case 7:
			for range w.IntN(3) {
				inside = append(inside, w.bytes(1, w.value(depth+1)))
			}
			fields = append(fields, w.bytes(anyArray, w.message(inside)))
		case 8:
			fields = append(fields, w.bytes(anyMap, w.message(w.attributes(1, depth+1))))
		}
	}
	return w.message(fields)
}

func (w wire) attributes(field, depth int) [][]byte {
	var out [][]byte
	for range w.IntN(7) {
		var fields [][]byte
		for range w.times() {
			fields = append(fields, w.bytes(1, []byte(randomKeys[w.IntN(len(randomKeys))])))
		}
		for range w.times() {
			fields = append(fields, w.bytes(2, w.value(depth)))
		}
		out = append(out, w.bytes(field, w.message(fields)))
	}
	return out
}

func (w wire) record() []byte {
	var fields [][]byte
	for range w.times() {
		fields = append(fields, w.number(1, wireI64, []uint64{0, 1, 1e18, math.MaxUint64}[w.IntN(4)]))
	}
	fields = append(fields, w.number(2, wireVarint, 9), w.bytes(3, []byte("INFO")), w.bytes(5, w.value(0)))
	fields = append(fields, w.attributes(6, 0)...)
	fields = append(fields, w.number(7, wireVarint, 1), w.number(8, wireI32, 1), w.bytes(9, make([]byte, 16)), w.bytes(10, make([]byte, 8)))
	for range w.times() {
		fields = append(fields, w.number(11, wireI64, []uint64{0, 2, 1e18}[w.IntN(3)]))
	}
	for range w.times() {
		fields = append(fields, w.bytes(12, []byte([]string{"", "order", "view"}[w.IntN(3)])))
	}
	return w.message(fields)
}

func (w wire) logs() []byte {
	var all [][]byte
	var resource []byte
	for range w.IntN(4) {
		var fields [][]byte
		for range w.times() {
			if resource == nil || w.IntN(2) == 0 {
				resource = w.message(append(w.attributes(1, 0), w.number(2, wireVarint, 1)))
			}
			fields = append(fields, w.bytes(1, resource))
		}
		for range w.IntN(3) {
			scope := [][]byte{w.bytes(1, w.bytes(1, []byte("scope")))}
			for range w.IntN(4) {
				scope = append(scope, w.bytes(2, w.record()))
			}
			fields = append(fields, w.bytes(2, w.message(append(scope, w.bytes(3, []byte("url"))))))
		}
		all = append(all, w.bytes(1, w.message(append(fields, w.bytes(3, []byte("url"))))))
	}
	return w.message(all)
}

func randomBytes(seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	return wire{Rand: rng, tidy: seed%2 == 0}.logs()
}

func randomLogs(seed uint64) plog.Logs {
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(randomBytes(seed))
	if err != nil {
		panic(err)
	}
	return ld
}

// equalForms fails unless bytes and pdata read the same, and returns how many rows there are.
func equalForms(t *testing.T, overBytes, overLogs *RowReader, b []byte) int {
	t.Helper()
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(b)
	if err != nil {
		_, _ = rowsOf(overBytes, FromBytes([]Chunk{{OTLP: b, To: 3}})) // it may be an error or not: nobody asks for all
		return 0
	}
	n := ld.LogRecordCount()
	batch := FromBytes([]Chunk{{OTLP: b, To: n}})
	got, err := rowsOf(overBytes, batch)
	require.NoError(t, err)
	require.True(t, batch.IsRaw())
	require.Equal(t, n, batch.Len())
	want, err := rowsOf(overLogs, FromLogs(ld))
	require.NoError(t, err)
	require.Equal(t, want, got)
	decoded, err := rowsOf(overLogs, FromLogs(batch.Logs()))
	require.NoError(t, err)
	require.Equal(t, want, decoded)
	require.False(t, batch.IsRaw())
	_, err = rowsOf(overBytes, FromBytes([]Chunk{{OTLP: b, To: n + 1}}))
	require.ErrorIs(t, err, errRange)
	return n
}

func newReaders(t testing.TB) (overBytes, overLogs *RowReader) {
	t.Helper()
	fields, err := NewFields(allReferences...)
	require.NoError(t, err)
	return fields.Reader(), fields.Reader()
}

func TestBytesReadAsTheirDecodedForm(t *testing.T) {
	overBytes, overLogs := newReaders(t)
	rows := 0
	for seed := range uint64(3000) {
		rows += equalForms(t, overBytes, overLogs, randomBytes(seed))
	}
	assert.Greater(t, rows, 3000)
}

func TestBytesOfBothEncodersReadAsTheirLogs(t *testing.T) {
	overBytes, overLogs := newReaders(t)
	var encoder Encoder
	for seed := range uint64(500) {
		ld := randomLogs(seed)
		n := ld.LogRecordCount()
		want, err := rowsOf(overLogs, FromLogs(ld))
		require.NoError(t, err)
		got, err := rowsOf(overBytes, asBytes(t, ld))
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
		encoded, err := encoder.Encode(FromLogs(ld), 1, make([]int, n))
		require.NoError(t, err)
		got, err = rowsOf(overBytes, FromBytes([]Chunk{{OTLP: encoded[0], To: n}}))
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func TestARangeOfAChunkReadsAsItsSlice(t *testing.T) {
	overBytes, overLogs := newReaders(t)
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		want := FromLogs(plog.NewLogs())
		var chunks []Chunk
		for range rng.IntN(4) {
			b := randomBytes(rng.Uint64())
			ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(b)
			require.NoError(t, err)
			n := ld.LogRecordCount()
			from := rng.IntN(n + 1)
			to := from + rng.IntN(n-from+1)
			chunks = append(chunks, Chunk{b, from, to})
			one := FromLogs(ld)
			one.Slice(from, to)
			want.Append(one)
		}
		rows, err := rowsOf(overLogs, want)
		require.NoError(t, err)
		batch := FromBytes(chunks)
		require.Equal(t, want.Len(), batch.Len())
		got, err := rowsOf(overBytes, batch)
		require.NoError(t, err)
		require.Equal(t, rows, got, "seed %d", seed)
		got, err = rowsOf(overLogs, FromLogs(batch.Logs()))
		require.NoError(t, err)
		require.Equal(t, rows, got, "seed %d", seed)
	}
}

func TestAReaderStopsWhenItIsTold(t *testing.T) {
	_, reader := newReaders(t)
	ld := benchmarkBatch(10).Logs()
	for _, b := range []Batch{FromLogs(ld), asBytes(t, ld)} {
		n := 0
		require.NoError(t, reader.Each(b, func(i int, _ *Row) bool {
			assert.Equal(t, n, i)
			n++
			return n < 3
		}))
		assert.Equal(t, 3, n)
	}
}

func TestBytesThatAreNoLogsAreAnError(t *testing.T) {
	overBytes, _ := newReaders(t)
	whole := randomBytes(4)
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(whole)
	require.NoError(t, err)
	n := ld.LogRecordCount()
	require.Positive(t, n)
	for cut := range whole {
		batch := FromBytes([]Chunk{{OTLP: whole[:cut], To: n}})
		if _, err := rowsOf(overBytes, batch); err == nil {
			_, err = batch.Decode()
			require.NoError(t, err, "cut at %d", cut) // what is missing is no record and said by no length
		}
	}
	f := func(c Chunk) {
		t.Helper()
		batch := FromBytes([]Chunk{c})
		_, err := rowsOf(overBytes, batch)
		require.Error(t, err)
		_, err = batch.Decode()
		require.Error(t, err)
		assert.Zero(t, batch.Logs().LogRecordCount())
	}
	f(Chunk{OTLP: []byte("no protobuf"), To: 1})
	f(Chunk{OTLP: nil, To: 1})
	f(Chunk{OTLP: whole, To: n + 1})
	f(Chunk{OTLP: whole, From: -1, To: 1})
	f(Chunk{OTLP: whole, From: 2, To: 1})
}

func TestWhatABatchDoesItDoesOverBytesToo(t *testing.T) {
	ld := benchmarkBatch(6).Logs()
	names := func(b Batch) (out []string) {
		var r Reader
		r.Reset(b)
		for e := r.Next(); e != nil; e = r.Next() {
			out = append(out, e.ID)
		}
		return out
	}
	all := names(FromLogs(ld))
	require.Len(t, all, 6)

	b := asBytes(t, ld)
	b.DeleteAt([]int{0, 5})
	assert.Equal(t, all[1:5], names(b))
	assert.Equal(t, 4, b.Len())
	assert.False(t, b.IsRaw())
	fields, err := NewFields("log.record.uid")
	require.NoError(t, err)
	var rows []string
	require.NoError(t, fields.Reader().Each(b, func(_ int, row *Row) bool {
		rows = append(rows, strings.Clone(row.Values[0].Text))
		return true
	}))
	assert.Equal(t, all[1:5], rows, "a reader sees what was changed")

	b = asBytes(t, ld)
	b.Slice(2, 3)
	b.Append(asBytes(t, ld))
	assert.Equal(t, append(slices.Clone(all[2:3]), all...), names(b))
	parts := asBytes(t, ld).Split(2, []int{0, 1, 0, 1, -1, 0})
	assert.Equal(t, []string{all[0], all[2], all[5]}, names(parts[0]))
	var sorted Sorted
	sorted.Reset(asBytes(t, ld))
	e, _ := sorted.Next()
	assert.NotNil(t, e)
}

func FuzzBytesReadAsTheirDecodedForm(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(randomBytes(seed))
	}
	overBytes, overLogs := newReaders(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 1<<16 {
			equalForms(t, overBytes, overLogs, b)
		}
	})
}

// smallEvents are of some 150 bytes and 8 attributes, largeEvents of some 700 and 20.
func smallEvents(n int) plog.Logs { return benchmarkEvents(n, 8, 2) }
func largeEvents(n int) plog.Logs { return benchmarkEvents(n, 20, 18) }

func benchmarkEvents(n, attributes, size int) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("tenant.id", "acme")
	rl.Resource().Attributes().PutStr("service.name", "shop")
	lrs := rl.ScopeLogs().AppendEmpty().LogRecords()
	for i := range n {
		lr := lrs.AppendEmpty()
		lr.SetEventName("order_completed")
		lr.SetTimestamp(pcommon.Timestamp(1_700_000_000_000_000_000 + i))
		lr.SetObservedTimestamp(pcommon.Timestamp(1_700_000_001_000_000_000 + i))
		attrs := lr.Attributes()
		attrs.PutStr("uid", "0123456789"[i%10:])
		attrs.PutStr("user.id", "user-"+string(rune('a'+i%26)))
		attrs.PutInt("price", int64(i))
		for a := range attributes - 4 {
			attrs.PutStr("p"+strings.Repeat(string(rune('a'+a)), 1+size/3), strings.Repeat("v", size))
		}
		attrs.PutDouble("total", 1.5)
	}
	return ld
}

func benchmarkRows(b *testing.B, one Batch) {
	b.Helper()
	fields, err := NewFields("user.id|enduser.pseudo.id", "price", "total")
	require.NoError(b, err)
	r := fields.Reader()
	b.ReportAllocs()
	n, sum := 0, 0.0
	for b.Loop() {
		n = 0
		if err := r.Each(one, func(_ int, row *Row) bool {
			n++
			v, _ := row.Values[2].Number()
			sum += v
			return true
		}); err != nil {
			b.Fatal(err)
		}
	}
	if sum == 0 {
		b.Fatal("nothing was read")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
}

// asTheLog is the batch as the log's encoder writes it.
func asTheLog(b *testing.B, ld plog.Logs) Batch {
	b.Helper()
	var encoder Encoder
	encoded, err := encoder.Encode(FromLogs(ld), 1, make([]int, ld.LogRecordCount()))
	require.NoError(b, err)
	return FromBytes([]Chunk{{OTLP: encoded[0], To: ld.LogRecordCount()}})
}

func BenchmarkRows(b *testing.B) {
	for i, ld := range []plog.Logs{smallEvents(1000), largeEvents(1000)} {
		name := []string{"small", "large"}[i]
		raw := asTheLog(b, ld)
		b.Run(name+"/bytes", func(b *testing.B) {
			benchmarkRows(b, raw)
			b.ReportMetric(float64(len(raw.raw.chunks[0].OTLP))/1000, "B/event")
		})
		b.Run(name+"/pdata", func(b *testing.B) { benchmarkRows(b, FromLogs(ld)) })
	}
}
