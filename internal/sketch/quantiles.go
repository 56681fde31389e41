// SPDX-License-Identifier: Apache-2.0

package sketch

import (
	"fmt"
	"math"
)

// Quantiles counts numbers by their logarithm: a quantile is told with a relative error of at most the accuracy, as long as the values of one
// sign lie within so many buckets of each other: 2,048 (a factor of 10^17 at an accuracy of 0.01, of 10^88 at 0.05), and more where buckets
// are narrower, but no more than 7,936 (10^7 at 0.001). Of values further apart those closest to zero are counted together in the lowest bucket that
// is kept: quantiles that fall there are told too large in magnitude.
//
//	number of zeros (8), positive and negative header (4 each), positive buckets, negative buckets
//	header: first block (2, signed), blocks (1), bytes of a count (1)
//
// A block is 32 buckets. Counts have 1, 2, 4 or 8 bytes, as the greatest needs. All of that is a function of the values.
type Quantiles struct {
	scale float64 // buckets for each unit of the cubic logarithm
	most  int     // blocks of one sign
}

const (
	quantilesHeader = 16
	blockBuckets    = 32
	fewBlocks       = 64
	maxBlocks       = 248
)

// NewQuantiles makes a sketch of the relative accuracy, from 0.001 to 0.1.
func NewQuantiles(accuracy float64) *Quantiles {
	accuracy = min(max(accuracy, 0.001), 0.1)
	// The slope of the cubic is at least 10/7 of the logarithm's, so that 7/10 of 1/ln(gamma) is enough. It is rounded up, to so few bits that a
	// logarithm whose last bit is another on another processor does not matter.
	gamma := (1 + accuracy) / (1 - accuracy)
	scale := float64(math.Nextafter32(float32(0.7/math.Log(gamma)), math.MaxFloat32))
	return &Quantiles{scale: scale, most: min(max(fewBlocks, int(fewBlocks*0.01/accuracy)), maxBlocks)}
}

// MaxSize is what no sketch is longer than.
func (q *Quantiles) MaxSize() int { return quantilesHeader + 2*q.most*blockBuckets*8 }

// Init appends an empty sketch.
func (q *Quantiles) Init(dst []byte) []byte { return append(dst, make([]byte, quantilesHeader)...) }

// bucket of a positive normal number: the integer part of its logarithm, of which the part between powers of two is a cubic. Each product is rounded before it
// is added, or processors that fuse the two would sort otherwise.
func (q *Quantiles) bucket(x float64) int {
	u := math.Float64bits(x)
	e := int(u>>52&0x7ff) - 1023
	s := math.Float64frombits(u&(1<<52-1)|1023<<52) - 1
	const a, b, c = 6.0 / 35, -3.0 / 5, 10.0 / 7
	p := float64(a*s) + b
	p = float64(p*s) + c
	p = float64(p * s)
	return int(math.Floor(q.scale * (float64(e) + p)))
}

const leastNormal = 0x1p-1022

