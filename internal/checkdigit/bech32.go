// SPDX-License-Identifier: Apache-2.0

package checkdigit

// bech32Values is the value of each character of Bech32 and of Bitcoin Cash's form, in either case, or 32.
var bech32Values = func() (v [256]uint8) {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	for i := range v {
		v[i] = 32
	}
	for i := range len(alphabet) {
		c := alphabet[i]
		v[c] = uint8(i)
		if c >= 'a' {
			v[c-'a'+'A'] = uint8(i)
		}
	}
	return v
}()

// oneCase says that no letters of both cases stand in word.
func oneCase(word string) bool {
	upper, lower := false, false
	for i := range len(word) {
		c := word[i]
		upper = upper || isUpper(c)
		lower = lower || c >= 'a' && c <= 'z'
	}
	return !upper || !lower
}

// bech32Chain looks at addresses in Bech32 and Bech32m: Bitcoin's and Litecoin's (BIP 173 and 350), and Cardano's (CIP 5 and 19).
func bech32Chain(word string) string {
	at := -1
	for i := range min(len(word), 6) {
		if word[i] == '1' {
			at = i
			break
		}
	}
	if at < 2 || len(word)-at-1 < 6+1 || !oneCase(word) {
		return ""
	}
	var prefix [6]byte
	for i := range at {
		prefix[i] = word[i] | 0x20
	}
	chain := ""
	switch string(prefix[:at]) {
	case "bc":
		chain = "bitcoin"
	case "ltc":
		chain = "litecoin"
	case "addr", "stake":
		chain = "cardano"
	default:
		return ""
	}
	if chain != "cardano" && len(word) > 90 {
		return ""
	}
	sum := uint32(1)
	for i := range at {
		sum = bech32Step(sum, prefix[i]>>5)
	}
	sum = bech32Step(sum, 0)
	for i := range at {
		sum = bech32Step(sum, prefix[i]&31)
	}
	for i := at + 1; i < len(word); i++ {
		v := bech32Values[word[i]]
		if v == 32 {
			return ""
		}
		sum = bech32Step(sum, v)
	}
	const bech32, bech32m = 1, 0x2bc830a3
	data := word[at+1 : len(word)-6]
	if chain == "cardano" {
		size, whole := fiveBits(data)
		if sum != bech32 || !whole || size != 29 && size != 57 || (at == 5) && size != 29 {
			return ""
		}
		return chain
	}
	version := bech32Values[data[0]]
	size, whole := fiveBits(data[1:])
	switch {
	case !whole:
		return ""
	case version == 0 && sum == bech32 && (size == 20 || size == 32):
	case version == 1 && sum == bech32m && size == 32: // taproot
	case version >= 1 && version <= 16 && sum == bech32m && size >= 2 && size <= 40 && version != 1:
	default:
		return ""
	}
	return chain
}

// fiveBits returns how many bytes the characters of five bits are, and whether they are whole ones: less than five bits left, all zero.
func fiveBits(data string) (size int, whole bool) {
	left := len(data) * 5 % 8
	if left >= 5 {
		return 0, false
	}
	if left > 0 && bech32Values[data[len(data)-1]]&(1<<left-1) != 0 {
		return 0, false
	}
	return len(data) * 5 / 8, true
}

// bech32Step takes v into the checksum of BIP 173.
func bech32Step(sum uint32, v byte) uint32 {
	top := sum >> 25
	sum = sum&0x1ffffff<<5 ^ uint32(v)
	for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
		if top>>i&1 == 1 {
			sum ^= g
		}
	}
	return sum
}

const cashPrefix = "bitcoincash"

// cashAddress says whether word is an address of Bitcoin Cash: version byte, 20 bytes or more, checksum of 40 bits over them and the prefix, which may
// be left out.
func cashAddress(word string) bool {
	if n := len(cashPrefix); len(word) > n && word[n] == ':' {
		for i := range n {
			if word[i]|0x20 != cashPrefix[i] {
				return false
			}
		}
		if !oneCase(word) {
			return false
		}
		word = word[n+1:]
	}
	// The first five bits are the version's: 0 and the type, q for P2PKH and p for P2SH, r and z with tokens.
	if len(word) != 42 && len(word) != 61 || !oneCase(word) {
		return false
	}
	switch word[0] | 0x20 {
	case 'q', 'p', 'r', 'z':
	default:
		return false
	}
	sum := uint64(1)
	for i := range len(cashPrefix) {
		sum = cashStep(sum, cashPrefix[i]&31)
	}
	sum = cashStep(sum, 0)
	for i := range len(word) {
		v := bech32Values[word[i]]
		if v == 32 {
			return false
		}
		sum = cashStep(sum, v)
	}
	if sum != 1 {
		return false
	}
	size, whole := fiveBits(word[:len(word)-8])
	sizeBits := bech32Values[word[1]] >> 2 & 7
	return whole && (size == 21 && sizeBits == 0 || size == 33 && sizeBits == 3)
}

// cashStep takes v into the checksum of the cashaddr specification.
func cashStep(sum uint64, v byte) uint64 {
	top := sum >> 35
	sum = sum&0x07ffffffff<<5 ^ uint64(v)
	for i, g := range [5]uint64{0x98f2bc8e61, 0x79b76d99e2, 0xf33e5fb3c4, 0xae2eabe2a8, 0x1e4f43e470} {
		if top>>i&1 == 1 {
			sum ^= g
		}
	}
	return sum
}
