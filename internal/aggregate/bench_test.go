// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/millrace/millrace/internal/event"
)

func bench(b *testing.B, specs []Spec, warm int, rows [][]event.Scalar) {
	b.Helper()
	s, err := NewSet(specs, len(rows[0]), 1)
	if err != nil {
		b.Fatal(err)
	}
	acc := s.Init(nil)
	add := func(i int) {
		if out := s.Add(acc, rows[i&(len(rows)-1)], 0, Point{Time: int64(i), Position: uint64(i)}); len(out) != len(acc) {
			acc = append([]byte(nil), out...)
		}
	}
	for i := range warm {
		add(i)
	}
	b.ReportAllocs()
	i := warm
	for b.Loop() {
		add(i)
		i++
	}
	b.ReportMetric(float64(len(acc)), "bytes/group")
}

func numbers(n int, f func(r *rand.Rand) event.Scalar) [][]event.Scalar {
	r := rand.New(rand.NewPCG(1, 2))
	rows := make([][]event.Scalar, n)
	for i := range rows {
		rows[i] = []event.Scalar{f(r)}
	}
	return rows
}

func integers(r *rand.Rand) event.Scalar { return event.IntScalar(r.Int64N(1e6)) }
func doubles(r *rand.Rand) event.Scalar  { return event.DoubleScalar(r.ExpFloat64() * 100) }
func users(r *rand.Rand) event.Scalar {
	return event.StringScalar("user-" + strconv.Itoa(1e6+r.IntN(1e6)))
}

// pages are as visited as on many sites: the n-th half as often as the n/2-th.
func pages() func(r *rand.Rand) event.Scalar {
	var zipf *rand.Zipf
	return func(r *rand.Rand) event.Scalar {
		if zipf == nil {
			zipf = rand.NewZipf(r, 1.1, 1, 1e5)
		}
		return event.StringScalar("/page/" + strconv.FormatUint(zipf.Uint64(), 10))
	}
}

func BenchmarkAdd(b *testing.B) {
	const many = 1 << 16
	b.Run("count_sum_max", func(b *testing.B) {
		bench(b, []Spec{spec(Count, None), spec(Sum, 0), spec(Max, 0)}, 0, numbers(many, integers))
	})
	b.Run("count_sum_max_doubles", func(b *testing.B) {
		bench(b, []Spec{spec(Count, None), spec(Sum, 0), spec(Max, 0)}, 0, numbers(many, doubles))
	})
	b.Run("variance", func(b *testing.B) { bench(b, []Spec{spec(Variance, 0)}, 0, numbers(many, doubles)) })
	b.Run("last_text", func(b *testing.B) { bench(b, []Spec{spec(Last, 0)}, 100, numbers(many, users)) })
	b.Run("count_distinct_exact", func(b *testing.B) { bench(b, []Spec{spec(CountDistinct, 0)}, 64, numbers(64, users)) })
	b.Run("count_distinct_sparse", func(b *testing.B) { bench(b, []Spec{spec(CountDistinct, 0)}, 1024, numbers(1024, users)) })
	b.Run("count_distinct_dense", func(b *testing.B) { bench(b, []Spec{spec(CountDistinct, 0)}, many, numbers(many, users)) })
	b.Run("quantile", func(b *testing.B) { bench(b, []Spec{spec(Quantile, 0)}, many, numbers(many, doubles)) })
	b.Run("top_10", func(b *testing.B) { bench(b, []Spec{spec(TopK, 0)}, many, numbers(many, pages())) })
	b.Run("top_10_flat", func(b *testing.B) { bench(b, []Spec{spec(TopK, 0)}, many, numbers(many, users)) })
}

func BenchmarkMerge(b *testing.B) {
	merge := func(b *testing.B, specs []Spec, n int, rows [][]event.Scalar) {
		b.Helper()
		s, err := NewSet(specs, 1, 1)
		if err != nil {
			b.Fatal(err)
		}
		x, y := s.Init(nil), s.Init(nil)
		for i := range n {
			x = append([]byte(nil), s.Add(x, rows[i], 0, Point{Time: int64(i)})...)
			y = append([]byte(nil), s.Add(y, rows[len(rows)-1-i], 0, Point{Time: int64(i)})...)
		}
		acc := append([]byte(nil), s.Merge(x, y)...)
		b.ReportAllocs()
		for b.Loop() {
			s.Merge(acc, y)
		}
	}
	const many = 1 << 14
	b.Run("count_sum_max", func(b *testing.B) {
		merge(b, []Spec{spec(Count, None), spec(Sum, 0), spec(Max, 0)}, 1000, numbers(many, integers))
	})
	b.Run("count_distinct_exact", func(b *testing.B) { merge(b, []Spec{spec(CountDistinct, 0)}, 30, numbers(many, users)) })
	b.Run("count_distinct_sparse", func(b *testing.B) { merge(b, []Spec{spec(CountDistinct, 0)}, 1000, numbers(many, users)) })
	b.Run("count_distinct_dense", func(b *testing.B) { merge(b, []Spec{spec(CountDistinct, 0)}, many, numbers(many, users)) })
	b.Run("quantile", func(b *testing.B) { merge(b, []Spec{spec(Quantile, 0)}, 10000, numbers(many, doubles)) })
	b.Run("top_10", func(b *testing.B) { merge(b, []Spec{spec(TopK, 0)}, 10000, numbers(many, pages())) })
}

func BenchmarkResults(b *testing.B) {
	results := func(b *testing.B, sp Spec, n int, rows [][]event.Scalar) {
		b.Helper()
		s, err := NewSet([]Spec{sp}, 1, 1)
		if err != nil {
			b.Fatal(err)
		}
		acc := s.Init(nil)
		for i := range n {
			acc = append([]byte(nil), s.Add(acc, rows[i], 0, Point{Time: int64(i)})...)
		}
		var dst []Value
		for b.Loop() {
			dst = s.Results(acc, dst[:0])
		}
	}
	const many = 1 << 14
	b.Run("count_distinct_dense", func(b *testing.B) { results(b, spec(CountDistinct, 0), many, numbers(many, users)) })
	b.Run("quantile", func(b *testing.B) { results(b, spec(Quantile, 0), many, numbers(many, doubles)) })
	b.Run("top_10", func(b *testing.B) { results(b, spec(TopK, 0), many, numbers(many, pages())) })
}
