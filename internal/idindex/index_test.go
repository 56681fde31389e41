// SPDX-License-Identifier: Apache-2.0

package idindex

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var hasher = NewHasher([16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})

// id is the fingerprint of the n-th ID of the tests.
func id(n uint64) Fingerprint {
	return hasher.Sum(binary.LittleEndian.AppendUint64(nil, n))
}

// fast makes fingerprints as even as SipHash does, for tests of many millions.
func fast(r *rand.Rand, ids []byte) []byte {
	for i := 0; i < len(ids); i += 8 {
		binary.LittleEndian.PutUint64(ids[i:], r.Uint64())
	}
	return ids
}

type batch struct {
	first    uint64
	appended int64
	ids      []Fingerprint
}

func (b batch) bytes() []byte {
	var out []byte
	for _, fp := range b.ids {
		out = append(out, fp[:]...)
	}
	return out
}

// model is the contract of Index in the fewest words.
type model struct {
	o       Options
	entries map[Fingerprint]struct { // of the latest ordinal
		ordinal  uint64
		appended int64
	}
	next uint64
	last int64
}

func newModel(o Options, history []batch) *model {
	m := &model{o: o, entries: map[Fingerprint]struct {
		ordinal  uint64
		appended int64
	}{}}
	for _, b := range history {
		for i, fp := range b.ids {
			if e, ok := m.entries[fp]; !ok || e.ordinal < b.first+uint64(i) {
				e.ordinal, e.appended = b.first+uint64(i), b.appended
				m.entries[fp] = e
			}
		}
		m.next = max(m.next, b.first+uint64(len(b.ids)))
		m.last = max(m.last, b.appended)
	}
	return m
}

func (m *model) contains(fp Fingerprint, now int64) bool {
	e, ok := m.entries[fp]
	if !ok {
		return false
	}
	if m.o.MaxCount > 0 && e.ordinal+m.o.MaxCount < m.next {
		return false
	}
	down := func(t int64) int64 { return int64(math.Floor(float64(t) / float64(m.o.Step()))) }
	return m.o.MaxAge == 0 || down(e.appended) >= down(max(now, m.last)-int64(m.o.MaxAge))
}

// randomHistory has batches in the order of their ordinals, with IDs of few enough numbers that many repeat.
func randomHistory(r *rand.Rand) (o Options, history []batch) {
	if r.IntN(4) > 0 {
		o.MaxCount = 1 + r.Uint64N(5_000)
	}
	if r.IntN(4) > 0 {
		o.MaxAge = time.Duration(1 + r.Int64N(100_000))
	}
	next, now := r.Uint64N(3), r.Int64N(1_000)
	if r.IntN(4) == 0 {
		next = math.MaxUint32 - r.Uint64N(5_000) // across what 32 bits hold
	}
	universe := 1 + r.Uint64N(20_000)
	for range 20 + r.IntN(300) {
		b := batch{first: next, appended: now}
		for range 1 + r.IntN(100) {
			b.ids = append(b.ids, id(r.Uint64N(universe)))
		}
		next += uint64(len(b.ids))
		if r.IntN(50) == 0 {
			next += r.Uint64N(1 << 33) // appends that failed take ordinals with them
		}
		if r.IntN(3) > 0 {
			now += r.Int64N(2_000)
		}
		history = append(history, b)
	}
	return o, history
}

func TestAnswersAreThoseOfTheModelInWhateverOrderBatchesArrive(t *testing.T) {
	f := func(t *testing.T, seed uint64) {
		t.Helper()
		r := rand.New(rand.NewPCG(seed, 0))
		o, history := randomHistory(r)
		arrived := append([]batch(nil), history...)
		for range len(arrived) / 2 { // neighbours, and neighbours of neighbours
			i := r.IntN(len(arrived) - 1)
			arrived[i], arrived[i+1] = arrived[i+1], arrived[i]
		}
		x := New(o)
		if r.IntN(2) == 0 {
			x.Reserve(r.Uint64N(10_000))
		}
		for i := range x.shards { // slots soon begin anew
			x.shards[i].ring.first = chunkNumbers - uint32(r.IntN(3))
		}
		check := func(m *model) {
			t.Helper()
			now := m.last + r.Int64N(max(2, int64(o.MaxAge)*2)) - int64(o.MaxAge)/2
			all := make([]Fingerprint, 0, 2_000)
			for n := range uint64(2_000) {
				all = append(all, id(n*10))
			}
			known := make([]bool, len(all))
			x.ContainsAll(all, now, known)
			for i, fp := range all {
				require.Equal(t, m.contains(fp, now), known[i], "seed %d: ID %d at %d of %+v", seed, i*10, now, o)
				require.Equal(t, known[i], x.Contains(fp, now))
			}
			for fp, e := range m.entries {
				require.Equal(t, m.contains(fp, now), e.ordinal >= x.Floor(now), "seed %d: floor", seed)
			}
		}
		for i, b := range arrived {
			x.Insert(b.first, b.appended, b.bytes())
			if r.IntN(50) == 0 {
				check(newModel(o, arrived[:i+1]))
			}
		}
		m := newModel(o, history)
		check(m)
		x.checkTables(t)
	}
	for seed := range uint64(60) {
		f(t, seed)
	}
}

