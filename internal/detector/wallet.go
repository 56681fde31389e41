// SPDX-License-Identifier: Apache-2.0

package detector

import "github.com/millrace/millrace/internal/checkdigit"

// ruleWallet is followed by the chain's name.
const ruleWallet = "wallet_"

// chains are those that checkdigit.Wallet knows.
var chains = [...]string{"bitcoin", "bitcoin_cash", "cardano", "dogecoin", "ethereum", "litecoin", "monero", "ripple", "tron"}

var walletRules = func() map[string]string {
	rules := map[string]string{}
	for _, chain := range chains {
		rules[chain] = ruleWallet + chain
	}
	return rules
}()

const (
	minWallet = 25
	maxWallet = 130
)

// wallet finds a wallet's address that is the word [start, end).
func (s *scanner) wallet(start, end int, all uint8) int {
	if n := end - start; n < minWallet || n > maxWallet || all&^bitHex == 0 {
		return 0 // a hash
	}
	word := s.text[start:end]
	chain, ok := checkdigit.Wallet(word)
	if !ok {
		// A transaction's hash cut to 20 bytes looks like an address without a checksum.
		if !checkdigit.EthereumUnchecked(word) || s.hint&hintWallet == 0 && s.near(start)&hintWallet == 0 || blankHex(word[2:]) {
			return 0
		}
		chain = "ethereum"
	}
	if chain == "bitcoin_cash" && start-12 >= s.floor && s.text[start-12:start] == "bitcoincash:" {
		start -= 12
	}
	return s.emit(start, end, CryptoWallet, walletRules[chain])
}

// blankHex says that a word is one and the same digit: nobody's address.
func blankHex(word string) bool {
	for i := range len(word) {
		if word[i]|0x20 != word[0]|0x20 {
			return false
		}
	}
	return true
}
