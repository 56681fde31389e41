// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"

	"golang.org/x/crypto/sha3"

	"github.com/millrace/millrace/internal/detector"
)

// Wallets too are made here, with other code than what judges them.

// wallet is an address of random bytes with its checksum.
func (m *maker) wallet() Value {
	of := func(chain, text string) Value { return personal(detector.CryptoWallet, chain, text) }
	hash := m.bytes(20)
	switch m.n(7) {
	case 0:
		return of("Bitcoin P2PKH", base58Check(append([]byte{0x00}, hash...)))
	case 1:
		return of("Bitcoin P2SH", base58Check(append([]byte{0x05}, hash...)))
	case 2:
		return of("Bitcoin SegWit", segwit(0, hash))
	case 3:
		return of("Bitcoin Taproot", segwit(1, m.bytes(32)))
	case 4:
		return of("Litecoin", base58Check(append([]byte{0x30}, hash...)))
	case 5:
		return of("Tron", base58Check(append([]byte{0x41}, hash...)))
	default:
		return of("Ethereum", eip55(hash))
	}
}

func (m *maker) bytes(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(m.r.Uint32())
	}
	return out
}

const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58Check is Bitcoin's: four bytes of a doubled SHA-256 behind the payload, leading zeros as '1'.
func base58Check(payload []byte) string {
	one := sha256.Sum256(payload)
	two := sha256.Sum256(one[:])
	payload = append(slices.Clone(payload), two[:4]...)
	n, base, rest := new(big.Int).SetBytes(payload), big.NewInt(58), new(big.Int)
	var out []byte
	for n.Sign() > 0 {
		n.DivMod(n, base, rest)
		out = append(out, base58[rest.Int64()])
	}
	for _, b := range payload {
		if b != 0 {
			break
		}
		out = append(out, '1')
	}
	slices.Reverse(out)
	return string(out)
}

const bech32Digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// segwit is BIP 173's bech32 for version 0 and BIP 350's bech32m for later ones.
func segwit(version byte, program []byte) string {
	const prefix = "bc" // Bitcoin's main network
	data := []byte{version}
	bits, n := uint32(0), 0
	for _, b := range program {
		bits, n = bits<<8|uint32(b), n+8
		for n >= 5 {
			n -= 5
			data = append(data, byte(bits>>n&31))
		}
	}
	if n > 0 {
		data = append(data, byte(bits<<(5-n)&31))
	}
	var sum []byte
	for _, c := range prefix {
		sum = append(sum, byte(c>>5))
	}
	sum = append(sum, 0)
	for _, c := range prefix {
		sum = append(sum, byte(c&31))
	}
	sum = append(append(sum, data...), 0, 0, 0, 0, 0, 0)
	final := uint32(1)
	if version > 0 {
		final = 0x2bc830a3
	}
	check := polymod(sum) ^ final
	for i := range 6 {
		data = append(data, byte(check>>(5*(5-i))&31))
	}
	var out strings.Builder
	out.WriteString(prefix + "1")
	for _, d := range data {
		out.WriteByte(bech32Digits[d])
	}
	return out.String()
}

// polymod is the BCH code of BIP 173.
func polymod(values []byte) uint32 {
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}

// eip55 is an Ethereum address whose capitals are its checksum.
func eip55(address []byte) string {
	text := []byte(hex.EncodeToString(address))
	keccak := sha3.NewLegacyKeccak256()
	keccak.Write(text)
	sum := hex.EncodeToString(keccak.Sum(nil))
	for i, c := range text {
		if c >= 'a' && sum[i] >= '8' {
			text[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(text)
}