// low is the least number of a bucket, found by halving: bucket rises with the number, and numbers with their bits.
func (q *Quantiles) low(bucket int) float64 {
	low, high := math.Float64bits(leastNormal), math.Float64bits(math.MaxFloat64)
	for low < high {
		mid := (low + high) / 2
		if q.bucket(math.Float64frombits(mid)) < bucket {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return math.Float64frombits(low)
}

// value of a bucket is as far from its ends, by their ratio.
func (q *Quantiles) value(bucket int) float64 {
	low, high := q.low(bucket), q.low(bucket+1)
	return low * (high / (low/2 + high/2))
}

// store is one sign's buckets.
type store struct {
	block, blocks, width int
	counts               []byte
}

func (s *store) get(i int) uint64 {
	switch s.width {
	case 1:
		return uint64(s.counts[i])
	case 2:
		return uint64(le.Uint16(s.counts[2*i:]))
	case 4:
		return uint64(le.Uint32(s.counts[4*i:]))
	}
	return le.Uint64(s.counts[8*i:])
}

func (s *store) put(i int, n uint64) {
	switch s.width {
	case 1:
		s.counts[i] = byte(n)
	case 2:
		le.PutUint16(s.counts[2*i:], uint16(n))
	case 4:
		le.PutUint32(s.counts[4*i:], uint32(n))
	default:
		le.PutUint64(s.counts[8*i:], n)
	}
}

func widthFor(n uint64) int {
	switch {
	case n < 1<<8:
		return 1
	case n < 1<<16:
		return 2
	case n < 1<<32:
		return 4
	}
	return 8
}

func (s *store) size() int { return s.blocks * blockBuckets * s.width }

// header of the positive (0) or negative (1) store.
func readHeader(b []byte, sign int) store {
	h := b[8+4*sign:]
	return store{block: int(int16(le.Uint16(h))), blocks: int(h[2]), width: int(h[3])}
}

func loadStores(b []byte) (positive, negative store) {
	positive, negative = readHeader(b, 0), readHeader(b, 1)
	positive.counts = b[quantilesHeader : quantilesHeader+positive.size()]
	negative.counts = b[quantilesHeader+positive.size() : quantilesHeader+positive.size()+negative.size()]
	return positive, negative
}

// Add counts a finite number.
func (q *Quantiles) Add(b []byte, x float64, scratch []byte) (out []byte, rebuilt bool) {
	sign := 0
	if x < 0 {
		sign, x = 1, -x
	}
	if x < leastNormal {
		le.PutUint64(b, le.Uint64(b)+1)
		return b, false
	}
	bucket := q.bucket(x)
	s := readHeader(b, sign)
	if block := bucket >> 5; s.blocks > 0 && block < s.block+s.blocks {
		// Below the lowest block there is room only if the store is not full.
		at := max(bucket-s.block*blockBuckets, 0)
		if block >= s.block || s.blocks == q.most {
			from := quantilesHeader
			if sign == 1 {
				first := readHeader(b, 0)
				from += first.size()
			}
			s.counts = b[from : from+s.size()]
			if n := s.get(at) + 1; widthFor(n) <= s.width {
				s.put(at, n)
				return b, false
			}
		}
	}
	positive, negative := loadStores(b)
	one := store{block: bucket >> 5, blocks: 1, width: 1}
	var counts [blockBuckets]byte
	counts[bucket&(blockBuckets-1)] = 1
	one.counts = counts[:]
	out = scratch[:0]
	out = append(out, b[:quantilesHeader]...)
	none := store{}
	if sign == 0 {
		out = q.join(out, 0, &positive, &one)
		return q.join(out, 1, &negative, &none), true
	}
	out = q.join(out, 0, &positive, &none)
	return q.join(out, 1, &negative, &one), true
}

// join appends the sum of two stores to a sketch and writes its header.
func (q *Quantiles) join(out []byte, sign int, x, y *store) []byte {
	if x.blocks == 0 {
		x, y = y, x
	}
	sum := *x
	if y.blocks > 0 {
		end := max(x.block+x.blocks, y.block+y.blocks)
		sum.block = max(min(x.block, y.block), end-q.most)
		sum.blocks = end - sum.block
	}
	// The greatest count says the width. What is below the lowest block adds up in the first bucket.
	base := sum.block * blockBuckets
	var lowest, greatest uint64
	at := func(s *store, i int) uint64 {
		if i -= s.block * blockBuckets; i >= 0 && i < s.blocks*blockBuckets {
			return s.get(i)
		}
		return 0
	}
	for _, s := range []*store{x, y} {
		for i := range max(0, min(base+1-s.block*blockBuckets, s.blocks*blockBuckets)) {
			lowest += s.get(i)
		}
	}
	greatest = lowest
	for i := base + 1; i < base+sum.blocks*blockBuckets; i++ {
		greatest = max(greatest, at(x, i)+at(y, i))
	}
	if sum.blocks > 0 {
		sum.width = widthFor(greatest)
	}
	from := len(out)
	out = append(out, make([]byte, sum.size())...)
	sum.counts = out[from:]
	for i := range sum.blocks * blockBuckets {
		if i == 0 {
			sum.put(0, lowest)
		} else if n := at(x, base+i) + at(y, base+i); n > 0 {
			sum.put(i, n)
		}
	}
	h := out[8+4*sign:]
	le.PutUint16(h, uint16(int16(sum.block)))
	h[2], h[3] = byte(sum.blocks), byte(sum.width)
	return out
}

// Merge counts what other counted.
func (q *Quantiles) Merge(b, other, scratch []byte) (out []byte, rebuilt bool) {
	p, n := loadStores(b)
	op, on := loadStores(other)
	out = scratch[:0]
	out = append(out, b[:quantilesHeader]...)
	le.PutUint64(out, le.Uint64(b)+le.Uint64(other))
	out = q.join(out, 0, &p, &op)
	return q.join(out, 1, &n, &on), true
}

// Quantile tells the value of rank floor(p*(n-1)) of the n that were added, in order. It is false if none was.
func (q *Quantiles) Quantile(b []byte, p float64) (float64, bool) {
	positive, negative := loadStores(b)
	zeros := le.Uint64(b)
	n := positive.total() + zeros + negative.total()
	if n == 0 {
		return 0, false
	}
	rank := min(uint64(p*float64(n-1)), n-1)
	if t := negative.total(); rank < t {
		// The greatest magnitude is the least value.
		return -q.value(negative.find(t - 1 - rank)), true
	} else if rank -= t; rank < zeros {
		return 0, true
	}
	return q.value(positive.find(rank - zeros)), true
}

func (s *store) total() uint64 {
	var n uint64
	for i := range s.blocks * blockBuckets {
		n += s.get(i)
	}
	return n
}

// find returns the bucket that has the value of a rank.
func (s *store) find(rank uint64) int {
	for i := range s.blocks * blockBuckets {
		n := s.get(i)
		if rank < n {
			return s.block*blockBuckets + i
		}
		rank -= n
	}
	return (s.block + s.blocks) * blockBuckets
}

// Check says whether the bytes are a sketch.
func (q *Quantiles) Check(b []byte) error {
	if len(b) < quantilesHeader {
		return fmt.Errorf("%d bytes are no quantiles", len(b))
	}
	least, most := q.bucket(leastNormal)>>5, q.bucket(math.MaxFloat64)>>5
	size := quantilesHeader
	for sign := range 2 {
		s := readHeader(b, sign)
		switch {
		case s.blocks == 0 && (s.width != 0 || s.block != 0):
			return fmt.Errorf("no buckets of %d bytes", s.width)
		case s.blocks > 0 && s.width != 1 && s.width != 2 && s.width != 4 && s.width != 8:
			return fmt.Errorf("buckets of %d bytes", s.width)
		case s.blocks > q.most || s.blocks > 0 && (s.block < least || s.block+s.blocks-1 > most):
			return fmt.Errorf("%d blocks of buckets from %d", s.blocks, s.block)
		}
		size += s.size()
	}
	if len(b) != size {
		return fmt.Errorf("%d bytes of quantiles, which say that they are %d", len(b), size)
	}
	positive, negative := loadStores(b)
	for _, s := range []*store{&positive, &negative} {
		if err := s.check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) check() error {
	if s.blocks == 0 {
		return nil
	}
	var greatest, first, last uint64
	for i := range s.blocks * blockBuckets {
		n := s.get(i)
		greatest = max(greatest, n)
		if i < blockBuckets {
			first |= n
		}
		if i >= (s.blocks-1)*blockBuckets {
			last |= n
		}
	}
	if widthFor(greatest) != s.width || first == 0 || last == 0 {
		return fmt.Errorf("%d blocks of buckets of %d bytes hold at most %d", s.blocks, s.width, greatest)
	}
	return nil
}
