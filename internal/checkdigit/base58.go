// SPDX-License-Identifier: Apache-2.0

package checkdigit

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"math/bits"
	"sync"

	"golang.org/x/crypto/sha3"
)

// base58Digits is the value of each byte in an alphabet of 58, or 58 for what is not of it.
type base58Digits [256]uint8

var (
	bitcoinDigits = base58Alphabet("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
	rippleDigits  = base58Alphabet("rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz")
)

func base58Alphabet(alphabet string) *base58Digits {
	d := new(base58Digits)
	for i := range d {
		d[i] = 58
	}
	for i := range len(alphabet) {
		d[alphabet[i]] = uint8(i)
	}
	return d
}

// base58Check says whether word is Base58Check of a version byte and 20 bytes: 25 bytes with the first four of their double SHA-256.
func base58Check(word string, digits *base58Digits, version byte) bool {
	if len(word) < 25 || len(word) > 35 {
		return false
	}
	// The number in seven words of 32 bits, the lowest first: 25 bytes and room to see an overflow.
	var number [7]uint32
	for i := range len(word) {
		v := digits[word[i]]
		if v == 58 {
			return false
		}
		carry := uint64(v)
		for k := range number {
			carry += uint64(number[k]) * 58
			number[k] = uint32(carry)
			carry >>= 32
		}
		if carry != 0 {
			return false
		}
	}
	if number[6]>>8 != 0 {
		return false
	}
	var b [28]byte
	for k, n := range number {
		binary.BigEndian.PutUint32(b[24-4*k:], n)
	}
	out := b[3:]
	if out[0] != version {
		return false
	}
	// Each leading zero byte is one leading zero digit, no more and no less: else it is another number of bytes.
	zeroDigits, zeroBytes := 0, 0
	for zeroDigits < len(word) && digits[word[zeroDigits]] == 0 {
		zeroDigits++
	}
	for zeroBytes < len(out) && out[zeroBytes] == 0 {
		zeroBytes++
	}
	if zeroDigits != zeroBytes {
		return false
	}
	sum := sha256.Sum256(out[:21])
	sum = sha256.Sum256(sum[:])
	return [4]byte(sum[:4]) == [4]byte(out[21:])
}

// monero says whether word is a standard address, a subaddress or an integrated one of Monero's main net: blocks of 8 bytes as 11
// characters, the last four bytes from the Keccak-256 of what is before them.
func monero(word string) bool {
	var out [77]byte
	var size int
	switch len(word) {
	case 95:
		size = 69
	case 106:
		size = 77
	default:
		return false
	}
	at := 0
	for len(word) > 0 {
		block, width := min(11, len(word)), min(8, size-at)
		var n uint64
		for i := range block {
			v := bitcoinDigits[word[i]]
			if v == 58 {
				return false
			}
			high, low := bits.Mul64(n, 58)
			sum, carry := bits.Add64(low, uint64(v), 0)
			if high+carry != 0 {
				return false
			}
			n = sum
		}
		if width < 8 && n>>(8*width) != 0 {
			return false
		}
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		at += copy(out[at:], b[8-width:])
		word = word[block:]
	}
	switch {
	case out[0] == 18 && size == 69, out[0] == 42 && size == 69, out[0] == 19 && size == 77:
	default:
		return false
	}
	sum := keccak256(out[:size-4])
	return [4]byte(sum[:4]) == [4]byte(out[size-4:size])
}

// hasher is a Keccak-256 with the memory that goes through its interface.
type hasher struct {
	hash.Hash
	in  [77]byte
	out [32]byte
}

// hashers keep what hashes: it lives on the heap, since its type is an interface.
var hashers = sync.Pool{New: func() any { return &hasher{Hash: sha3.NewLegacyKeccak256()} }}

// keccak256 is Keccak as it was before SHA-3, over at most 77 bytes.
func keccak256(data []byte) [32]byte {
	h := hashers.Get().(*hasher)
	h.Reset()
	n := copy(h.in[:], data)
	_, _ = h.Write(h.in[:n])
	// Sum would copy the state; what the package returns reads too, and that it does a test says.
	_, _ = h.Hash.(io.Reader).Read(h.out[:])
	out := h.out
	hashers.Put(h)
	return out
}