// checkTables says whether what a table counts is what it holds.
func (x *Index) checkTables(t *testing.T) {
	t.Helper()
	for i := range x.shards {
		s := &x.shards[i]
		live, through := 0, make([]uint32, len(s.table))
		for b := range s.table {
			for p, at := range s.table[b].slots {
				if at == 0 {
					require.Zero(t, s.table[b].tags[p])
					continue
				}
				live++
				c, j := s.ring.at(at)
				require.Equal(t, tag(&c.fps[j]), s.table[b].tags[p])
				for h := s.home(&c.fps[j]); int(h) != b; h = s.after(h) {
					through[h]++
				}
			}
		}
		require.Equal(t, s.live, live)
		for b := range s.table {
			require.Equal(t, through[b], s.table[b].through)
		}
	}
}

func TestAnIDIsKnownUntilItsHorizonAndANewerEntryRenewsIt(t *testing.T) {
	f := func(o Options, now int64, ordinal uint64, want bool) {
		t.Helper()
		x := New(o)
		one := id(1)
		x.Insert(0, 1_000, one[:])
		other := id(2)
		x.Insert(ordinal, now, other[:])
		assert.Equal(t, want, x.Contains(one, now))
		assert.True(t, x.Contains(other, now))
		x.Insert(ordinal+1, now, one[:])
		assert.True(t, x.Contains(one, now))
	}
	count := Options{MaxCount: 10}
	f(count, 1_000, 9, true)
	f(count, 1_000, 10, false)
	age := Options{MaxAge: 100}
	f(age, 1_100, 1<<40, true)
	f(age, 1_101, 1, false)
	both := Options{MaxCount: 10, MaxAge: 100}
	f(both, 1_100, 9, true)
	f(both, 1_101, 9, false)
	f(both, 1_100, 10, false)
	day := Options{MaxAge: 24 * time.Hour}
	f(day, 1_000+int64(24*time.Hour), 1, true)
	f(day, 1_000+int64(24*time.Hour+day.Step()), 1, false)
}

func TestAClockThatStepsBackForgetsNothing(t *testing.T) {
	x := New(Options{MaxAge: 100})
	one, two, three := id(1), id(2), id(3)
	x.Insert(0, 1_000, one[:])
	x.Insert(1, 500, two[:]) // counts as appended at 1,000
	assert.True(t, x.Contains(two, 1_100))
	x.Insert(2, 1_101, three[:])
	assert.False(t, x.Contains(two, 500), "time does not go back behind the last append")
}

func TestIDsFarApartInOrdinalsKeepThem(t *testing.T) {
	x := New(Options{MaxAge: time.Hour})
	var all []Fingerprint
	for n := range uint64(64) {
		fp := id(n)
		x.Insert(n<<33, 0, fp[:])
		all = append(all, fp)
	}
	for n, fp := range all {
		_, ordinal := x.shards[x.number(&fp)].find(&fp)
		assert.Equal(t, uint64(n)<<33, ordinal)
	}
}

func TestMemoryOfWhatExpiredIsGivenBack(t *testing.T) {
	x := New(Options{MaxCount: 1_000_000, MaxAge: time.Second})
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]byte, Size*500_000)
	x.Insert(0, 0, fast(r, ids))
	full := x.Bytes()
	require.Equal(t, 500_000, x.Len())
	next := uint64(500_000)
	for range 300 { // a trickle after a flood
		x.Insert(next, int64(time.Hour), fast(r, ids[:Size*1_000]))
		next += 1_000
	}
	assert.Less(t, x.Len(), 301_000)
	for i := range 300 {
		x.Insert(next, int64(time.Hour*time.Duration(i+2)), fast(r, ids[:Size*1_000]))
		next += 1_000
	}
	assert.Less(t, x.Len(), 10_000)
	assert.Less(t, x.Bytes(), full/4)
	x.checkTables(t)
}

