// SPDX-License-Identifier: Apache-2.0

package checkdigit_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millrace/millrace/internal/checkdigit"
	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
)

// anyDigits makes the digits that a form names any digits.
var anyDigits = strings.NewReplacer("0", "9", "1", "9", "2", "9", "3", "9", "4", "9", "5", "9", "6", "9", "7", "9", "8", "9")

func TestShareIsWhatRandomRunsPassAndWeakFollowsIt(t *testing.T) {
	const runs = 100_000
	for _, rule := range checkdigit.NationalIDs {
		r := rand.New(rand.NewPCG(1, 2))
		most := 0.0
		for _, form := range rule.Forms {
			// The last of CN's and CL's may be a letter; a run of digits is what one meets.
			form = strings.ReplaceAll(anyDigits.Replace(form), "X", "9")
			passed := 0
			for range runs {
				if rule.Valid(checkdigittest.Fill(r, form)) {
					passed++
				}
			}
			most = max(most, float64(passed)/runs)
		}
		t.Logf("%-32s %.5f, bound %.5f, weak %v", rule.Rule, most, rule.Share, rule.Weak)
		assert.LessOrEqual(t, most, rule.Share, "%s: more random runs pass than it says", rule.Rule)
		assert.GreaterOrEqual(t, most, rule.Share*0.6-0.0005, "%s: it says far more than pass", rule.Rule)
		assert.Equal(t, rule.Share > 1.0/50, rule.Weak, rule.Rule)
	}
}

// together returns the share of runs that some rule takes without a keyword.
func together(runs int, draw func() string) float64 {
	passed := 0
	for range runs {
		v := draw()
		for i := range checkdigit.NationalIDs {
			if rule := &checkdigit.NationalIDs[i]; !rule.Weak && rule.Valid(v) {
				passed++
				break
			}
		}
	}
	return float64(passed) / float64(runs)
}

func TestAllRulesTogetherTakeNoMoreThanTheirCommentSays(t *testing.T) {
	const runs = 100_000
	r := rand.New(rand.NewPCG(3, 4))
	f := func(name string, bound float64, draw func() string) {
		t.Helper()
		share := together(runs, draw)
		t.Logf("%-24s %.4f, bound %.4f", name, share, bound)
		assert.LessOrEqual(t, share, bound, name)
	}
	digits := func(n int) func() string {
		form := strings.Repeat("9", n)
		return func() string { return checkdigittest.Fill(r, form) }
	}
	f("8 digits", 0, digits(8))
	f("9 digits", 0, digits(9))
	f("10 digits", 0.034, digits(10))
	f("11 digits", 0.058, digits(11))
	f("12 digits", 0.012, digits(12))
	f("13 digits", 0.008, digits(13))
	f("14 digits", 0, digits(14))
	f("15 digits", 0.006, digits(15))
	f("16 digits", 0, digits(16))
	f("18 digits", 0.0002, digits(18))
	f("seconds of 2010 to 2037", 0.038, func() string { return strconv.Itoa(1262304000 + r.IntN(2145916800-1262304000)) })
	f("milliseconds of the same", 0.0105, func() string { return strconv.Itoa(1262304000000 + r.IntN(2145916800000-1262304000000)) })
}
