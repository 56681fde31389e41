// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/detector"
)

func TestScoresCountWhatIsFoundMissedAndWrong(t *testing.T) {
	const text = "a@b.c +49 171 1 x"
	label := func(start, end int, class detector.Class, open bool) Span {
		return Span{start, end, class, "some", open}
	}
	finding := func(start, end int, class detector.Class) detector.Finding {
		return detector.Finding{Start: start, End: end, Class: class, Rule: "r"}
	}
	f := func(labels []Span, found []detector.Finding, class detector.Class, want Score, faults int) {
		t.Helper()
		r := Evaluate("c", []Sample{{"k", text, labels, "en", "o"}}, func(dst []detector.Finding, _, _ string) []detector.Finding { return append(dst, found...) })
		assert.Equal(t, want, *r.Scores[class])
		assert.Len(t, r.Faults, faults)
	}
	email := []Span{label(0, 5, detector.Email, false)}
	f(email, []detector.Finding{finding(0, 5, detector.Email)}, detector.Email, Score{Labels: 1, Found: 1, Exact: 1, Bytes: 5, Findings: 1, Right: 1}, 0)
	// A part of it is found, but not exactly, and the rest stays.
	f(email, []detector.Finding{finding(0, 3, detector.Email)}, detector.Email, Score{Labels: 1, Found: 1, Uncovered: 2, Bytes: 5, Findings: 1, Right: 1}, 0)
	// Another class covers the bytes: missed, and wrong.
	f(email, []detector.Finding{finding(0, 5, detector.Phone)}, detector.Email, Score{Labels: 1, Bytes: 5}, 2)
	f(email, []detector.Finding{finding(0, 5, detector.Phone)}, detector.Phone, Score{Findings: 1}, 2)
	f(email, nil, detector.Email, Score{Labels: 1, Uncovered: 5, Bytes: 5}, 1)
	// Open: neither way is a fault.
	f([]Span{label(6, 15, detector.Phone, true)}, nil, detector.Phone, Score{Open: 1}, 0)
	f([]Span{label(6, 15, detector.Phone, true)}, []detector.Finding{finding(6, 15, detector.Phone)}, detector.Phone, Score{Open: 1, OpenFound: 1, Findings: 1, Right: 1}, 0)
	// What has no label is wrong.
	f(nil, []detector.Finding{finding(16, 17, detector.IBAN)}, detector.IBAN, Score{Findings: 1}, 1)
}

func TestLabelsMoveWithWhatIsEscaped(t *testing.T) {
	v := escaped(join("say \"", personal(detector.Email, "plain", "a<b@c.d"), "\"\n"), inJSON)
	require.Equal(t, `say \"a\u003cb@c.d\"\n`, v.Text)
	require.Equal(t, `a\u003cb@c.d`, v.Text[v.Spans[0].Start:v.Spans[0].End])
}

func TestTheJudgeTellsPersonalDataFromWhatLooksAlike(t *testing.T) {
	f := func(class detector.Class, text string, want bool) {
		t.Helper()
		from, to := strings.Index(text, "["), strings.LastIndex(text, "]")
		plain := text[:from] + text[from+1:to] + text[to+1:]
		assert.Equal(t, want, Right(class, plain, from, to-1), text)
	}
	f(detector.Email, "by [jane@example.org]", true)
	f(detector.Email, `<["john..doe"@example.org]>`, true)
	f(detector.Email, "clone [git@example.org]:a/b", false)
	f(detector.Email, "https://u:[pass@example.org]/", false)
	f(detector.Email, "get [m.Path@m.Version]", false)
	f(detector.Email, "unit [user@1000.service]", false)
	f(detector.IPAddress, "dial [192.0.2.1]:80", true)
	f(detector.IPAddress, "http://[1.2.3.4]/", true)
	f(detector.IPAddress, "Chrome/[120.0.1.2]", false)
	f(detector.IPAddress, "version [1.2.3.4]", false)
	f(detector.IPAddress, "// [3.2.4.2]", false)
	f(detector.IPAddress, "OID [1.3.6.1].4", false)
	f(detector.IPAddress, "[2001:db8::1]", true)
	f(detector.IPAddress, "use [a::b]", false)
	f(detector.Phone, "x [+1 201-555-0123]", true)
	f(detector.Phone, "x [228 184 150]", false)
	f(detector.PaymentCard, "test with [4111 1111 1111 1111]", true)
	f(detector.PaymentCard, `"sig": "[3006020101020101]"`, false)
	f(detector.MACAddress, "at [00:00:5e:00:53:01]", true)
	f(detector.MACAddress, "fp [00:00:5e:00:53:01]:02", false)
	f(detector.Secret, "t [eyJhbGciOiJIUzI1NiJ9.e30.abc]", true)
	f(detector.Secret, "t [abcdefghijklmnop]", false)
	f(detector.Password, "ftp://u:[p%40ss]@h.example/", true)
	f(detector.Password, "--- PASS: [TestX]", false)
	f(detector.Coordinates, "lat/lon [52.5, 13.4]", true)
	f(detector.Coordinates, "f([0.5, 0.25])", false)
	f(detector.BirthDate, "born [1984-03-01]", true)
	f(detector.BirthDate, "on [1984-03-01]", false)
	f(detector.CryptoWallet, "[1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa]", true)
	f(detector.CryptoWallet, "[1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb]", false)
	f(detector.IBAN, "IBAN [DE89370400440532013000]", true)
	f(detector.NationalID, "= [1074033763]", false)
}

func TestTheReportHasNoTokensAndNoAddressesOfPeople(t *testing.T) {
	f := func(fault Fault, absent string) {
		t.Helper()
		r := &Result{Corpus: fault.Corpus, Scores: map[detector.Class]*Score{}, Faults: []Fault{fault}}
		code := &CodeResult{Scores: map[detector.Class]*CodeScore{}}
		for _, c := range detector.Classes {
			r.Scores[c], code.Scores[c] = &Score{}, &CodeScore{}
		}
		list, err := CSV([]*Result{r}, code)
		require.NoError(t, err)
		assert.NotContains(t, Markdown([]*Result{r}, code)+string(list), absent)
	}
	f(Fault{Corpus: "templates", Class: detector.Secret, Form: "x", Value: "npm_abcdefghij", Around: "npm_abcdefghij"}, "abcdefghij")
	f(Fault{Corpus: "code", Origin: "f.go", Class: detector.Email, Form: "x", Value: "jane@example.org", Around: "by jane@example.org"}, "jane")
}

func TestAReportTakesThePlaceOfTheOneInThePage(t *testing.T) {
	page, err := IntoPage("a\n"+reportBegin+"old\n"+reportEnd+"b\n", "new")
	require.NoError(t, err)
	require.Equal(t, "a\n"+reportBegin+"\nnew\n\n"+reportEnd+"b\n", page)
	_, err = IntoPage("nothing", "new")
	require.ErrorIs(t, err, errNoMarks)
}
