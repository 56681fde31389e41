// SPDX-License-Identifier: Apache-2.0

package checkdigit

// Wallet says whether word, all of it, is the address of a crypto wallet, by its own checksum, and of which chain. Chains that have
// none, such as Solana, are not known. Bitcoin Cash is known with and without its prefix "bitcoincash:".
func Wallet(word string) (chain string, ok bool) {
	if len(word) < 25 || len(word) > 130 {
		return "", false
	}
	switch c := word[0]; {
	case c == '0':
		if ethereum(word) {
			return "ethereum", true
		}
		return "", false
	case isUpper(c) || isDigit(c):
		if chain := base58Chain(word); chain != "" {
			return chain, true
		}
	case c == 'r':
		if base58Check(word, rippleDigits, 0) {
			return "ripple", true
		}
	}
	switch c := word[0] | 0x20; c {
	case 'b', 'l', 'a', 's':
		if chain := bech32Chain(word); chain != "" {
			return chain, true
		}
	}
	if cashAddress(word) {
		return "bitcoin_cash", true
	}
	return "", false
}

// EthereumUnchecked says whether word is 0x and 40 hexadecimal digits: an address as it is often written, all in one case and
// so without a checksum. A hash that is cut to its first 20 bytes looks the same: take it beside a keyword only.
func EthereumUnchecked(word string) bool {
	if len(word) != 42 || word[0] != '0' || word[1] != 'x' && word[1] != 'X' {
		return false
	}
	for i := 2; i < len(word); i++ {
		if hexValue(word[i]) > 15 {
			return false
		}
	}
	return true
}

// hexValue is 0 to 15, or 16 for what is no hexadecimal digit.
func hexValue(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// ethereum says whether word is an address whose letters carry the checksum of EIP-55: a letter is a capital where the Keccak-256 of the
// address in lower case has a nibble of 8 or more.
func ethereum(word string) bool {
	if !EthereumUnchecked(word) || word[1] != 'x' {
		return false
	}
	var lower [40]byte
	upper, small := false, false
	for i := range 40 {
		c := word[i+2]
		lower[i] = c
		if isUpper(c) {
			upper = true
			lower[i] = c | 0x20
		} else if !isDigit(c) {
			small = true
		}
	}
	if !upper || !small {
		return false
	}
	hash := keccak256(lower[:])
	for i := range 40 {
		if isDigit(lower[i]) {
			continue
		}
		nibble := hash[i/2] >> 4
		if i&1 == 1 {
			nibble = hash[i/2] & 15
		}
		if isUpper(word[i+2]) != (nibble >= 8) {
			return false
		}
	}
	return true
}

// base58Chain looks at Base58Check and Monero addresses; the first character tells which version byte there can be.
func base58Chain(word string) string {
	switch n := len(word); word[0] {
	case '1':
		if n <= 34 && base58Check(word, bitcoinDigits, 0x00) {
			return "bitcoin"
		}
	case '3':
		if n <= 35 && base58Check(word, bitcoinDigits, 0x05) {
			return "bitcoin"
		}
	case 'L':
		if base58Check(word, bitcoinDigits, 0x30) {
			return "litecoin"
		}
	case 'M':
		if base58Check(word, bitcoinDigits, 0x32) {
			return "litecoin"
		}
	case 'D':
		if base58Check(word, bitcoinDigits, 0x1e) {
			return "dogecoin"
		}
	case '9', 'A':
		if base58Check(word, bitcoinDigits, 0x16) {
			return "dogecoin"
		}
	case 'T':
		if base58Check(word, bitcoinDigits, 0x41) {
			return "tron"
		}
	case '4', '8':
		if monero(word) {
			return "monero"
		}
	}
	return ""
}
