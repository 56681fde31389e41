// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
)

// holds checks what any answer to any text must be.
func holds(t testing.TB, d *Detector, text string, hint Hint) []Finding {
	t.Helper()
	before := Finding{Start: -1, End: -1, Class: "caller's"}
	got := d.Find([]Finding{before}, text, hint)
	require.NotEmpty(t, got)
	require.Equal(t, before, got[0], "what was in dst stays")
	got = got[1:]
	end := 0
	for _, f := range got {
		require.GreaterOrEqual(t, f.Start, end, "by place, not overlapping: %q %v", text, got)
		require.Greater(t, f.End, f.Start, "not empty: %q %v", text, got)
		require.LessOrEqual(t, f.End, len(text), "%q %v", text, got)
		require.NotEmpty(t, f.Class)
		require.NotEmpty(t, f.Rule)
		if utf8.ValidString(text) {
			require.True(t, utf8.ValidString(text[f.Start:f.End]) && utf8.ValidString(text[:f.Start]), "on a character's boundary: %q %v", text, f)
		}
		end = f.End
	}
	again := d.Find(nil, text, hint)
	require.Len(t, again, len(got))
	for i := range got {
		require.Equal(t, got[i], again[i], "the same each time: %q", text)
	}
	return got
}

// allExamples are the lines of all corpora.
func allExamples(t testing.TB) []example {
	t.Helper()
	var all []example
	for _, class := range Classes {
		all = append(all, readCorpus(t, string(class))...)
	}
	return append(all, readCorpus(t, "lookalikes")...)
}

func FuzzFind(f *testing.F) {
	for _, e := range allExamples(f) {
		f.Add(e.text, uint64(HintOf(e.key)))
	}
	f.Add("\xff\xfe@\xff.com 0\xc2", uint64(0))
	all, err := New(Config{Custom: []Custom{{Name: "badge", Class: "badge", Pattern: `B-(?P<value>\d{3,})`, Keywords: []string{"badge"}}, {Name: "short", Class: "x", Pattern: `[a-c]+`}}})
	require.NoError(f, err)
	masked, err := New(Config{Skip: func(text string) int {
		if strings.HasPrefix(text, "pn_") {
			return min(len(text), 12)
		}
		return 0
	}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string, hint uint64) {
		holds(t, all, text, Hint(hint))
		holds(t, masked, text, Hint(hint)&hintMeaning)
		for _, class := range Classes {
			one, err := New(Config{Classes: []Class{class}})
			require.NoError(t, err)
			for _, found := range holds(t, one, text, Hint(hint)) {
				require.Equal(t, class, found.Class, "only what is asked for")
			}
		}
	})
}

func FuzzHintOf(f *testing.F) {
	for _, e := range allExamples(f) {
		f.Add(e.key)
	}
	f.Fuzz(func(_ *testing.T, key string) { HintOf(key) })
}

