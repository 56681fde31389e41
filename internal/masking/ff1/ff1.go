// SPDX-License-Identifier: Apache-2.0

// Package ff1 is format-preserving encryption: NIST SP 800-38G, method FF1, with AES. There is no Go library of it that is kept up.
//
// It encrypts a string of numerals into one of the same length. That hides no more than the domain is large: one that can be tried
// out is refused (MinDomain), as revision 1 of the publication demands.
package ff1

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"sync"
)

// MinDomain is the number of strings that there must at least be.
const MinDomain = 1_000_000

// MaxNumerals bounds the time that a string can take.
const MaxNumerals = 1024

// Errors of Encrypt and Decrypt.
var (
	ErrLength  = errors.New("too few numerals to hide among, or too many")
	ErrNumeral = errors.New("not a numeral of the radix")
)

// Cipher encrypts under one key and radix. Callable by any goroutine.
type Cipher struct {
	hidden func() cipher.Block // behind a function: nothing that prints values by reflection sees into it
	radix  uint64
	min    int      // numerals that MinDomain takes
	pow    []uint64 // powers of radix that fit 63 bits
	work   sync.Pool
}

// New returns the cipher of a key of 16, 24 or 32 bytes. radix is 2 to 256.
func New(key []byte, radix int) (*Cipher, error) {
	if radix < 2 || radix > 256 {
		return nil, fmt.Errorf("radix %d is not from 2 to 256", radix)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	c := &Cipher{hidden: func() cipher.Block { return block }, radix: uint64(radix), pow: []uint64{1}}
	for last := uint64(1); last <= math.MaxInt64/c.radix; {
		last *= c.radix
		c.pow = append(c.pow, last)
		if c.min == 0 && last >= MinDomain {
			c.min = len(c.pow) - 1
		}
	}
	c.work.New = func() any { return new(work) }
	return c, nil
}

// work is what one call works in. AES takes its blocks through an interface, so they would not stay on the stack.
type work struct {
	head, chained, q, s [aes.BlockSize]byte
	buf                 []byte
	tail                []byte // of buf: the tweak's last part, round and number, as they are encrypted
}

// Encrypt encrypts the numerals, each less than the radix, in place.
func (c *Cipher) Encrypt(numerals, tweak []byte) error { return c.crypt(numerals, tweak, true) }

// Decrypt undoes Encrypt with the same tweak.
func (c *Cipher) Decrypt(numerals, tweak []byte) error { return c.crypt(numerals, tweak, false) }

const rounds = 10

func (c *Cipher) crypt(x, tweak []byte, encrypt bool) error {
	n := len(x)
	if n < c.min || n < 2 || n > MaxNumerals {
		return ErrLength
	}
	for _, d := range x {
		if uint64(d) >= c.radix {
			return ErrNumeral
		}
	}
	w := c.work.Get().(*work)
	defer c.work.Put(w)
	u := n / 2
	v := n - u
	if v < len(c.pow) {
		c.small(w, x, u, v, tweak, encrypt)
	} else {
		c.large(w, x, u, v, tweak, encrypt)
	}
	clear(w.tail) // the last round's number is a half of the result
	return nil
}

// start makes the block that all rounds' MACs begin with and lays out the tail: the tweak, zeros, the round and b bytes of a number.
func (c *Cipher) start(w *work, n, u, b int, tweak []byte) {
	w.head = [aes.BlockSize]byte{1, 2, 1, 0, byte(c.radix >> 8), byte(c.radix), rounds, byte(u)}
	binary.BigEndian.PutUint32(w.head[8:], uint32(n))
	binary.BigEndian.PutUint32(w.head[12:], uint32(len(tweak)))
	size := (len(tweak) + 1 + b + aes.BlockSize - 1) / aes.BlockSize * aes.BlockSize
	if cap(w.buf) < size {
		w.buf = make([]byte, size)
	}
	w.tail = w.buf[:size]
	clear(w.tail[copy(w.tail, tweak):])
	block := c.hidden()
	block.Encrypt(w.chained[:], w.head[:])
	// All blocks but those that the round and the number lie in are the same in all rounds.
	whole := (size - 1 - b) / aes.BlockSize * aes.BlockSize
	for i := 0; i < whole; i += aes.BlockSize {
		xor(&w.chained, w.tail[i:])
		block.Encrypt(w.chained[:], w.chained[:])
	}
	w.tail = w.tail[whole:]
}

// mac leaves the round's MAC in w.q.
func (c *Cipher) mac(w *work) {
	block := c.hidden()
	w.q = w.chained
	for i := 0; i < len(w.tail); i += aes.BlockSize {
		xor(&w.q, w.tail[i:])
		block.Encrypt(w.q[:], w.q[:])
	}
}

func xor(a *[aes.BlockSize]byte, b []byte) {
	for i := range a {
		a[i] ^= b[i]
	}
}

// numberBytes returns how many bytes v numerals take as a number.
func (c *Cipher) numberBytes(v int) int {
	if v < len(c.pow) {
		return (bits.Len64(c.pow[v]-1) + 7) / 8
	}
	largest := new(big.Int).Exp(new(big.Int).SetUint64(c.radix), big.NewInt(int64(v)), nil)
	return (largest.Sub(largest, big.NewInt(1)).BitLen() + 7) / 8
}

// small is for halves that fit 63 bits: up to 36 decimal digits.
func (c *Cipher) small(w *work, x []byte, u, v int, tweak []byte, encrypt bool) {
	b := c.numberBytes(v)
	c.start(w, len(x), u, b, tweak)
	left, right := c.number(x[:u]), c.number(x[u:])
	end := len(w.tail)
	for round := range rounds {
		i := round
		if !encrypt {
			i = rounds - 1 - round
		}
		in := right
		if !encrypt {
			in = left
		}
		modulus := c.pow[u]
		if i%2 == 1 {
			modulus = c.pow[v]
		}
		w.tail[end-1-b] = byte(i)
		for k, rest := end-1, in; k >= end-b; k-- {
			w.tail[k] = byte(rest)
			rest >>= 8
		}
		c.mac(w)
		// d is 4*ceil(b/4)+4: 8 bytes, or 12.
		hi, lo := uint64(0), binary.BigEndian.Uint64(w.q[:])
		if b > 4 {
			hi, lo = lo>>32, lo<<32|uint64(binary.BigEndian.Uint32(w.q[8:]))
		}
		y := bits.Rem64(hi, lo, modulus)
		if encrypt {
			sum := left + y // both less than 2^63
			if sum >= modulus {
				sum -= modulus
			}
			left, right = right, sum
		} else {
			difference := right
			if difference < y {
				difference += modulus
			}
			left, right = difference-y, left
		}
	}
	c.numerals(x[:u], left)
	c.numerals(x[u:], right)
}

func (c *Cipher) number(x []byte) uint64 {
	n := uint64(0)
	for _, d := range x {
		n = n*c.radix + uint64(d)
	}
	return n
}

func (c *Cipher) numerals(x []byte, n uint64) {
	for i := len(x) - 1; i >= 0; i-- {
		x[i] = byte(n % c.radix)
		n /= c.radix
	}
}

// large is for any length.
func (c *Cipher) large(w *work, x []byte, u, v int, tweak []byte, encrypt bool) {
	b := c.numberBytes(v)
	c.start(w, len(x), u, b, tweak)
	d := (b+3)/4*4 + 4
	radix := new(big.Int).SetUint64(c.radix)
	left, right := c.bigNumber(x[:u]), c.bigNumber(x[u:])
	moduli := [2]*big.Int{
		new(big.Int).Exp(radix, big.NewInt(int64(u)), nil),
		new(big.Int).Exp(radix, big.NewInt(int64(v)), nil),
	}
	end := len(w.tail)
	stream := make([]byte, 0, d+aes.BlockSize)
	y := new(big.Int)
	for round := range rounds {
		i := round
		in := right
		if !encrypt {
			i = rounds - 1 - round
			in = left
		}
		w.tail[end-1-b] = byte(i)
		in.FillBytes(w.tail[end-b:])
		c.mac(w)
		stream = append(stream[:0], w.q[:]...)
		for j := uint64(1); len(stream) < d; j++ {
			w.s = w.q
			var counter [aes.BlockSize]byte
			binary.BigEndian.PutUint64(counter[8:], j)
			xor(&w.s, counter[:])
			c.hidden().Encrypt(w.s[:], w.s[:])
			stream = append(stream, w.s[:]...)
		}
		y.SetBytes(stream[:d])
		if encrypt {
			left.Add(left, y).Mod(left, moduli[i%2])
		} else {
			right.Sub(right, y).Mod(right, moduli[i%2])
		}
		left, right = right, left
	}
	c.bigNumerals(x[:u], left)
	c.bigNumerals(x[u:], right)
}

// bigNumber and bigNumerals go by as many numerals at once as fit a word.
func (c *Cipher) bigNumber(x []byte) *big.Int {
	n, part := new(big.Int), new(big.Int)
	for len(x) > 0 {
		k := min(len(x), len(c.pow)-1)
		n.Mul(n, part.SetUint64(c.pow[k]))
		n.Add(n, part.SetUint64(c.number(x[:k])))
		x = x[k:]
	}
	return n
}

func (c *Cipher) bigNumerals(x []byte, n *big.Int) {
	n, part, power := new(big.Int).Set(n), new(big.Int), new(big.Int)
	for len(x) > 0 {
		k := min(len(x), len(c.pow)-1)
		n.QuoRem(n, power.SetUint64(c.pow[k]), part)
		c.numerals(x[len(x)-k:], part.Uint64())
		x = x[:len(x)-k]
	}
}