func TestMarksOfTimeAreBounded(t *testing.T) {
	x := New(Options{MaxAge: time.Hour})
	r := rand.New(rand.NewPCG(1, 2))
	fp := id(1)
	now := int64(0)
	for n := range uint64(200_000) {
		x.Insert(n, now, fp[:])
		now += r.Int64N(int64(time.Second))
	}
	assert.LessOrEqual(t, cap(x.horizon.marks), 8*steps)
}

func TestAnIDTakesAtMost32BytesAtTenMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("fills 300 MB")
	}
	const count = 10_000_000
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	ids := make([]byte, Size*100_000)
	r := rand.New(rand.NewPCG(1, 2))
	before := heap()
	x := New(Options{MaxCount: count, MaxAge: 24 * time.Hour})
	next := uint64(0)
	fill := func(n int) {
		for ; n > 0; n -= 100_000 {
			x.Insert(next, int64(next), fast(r, ids))
			next += 100_000
		}
	}
	f := func(when string) {
		t.Helper()
		each := float64(heap()-before) / count
		t.Logf("%s: %.2f bytes per ID, of which Bytes knows %.2f", when, each, float64(x.Bytes())/count)
		assert.LessOrEqual(t, each, 32.0, when)
		assert.InDelta(t, each, float64(x.Bytes())/count, 1)
	}
	fill(count)
	f("full for the first time")
	fill(count / 2) // steady: one comes, one goes
	f("steady")
	assert.InDelta(t, count, x.Len(), 100_000)
	runtime.KeepAlive(ids)
}

func TestTheDocumentedSizeHoldsForAnyNumberOfIDs(t *testing.T) {
	x := New(Options{MaxCount: stripes * perShard})
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]byte, Size*1_000)
	for n := uint64(0); n < stripes*perShard; n += 1_000 {
		x.Insert(n, 0, fast(r, ids))
		if n >= 1_000_000 && n%50_000 == 0 {
			require.Less(t, float64(x.Bytes())/float64(n+1_000), 31.0)
		}
	}
}

func TestFingerprintsTellFieldsApart(t *testing.T) {
	f := func(a, b []string) {
		t.Helper()
		sum := func(fields []string) Fingerprint {
			var bytes [][]byte
			d := hasher.Digest()
			d.AddString("before")
			d.Reset()
			for i, s := range fields {
				bytes = append(bytes, []byte(s))
				if i%2 == 0 {
					d.AddString(s)
				} else {
					d.Add([]byte(s))
				}
			}
			require.Equal(t, hasher.Sum(bytes...), d.Sum())
			return d.Sum()
		}
		require.NotEqual(t, sum(a), sum(b))
	}
	f([]string{"ab", "c"}, []string{"a", "bc"})
	f([]string{"ab"}, []string{"ab", ""})
	f([]string{""}, nil)
	f([]string{"a", "b"}, []string{"b", "a"})
	long := string(make([]byte, 1_000))
	f([]string{long, "a"}, []string{long, "b"})
	require.NotEqual(t, hasher.Sum([]byte("a")), NewHasher([16]byte{}).Sum([]byte("a")))
}

func TestFingerprintsStayTheSameFromVersionToVersion(t *testing.T) {
	// They are in the log.
	want := Fingerprint{0x13, 0x93, 0x6e, 0x2a, 0x20, 0x2c, 0x5a, 0x7e, 0xcd, 0xb1, 0x02, 0x14, 0x0a, 0xe7, 0xcf, 0x6f}
	assert.Equal(t, want, hasher.Sum([]byte("acme"), []byte("0190b6a0-0000-7000-8000-000000000001")))
}

func TestFingerprintsAllocateNothing(t *testing.T) {
	tenant, uid := []byte("acme"), []byte("0190b6a0-0000-7000-8000-000000000001")
	d := hasher.Digest()
	sink := Fingerprint{}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		d.Reset()
		d.Add(tenant)
		d.Add(uid)
		sink = d.Sum()
	}))
	assert.Zero(t, testing.AllocsPerRun(100, func() { sink = hasher.Sum(tenant, uid) }))
	assert.Equal(t, sink, d.Sum())
}
