// SPDX-License-Identifier: Apache-2.0

package checkdigit_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millrace/millrace/internal/checkdigit"
	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
)

func TestWalletsByChain(t *testing.T) {
	f := func(chain, word string) {
		t.Helper()
		got, ok := checkdigit.Wallet(word)
		assert.True(t, ok, word)
		assert.Equal(t, chain, got, word)
	}
	f("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")                                                                      // block 0
	f("bitcoin", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2")                                                                      // Bitcoin wiki, Invoice address
	f("bitcoin", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy")                                                                      // the same
	f("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")                                                              // BIP 173
	f("bitcoin", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")                                                              // BIP 173
	f("bitcoin", "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3")                                          // BIP 173, P2WSH
	f("bitcoin", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")                                          // BIP 350
	f("ethereum", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")                                                             // EIP-55
	f("ethereum", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")                                                             // EIP-55
	f("ethereum", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB")                                                             // EIP-55
	f("ethereum", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb")                                                             // EIP-55
	f("bitcoin_cash", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a")                                             // cashaddr specification
	f("bitcoin_cash", "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq")                                             // the same, P2SH
	f("bitcoin_cash", "qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r")                                                         // the same, without its prefix
	f("ripple", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh")                                                                       // XRPL's genesis account
	f("tron", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t")                                                                         // Tether's contract
	f("dogecoin", "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L")                                                                     // Dogecoin Foundation
	f("litecoin", "LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9")                                                                     // often shown as an example
	f("monero", "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A")          // Monero project's donations
	f("cardano", "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl2wywfgse35a3x") // CIP 19
	f("cardano", "stake1uyehkck0lajq8gr28t9uxnuvgcqrc6070x3k9r8048z8y5gh6ffgw")                                             // CIP 19
}

func TestWhatIsNearlyAWalletIsNone(t *testing.T) {
	f := func(why, word string) {
		t.Helper()
		chain, ok := checkdigit.Wallet(word)
		assert.False(t, ok, "%s: %s is %s", why, word, chain)
	}
	f("one character changed", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb")
	f("neighbours swapped", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DvifNa")
	f("a leading zero too many", "11A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
	f("a character missing", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN")
	f("a character that is none of 58", "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf0a")
	f("both cases", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3T4")
	f("one character changed", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")
	// BIP 350's invalid ones: Bech32 for version 1, Bech32m for version 0, version 17, a program too short.
	f("version 1 needs Bech32m", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd")
	f("version 0 needs Bech32", "bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqa8rf4k"[:62])
	f("no version 17", "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R")
	f("a program of one byte", "bc1pw5dgrnzv")
	f("of the test net", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx")
	f("a case of EIP-55 wrong", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed")
	f("all lower case", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
	f("all upper case", "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED")
	f("one digit changed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee")
	f("41 digits", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed0")
	f("another coin's prefix", "bchtest:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a")
	f("one character changed", "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6q")
	f("one character changed", "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3B")
	f("a commit's hash", "4a226873f1c2f39f7a4c1ce2b0f8a6a2b4f0f6f7")
	f("a UUID", "123e4567-e89b-12d3-a456-426614174000")
	f("a trace ID", "4bf92f3577b34da6a3ce929d0e0e4736")
	f("nothing", "")
	f("zero", "0x")
	f("bytes beyond ASCII", strings.Repeat("\xff", 34))
	f("ones alone", strings.Repeat("1", 34))
	f("the address of no bytes", "bc1"+strings.Repeat("q", 30))
}

func TestEthereumUnchecked(t *testing.T) {
	f := func(want bool, word string) {
		t.Helper()
		assert.Equal(t, want, checkdigit.EthereumUnchecked(word), word)
	}
	f(true, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
	f(true, "0X5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED")
	f(false, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae")
	f(false, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg")
	f(false, "1x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
	f(false, "")
}

func TestEveryMadeUpWalletIsTakenAndItsMutantsAreNot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	all := checkdigittest.Generators()
	for _, name := range slices.Sorted(maps.Keys(all)) { // in order: a seed must mean the same values in every run
		generate := all[name]
		chain, isWallet := strings.CutPrefix(name, "wallet_")
		if !isWallet {
			continue
		}
		for range 300 {
			v := generate(r)
			got, ok := checkdigit.Wallet(v)
			assert.True(t, ok, v)
			assert.Equal(t, chain, got, v)
			b := []byte(v)
			i := len(b)/3 + r.IntN(len(b)/2)
			for c := b[i]; b[i] == c; {
				b[i] = "023456789acdefghjklmnpqrstuvwxyz"[r.IntN(32)]
			}
			_, ok = checkdigit.Wallet(string(b))
			assert.False(t, ok, "%s from %s", b, v)
		}
	}
}