// hostile are texts that a careless scanner goes over again and again.
var hostile = map[string]func(n int) string{
	"at signs":              func(n int) string { return strings.Repeat("@", n) },
	"addresses in chains":   func(n int) string { return strings.Repeat("a@", n/2) },
	"dotted addresses":      func(n int) string { return strings.Repeat("a@b.", n/4) },
	"one long local part":   func(n int) string { return strings.Repeat("a", n) + "@b.co" },
	"one long domain":       func(n int) string { return "a@" + strings.Repeat("b.", n/2) },
	"encoded at signs":      func(n int) string { return strings.Repeat("a%40", n/4) },
	"percent signs":         func(n int) string { return strings.Repeat("%41", n/3) },
	"quotes before at":      func(n int) string { return strings.Repeat(`"@`, n/2) },
	"digits":                func(n int) string { return strings.Repeat("1", n) },
	"digits and hyphens":    func(n int) string { return strings.Repeat("1-", n/2) },
	"digits and dots":       func(n int) string { return strings.Repeat("1.", n/2) },
	"digits and blanks":     func(n int) string { return strings.Repeat("1 ", n/2) },
	"four digits, blanks":   func(n int) string { return strings.Repeat("4111 ", n/5) },
	"a letter at the end":   func(n int) string { return strings.Repeat("1-", n/2) + "a" },
	"letters and digits":    func(n int) string { return strings.Repeat("a1", n/2) },
	"words with hyphens":    func(n int) string { return strings.Repeat("a1-", n/3) },
	"words with underlines": func(n int) string { return strings.Repeat("a_1_", n/4) },
	"parentheses":           func(n int) string { return strings.Repeat("(", n) },
	"digits in parentheses": func(n int) string { return strings.Repeat("(1", n/2) },
	"open and closed":       func(n int) string { return strings.Repeat("(0)", n/3) },
	"plus signs":            func(n int) string { return strings.Repeat("+1", n/2) },
	"zeros":                 func(n int) string { return strings.Repeat("00 1 ", n/5) },
	"colons":                func(n int) string { return strings.Repeat(":", n) },
	"hex and colons":        func(n int) string { return strings.Repeat("a:", n/2) },
	"hex and two colons":    func(n int) string { return strings.Repeat("1::", n/3) },
	"four hex and colons":   func(n int) string { return strings.Repeat("abcd:", n/5) },
	"schemes":               func(n int) string { return strings.Repeat("a://", n/4) },
	"userinfo":              func(n int) string { return strings.Repeat("a://b:c@", n/8) },
	"colons in userinfo":    func(n int) string { return "://" + strings.Repeat(":a", n/2) },
	"assignments":           func(n int) string { return strings.Repeat("password=", n/9) },
	"open quotes":           func(n int) string { return strings.Repeat(`password="`, n/10) },
	"equal signs":           func(n int) string { return strings.Repeat("=", n) },
	"base64":                func(n int) string { return strings.Repeat("basic aaaa=", n/11) },
	"prefixes":              func(n int) string { return strings.Repeat("ghp_", n/4) + "1" },
	"web tokens":            func(n int) string { return strings.Repeat("eyJ1.", n/5) },
	"private keys":          func(n int) string { return strings.Repeat("-----BEGIN PRIVATE KEY-----\n1", n/29) },
	"other blocks":          func(n int) string { return strings.Repeat("-----BEGIN X-----1", n/18) },
	"half a block":          func(n int) string { return strings.Repeat("-----BEGIN 1", n/12) },
	"country codes":         func(n int) string { return strings.Repeat("DE89 ", n/5) },
	"one long word":         func(n int) string { return "DE89" + strings.Repeat("a", n) },
	"keywords":              func(n int) string { return strings.Repeat("tel 1234567 ", n/12) },
	"long words and digits": func(n int) string { return strings.Repeat(strings.Repeat("b", 60)+" 1234567 ", n/69) },
	"months":                func(n int) string { return strings.Repeat("1 may ", n/6) },
	"month's letters":       func(n int) string { return strings.Repeat("1 "+strings.Repeat("ä", 30), n/62) },
	"degrees":               func(n int) string { return strings.Repeat("1°", n/3) },
	"decimals":              func(n int) string { return strings.Repeat("1.1234,", n/7) },
	"times":                 func(n int) string { return strings.Repeat("2024-01-02T10:", n/14) },
	"broken UTF-8":          func(n int) string { return strings.Repeat("\xff\xc2", n/2) + "@a.co 1" },
	"marks before at":       func(n int) string { return strings.Repeat("é@", n/3) },
	"CJK and digits":        func(n int) string { return strings.Repeat("電話は123456", n/15) },
	"wallets":               func(n int) string { return strings.Repeat("1BoatSLRHtKNngkdXEeobR76b53LETtpyU ", n/35) },
	"IDs":                   func(n int) string { return strings.Repeat("AB 12 34 ", n/9) },
}

// TestWorkIsLinearInTheText counts what bytes are looked at: four times the text must not cost more than some four times as many.
func TestWorkIsLinearInTheText(t *testing.T) {
	count := 0
	d := testDetector(t)
	d.count = &count
	steps := func(text string) int {
		count = 0
		d.Find(nil, text, 0)
		return count
	}
	worst, name := 0.0, ""
	for what, make := range hostile {
		const n = 8 << 10
		one, four := make(n), make(4*n)
		a, b := steps(one), steps(four)
		perByte := float64(b) / float64(len(four))
		require.LessOrEqual(t, float64(b), 4.2*float64(a)+200, "%s: %d steps for %d bytes, %d for %d", what, a, len(one), b, len(four))
		require.Less(t, perByte, 60.0, "%s", what)
		if perByte > worst {
			worst, name = perByte, what
		}
	}
	t.Logf("most steps a byte: %.1f by %s", worst, name)
}

// filler are words of which none says anything.
var filler = strings.Fields(`the quick brown fox jumps over lazy dogs while we wait for rain und dann gehen wir nach Hause où sont les neiges
	mañana será otro día grüße aus Köln 你好 世界 привет мир 5 12 2024 3.5 v2 A4 ok? yes! no... (maybe) "quoted" it's x-ray re: user_name`)

func TestATrueValueIsFoundInWhateverText(t *testing.T) {
	d := testDetector(t)
	r := rand.New(rand.NewPCG(5, 7))
	generators := checkdigittest.Generators()
	punctuated := checkdigittest.PunctuatedGenerators()
	values := map[Class]func() (keyword, value string){
		Email: func() (string, string) {
			return "", fmt.Sprintf("u%d.x-y+z@mail%d.example.org", r.IntN(1000), r.IntN(100))
		},
		Phone:       func() (string, string) { return "", "+" + generators["phone_international"](r) },
		PaymentCard: func() (string, string) { return "card", generators["payment_card"](r) },
		IBAN:        func() (string, string) { return "", generators["iban"](r) },
		NationalID:  func() (string, string) { return "cpf", punctuated["national_id_br_cpf"](r) },
		IPAddress:   func() (string, string) { return "", fmt.Sprintf("2001:db8:%x::%x", 1+r.IntN(65535), 1+r.IntN(65535)) },
		MACAddress: func() (string, string) {
			return "", fmt.Sprintf("a2:%02x:%02x:%02x:00:01", r.IntN(256), r.IntN(256), r.IntN(256))
		},
		CryptoWallet: func() (string, string) { return "", generators["wallet_bitcoin"](r) },
		Coordinates:  func() (string, string) { return "", fmt.Sprintf("%.5f,%.5f", 10+r.Float64()*70, 10+r.Float64()*70) },
		BirthDate: func() (string, string) {
			return "born", fmt.Sprintf("%d-%02d-%02d", 1940+r.IntN(70), 1+r.IntN(12), 1+r.IntN(28))
		},
		Secret: func() (string, string) { return "", fmt.Sprintf("ghp_aB%014x%020d", r.Uint64()>>8, r.Uint64()) },
	}
	for _, class := range slices.Sorted(maps.Keys(values)) { // in order: a seed must mean the same values in every run
		value := values[class]
		for range 300 {
			var b strings.Builder
			for range r.IntN(12) {
				b.WriteString(filler[r.IntN(len(filler))])
				b.WriteString(" und ")
			}
			keyword, v := value()
			if keyword != "" {
				b.WriteString(keyword + " ")
			}
			start := b.Len()
			b.WriteString(v)
			for range r.IntN(5) {
				b.WriteString(" und " + filler[r.IntN(len(filler))])
			}
			text := b.String()
			found := false
			for _, f := range holds(t, d, text, 0) {
				found = found || f.Class == class && f.Start == start && f.End == start+len(v)
			}
			if !found {
				t.Errorf("%s %q is not found in %q: %s", class, v, text, show(text, d.Find(nil, text, 0)))
			}
		}
	}
}

func TestNationalIDsAreFoundBesideTheirKeywords(t *testing.T) {
	d := testDetector(t)
	r := rand.New(rand.NewPCG(3, 9))
	for _, all := range []map[string]checkdigittest.Generator{checkdigittest.Generators(), checkdigittest.PunctuatedGenerators()} {
		for _, rule := range slices.Sorted(maps.Keys(all)) {
			generate := all[rule]
			if !strings.HasPrefix(rule, "national_id_") {
				continue
			}
			for range 2000 {
				v := generate(r)
				text := "national ID: " + v + ", as it says"
				got := d.Find(nil, text, 0)
				if len(got) != 1 || got[0].Class != NationalID || text[got[0].Start:got[0].End] != v {
					t.Errorf("%s: %q: %s", rule, text, show(text, got))
				}
			}
		}
	}
}

func TestWhatIsBothACardAndAnIDIsWhatItIsSaidToBe(t *testing.T) {
	d := testDetector(t)
	f := func(text string, want Class) {
		t.Helper()
		got := d.Find(nil, text, 0)
		if len(got) != 1 || got[0].Class != want {
			t.Errorf("%q: %s", text, show(text, got))
		}
	}
	const both = "371358843187058" // of American Express and of France, with the check digits of both
	f("national ID: "+both, NationalID)
	f("card "+both, PaymentCard)
	f("call me about "+both+" please", PaymentCard)
}
