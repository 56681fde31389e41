// SPDX-License-Identifier: Apache-2.0

package checkdigit_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/checkdigit"
	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
	"github.com/millrace/millrace/testbed/pythontest"
)

// difference is where we differ from python-stdnum on purpose.
type difference struct {
	why  string
	ours bool // our verdict; theirs is the other one
	of   func(v string) bool
}

// comparison is a rule and the module of python-stdnum that has it.
type comparison struct {
	rule    string
	module  string
	differs []difference
}

// rare are values that show differences which no drawn value would: '?' stands for each digit, '*' for each letter.
var rare = map[string][]string{
	"national_id_us_ssn":            {"457555462", "078051120", "219099999"},
	"national_id_mx_curp":           {"AAAA900101XDFBBB0?", "PUTO900101HDFBBB0?"},
	"national_id_es_dni":            {"00000000*"},
	"national_id_fr_nir":            {"1850500006084??"},
	"national_id_it_codice_fiscale": {"RSSMRA85T10A000*"},
	"national_id_be_nn":             {"850101000??", "850001000??", "850000001??", "000001001??"},
	"national_id_cz_rc":             {"53110300?", "55110300?"},
	"national_id_ro_cnp":            {"185010140000?", "700022940001?"},
}

func expand(pattern string) []string {
	at := strings.IndexAny(pattern, "?*")
	if at < 0 {
		return []string{pattern}
	}
	chars := "0123456789"
	if pattern[at] == '*' {
		chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	}
	var all []string
	for _, c := range chars {
		all = append(all, expand(pattern[:at]+string(c)+pattern[at+1:])...)
	}
	return all
}

func num(v string, from, to int) int {
	n := 0
	for _, c := range v[from:to] {
		n = n*10 + int(c-'0')
	}
	return n
}

// prefixed says that v begins with one of what the list names, which blanks part.
func prefixed(list string) func(v string) bool {
	return func(v string) bool {
		for _, p := range strings.Fields(list) {
			if strings.HasPrefix(v, p) {
				return true
			}
		}
		return false
	}
}

func same(v string) bool { return strings.Count(v, v[:1]) == len(v) }

// noDate says that day and month, of two digits at these places, are no date of any year.
func noDate(day, month, mostMonths int) func(v string) bool {
	return func(v string) bool {
		d, m := num(v, day, day+2), num(v, month, month+2)
		return d < 1 || d > 31 || m < 1 || m > mostMonths || d == 31 && (m == 4 || m == 6 || m == 9 || m == 11) || m == 2 && d > 28
	}
}

var comparisons = []comparison{
	{"national_id_us_ssn", "us.ssn", []difference{
		{"457-55-5462 is somebody's, and is masked; that an advertisement made it known does not make it nobody's", true, prefixed("457555462")},
	}},
	{"national_id_us_itin", "us.itin", []difference{
		{"the IRS has given out 50 to 65 since 2014", true, func(v string) bool { n := num(v, 3, 5); return n >= 50 && n <= 65 }},
	}},
	{"national_id_ca_sin", "ca.sin", nil},
	{"national_id_br_cpf", "br.cpf", []difference{
		{"the same digit eleven times passes the arithmetic and is never given out", false, same},
	}},
	{"national_id_mx_curp", "mx.curp", []difference{
		{"X is a sex since 2021", true, func(v string) bool { return v[10] == 'X' }},
		{"rude words as initials are rewritten when given out; one that was not is still somebody's", true, prefixed(
			"BACA BAKA BUEI BUEY CACA CACO CAGA CAGO CAKA CAKO COGE COGI COJA COJE COJI COJO COLA CULO FALO FETO GETA GUEI GUEY JETA JOTO KACA KACO KAGA KAGO KAKA KAKO " +
				"KOGE KOGI KOJA KOJE KOJI KOJO KOLA KULO LILO LOCA LOCO LOKA LOKO MAME MAMO MEAR MEAS MEON MIAR MION MOCO MOKO MULA MULO NACA NACO PEDA PEDO PENE " +
				"PIPI PITO POPO PUTA PUTO QULO RATA ROBA ROBE ROBO RUIN SENO TETA VACA VAGA VAGO VAKA VUEI VUEY WUEI WUEY")},
	}},
	{"national_id_ar_cuit", "ar.cuit", []difference{
		{"companies and others are no persons", false, prefixed("30 33 34 50 51 55")},
		{"25 and 26 are of persons too", true, prefixed("25 26")},
		{"a check digit of 10 is not written as 9: the person gets another prefix instead", false, func(v string) bool { return v[10] == '9' }},
	}},
	{"national_id_cl_rut", "cl.rut", []difference{
		{"none is written with a leading zero in that length", false, prefixed("0")},
	}},
	{"national_id_se_personnummer", "se.personnummer", []difference{
		{"60 is added to the day of a coordination number", true, func(v string) bool { return num(v, len(v)-6, len(v)-4) > 60 }},
		{"nobody was born before 1800 or after 2099", false, func(v string) bool { return len(v) == 12 && (v < "18" || v >= "21") }},
	}},
	{"national_id_no_fnr", "no.fodselsnummer", nil},
	{"national_id_dk_cpr", "dk.cpr", nil},
	{"national_id_fi_hetu", "fi.hetu", []difference{
		{"numbers from 900 on are for a time, or for tests: they stand for people all the same", true, func(v string) bool { return v[len(v)-4] == '9' }},
		{"without the sign, which is lost where only letters and digits are kept", true, func(v string) bool { return len(v) == 10 }},
	}},
	{"national_id_is_kennitala", "is_.kennitala", []difference{
		{"those of organisations are no persons", false, func(v string) bool { return v[0] >= '4' }},
		{"8 was the 19th century", true, func(v string) bool { return v[9] == '8' }},
	}},
	{"national_id_ee_lt", "ee.ik", []difference{
		{"nobody was born from 2100 on", false, prefixed("7 8")},
	}},
	{"national_id_ee_lt", "lt.asmens", []difference{
		{"nobody was born from 2100 on, and the few that begin with 9 have no date", false, prefixed("7 8 9")},
	}},
	{"national_id_gb_nhs", "gb.nhs", []difference{
		{"the same digit ten times passes the arithmetic and is never given out", false, same},
	}},
	{"national_id_ie_pps", "ie.pps", nil},
	{"national_id_de_idnr", "de.idnr", []difference{
		{"no digit stands there thrice in a row", false, func(v string) bool {
			for i := 2; i < 10; i++ {
				if v[i] == v[i-1] && v[i] == v[i-2] {
					return true
				}
			}
			return false
		}},
	}},
	{"national_id_fr_nir", "fr.nir", []difference{
		{"sexes are 1 and 2, 7 and 8 for a time, 3 and 4 of foreigners", false, prefixed("0 5 6 9")},
		{"months are 1 to 12, and 20, 30 to 42 and 50 on where none is known", false, func(v string) bool {
			m := num(v, 3, 5)
			return m == 0 || m > 12 && m < 20 || m > 20 && m < 30 || m > 42 && m < 50
		}},
		{"no department, municipality or serial number is 0", false, func(v string) bool { return v[5:7] == "00" || v[7:10] == "000" || v[10:13] == "000" }},
	}},
	{"national_id_es_dni", "es.dni", []difference{{"number 0 was not given out", false, prefixed("00000000")}}},
	{"national_id_es_nie", "es.nie", []difference{{"K, L and M are of those who have no DNI", true, prefixed("K L M")}}},
	{"national_id_it_codice_fiscale", "it.codicefiscale", []difference{
		{"consonants stand before vowels", false, func(v string) bool { return vowelBeforeConsonant(v[0:3]) || vowelBeforeConsonant(v[3:6]) }},
		{"days are 1 to 31 and 41 to 71", false, func(v string) bool { return strings.ContainsAny(v[9:10], "89UV") }},
		{"no municipality is 0", false, func(v string) bool { return strings.Trim(v[12:15], "0L") == "" }},
	}},
	{"national_id_pt_nif", "pt.nif", []difference{
		{"of persons and sole traders alone", false, func(v string) bool { return !prefixed("1 2 3 45 8")(v) }},
	}},
	{"national_id_nl_bsn", "nl.bsn", []difference{
		{"none is below 10,000,000", false, prefixed("00")},
	}},
	{"national_id_be_nn", "be.ssn", []difference{
		{"serial numbers begin with 1", false, func(v string) bool { return v[6:9] == "000" }},
		{"a day that is no day of the month stands for one that nobody knows, and then is 0", false, func(v string) bool { return num(v, 4, 6) > 28 }},
	}},
	{"national_id_ch_ahv", "ch.ssn", nil},
	{"national_id_at_svnr", "at.vnr", []difference{
		{"what follows is a date of birth, with months up to 15", false, noDate(4, 6, 15)},
	}},
	{"national_id_pl_pesel", "pl.pesel", []difference{
		{"nobody was born from 2100 on", false, func(v string) bool { m := num(v, 2, 4); return m > 40 && m < 80 }},
	}},
	{"national_id_cz_rc", "cz.rc", czDifferences},
	{"national_id_cz_rc", "sk.rc", czDifferences},
	{"national_id_ro_cnp", "ro.cnp", []difference{
		{"serial numbers begin with 1", false, func(v string) bool { return v[9:12] == "000" }},
		{"7, 8 and 9 do not tell the century, and 2000 was a leap year", true, func(v string) bool { return v[0] >= '7' && v[1:7] == "000229" }},
	}},
	{"national_id_bg_egn", "bg.egn", nil},
	{"national_id_hr_oib", "hr.oib", nil},
	{"national_id_si_emso", "si.emso", []difference{
		{"nobody of before 1850 has one", false, func(v string) bool { y := num(v, 4, 7); return y >= 100 && y < 850 }},
		{"a check digit of 10 is not written as 0: the serial number is passed over", false, func(v string) bool { return v[12] == '0' }},
	}},
	{"national_id_gr_amka", "gr.amka", nil},
	{"national_id_tr_tckn", "tr.tckimlik", nil},
	{"national_id_ru_inn", "ru.inn", []difference{
		{"regions and offices begin with 1", false, prefixed("0000")},
	}},
	{"national_id_ua_rntrc", "ua.rntrc", []difference{
		{"the first five digits are a day of 1900 to 2049", false, func(v string) bool { n := num(v, 0, 5); return n == 0 || n > 54786 }},
	}},
	{"national_id_il_tz", "il.idnr", nil},
	{"national_id_in_aadhaar", "in_.aadhaar", nil},
	{"national_id_in_pan", "in_.pan", []difference{
		{"P alone is a person", false, func(v string) bool { return v[3] != 'P' }},
	}},
	{"national_id_cn_ric", "cn.ric", []difference{
		{"nobody of before 1850 or after 2099 has one, and no region begins with 0", false, func(v string) bool { y := num(v, 6, 10); return y < 1850 || y > 2099 || v[0] == '0' }},
	}},
	{"national_id_kr_rrn", "kr.rrn", []difference{
		{"the check digit of foreigners is two more", true, func(v string) bool { return v[6] >= '5' && v[6] <= '8' }},
		{"the check digit of foreigners is two more", false, func(v string) bool { return v[6] >= '5' && v[6] <= '8' }},
		{"places beyond 96 are not ruled out", true, func(v string) bool { return v[7:9] > "96" }},
	}},
	{"national_id_jp_my_number", "jp.in_", []difference{
		{"the same digit twelve times passes the arithmetic and is never given out", false, same},
	}},
	{"national_id_th", "th.pin", nil},
	{"national_id_au_tfn", "au.tfn", []difference{{"number 0 was not given out", false, prefixed("000000000")}}},
	{"national_id_za", "za.idnr", []difference{
		{"2 is of refugees", true, func(v string) bool { return v[10] == '2' }},
	}},
}

var czDifferences = []difference{
	{"20 is added to the month from 2004 on", false, func(v string) bool { m := num(v, 2, 4) % 50; return m > 20 && (v < "04" || v >= "54") }},
	{"the rest of 10 was written as 0 until 1985", false, func(v string) bool { return len(v) == 10 && v[9] == '0' && (v >= "86" || v < "54") }},
	{"month 40 and 90 and the like are none", false, func(v string) bool { m := num(v, 2, 4) % 50; return m > 32 }},
	{"nine digits are taken in punctuation alone", false, func(v string) bool { return len(v) == 9 }},
}

func vowelBeforeConsonant(name string) bool {
	vowel := false
	for _, c := range name {
		switch {
		case strings.ContainsRune("AEIOU", c):
			if vowel && strings.Contains(name[:2], "X") && name[1] == 'X' {
				return true // nothing follows the filler
			}
			vowel = true
		case vowel && c != 'X':
			return true
		}
	}
	return false
}

// samples are values by a rule's forms: random ones, valid ones, and valid ones with a character changed or two neighbours swapped.
func samples(rule *checkdigit.NationalID, generate checkdigittest.Generator, r *rand.Rand) []string {
	all := []string{}
	for range 700 {
		v := generate(r)
		all = append(all, v, mutate(r, v), mutate(r, mutate(r, v)), swap(r, v))
		for _, form := range rule.Forms {
			all = append(all, checkdigittest.Fill(r, form))
		}
	}
	// What only differs in the last character meets the check digit whatever it is.
	for range 150 {
		v := []byte(checkdigittest.Fill(r, rule.Forms[0]))
		for _, c := range "0123456789AKX" {
			v[len(v)-1] = byte(c)
			all = append(all, string(v))
		}
	}
	for _, pattern := range rare[rule.Rule] {
		all = append(all, expand(pattern)...)
	}
	for _, form := range rule.Forms {
		for c := '0'; c <= '9'; c++ {
			all = append(all, strings.NewReplacer("9", string(c), "A", "A", "X", string(c)).Replace(form))
		}
	}
	return all
}

func mutate(r *rand.Rand, v string) string {
	b := []byte(v)
	i := r.IntN(len(b))
	if b[i] >= '0' && b[i] <= '9' {
		b[i] = byte('0' + r.IntN(10))
	} else {
		b[i] = byte('A' + r.IntN(26))
	}
	return string(b)
}

func swap(r *rand.Rand, v string) string {
	b := []byte(v)
	i := r.IntN(len(b) - 1)
	b[i], b[i+1] = b[i+1], b[i]
	return string(b)
}

// stdnum asks python-stdnum. It knows no today (all is of 2099 at the latest), so that its verdict is the same every day, and no list of Chinese
// regions, which we have not either.
const stdnum = `
import datetime, importlib, sys
class Date(datetime.date):
    @classmethod
    def today(cls):
        return cls(2099, 12, 31)
datetime.date = Date
import stdnum.cn.ric
stdnum.cn.ric.get_birth_place = lambda number: {}
import stdnum.iban, stdnum.luhn
def verdict(module, value):
    try:
        if module == 'iban':
            return stdnum.iban.is_valid(value, check_country=False)
        return importlib.import_module('stdnum.' + module).is_valid(value)
    except Exception:
        # Some modules fall over what is no number at all instead of refusing it.
        return False
out = []
for line in open(sys.argv[1]):
    module, _, value = line.rstrip('\n').partition('\t')
    out.append('1' if verdict(module, value) else '0')
print(''.join(out))
`

type question struct{ module, value string }

func ask(t *testing.T, questions []question) string {
	t.Helper()
	var text strings.Builder
	for _, q := range questions {
		text.WriteString(q.module + "\t" + q.value + "\n")
	}
	path := filepath.Join(t.TempDir(), "questions")
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	out := strings.TrimSpace(pythontest.Run(t, stdnum, path))
	require.Len(t, out, len(questions))
	return out
}

func TestVerdictsAreStdnumsButForTheDifferencesThatAreExplained(t *testing.T) {
	t.Parallel()
	rules := map[string]*checkdigit.NationalID{}
	for i := range checkdigit.NationalIDs {
		rules[checkdigit.NationalIDs[i].Rule] = &checkdigit.NationalIDs[i]
	}
	generators, punctuated := checkdigittest.Generators(), checkdigittest.PunctuatedGenerators()
	r := rand.New(rand.NewPCG(5, 6))
	var questions []question
	var of []int
	for i, c := range comparisons {
		for _, v := range samples(rules[c.rule], generators[c.rule], r) {
			questions, of = append(questions, question{c.module, v}), append(of, i)
		}
		if c.rule == "national_id_fi_hetu" { // its punctuation tells the century
			for range 2000 {
				v := punctuated[c.rule](r)
				questions, of = append(questions, question{c.module, v}, question{c.module, mutate(r, v)}), append(of, i, i)
			}
		}
	}
	theirs := ask(t, questions)
	agreed, valid := map[string]int{}, map[string]int{}
	used := map[string]int{}
	for k, q := range questions {
		c := comparisons[of[k]]
		rule := rules[c.rule]
		ours := rule.Valid(q.value) || rule.Punctuated != nil && rule.Punctuated(q.value) == len(q.value)
		if ours == (theirs[k] == '1') {
			agreed[c.module]++
			if ours {
				valid[c.module]++
			}
			continue
		}
		explained := false
		for _, d := range c.differs {
			if d.ours == ours && d.of(q.value) {
				used[c.module+": "+d.why]++
				explained = true
				break
			}
		}
		if !explained {
			t.Errorf("%s: %q is %v to us and not to stdnum's %s", c.rule, q.value, ours, c.module)
		}
	}
	for _, c := range comparisons {
		require.Greater(t, valid[c.module], 300, "%s: too few values that both take", c.module)
		t.Logf("%-34s %-18s agree on %d, %d of them valid", c.rule, c.module, agreed[c.module], valid[c.module])
	}
	for _, c := range comparisons {
		for _, d := range c.differs {
			assert.Positive(t, used[c.module+": "+d.why], "%s: no value shows the difference: %s", c.module, d.why)
		}
	}
}

func TestIBANsAreStdnums(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	var questions []question
	for range 2000 {
		v := checkdigittest.IBAN(r)
		questions = append(questions, question{"iban", v}, question{"iban", mutate(r, v)}, question{"iban", swap(r, v)}, question{"iban", v[:len(v)-1]}, question{"iban", v + "0"})
	}
	for _, v := range registryExamples {
		questions = append(questions, question{"iban", v}, question{"iban", mutate(r, v)})
	}
	theirs := ask(t, questions)
	valid := 0
	for k, q := range questions {
		ours := checkdigit.IBAN(q.value)
		if ours {
			valid++
		}
		if check := q.value[2:4]; !ours && theirs[k] == '1' && (check == "00" || check == "01" || check == "99") {
			continue // pass the arithmetic, but the check digits are 98 less the rest: 02 to 98 (ISO 13616-1)
		}
		if ours != (theirs[k] == '1') {
			t.Errorf("%q is %v to us and not to stdnum", q.value, ours)
		}
	}
	require.Greater(t, valid, 2000)
}

func TestLuhnIsStdnums(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	var questions []question
	for range 2000 {
		v := checkdigittest.PaymentCard(r)
		questions = append(questions, question{"luhn", v}, question{"luhn", mutate(r, v)}, question{"luhn", swap(r, v)})
	}
	theirs := ask(t, questions)
	for k, q := range questions {
		if ours := checkdigit.Luhn(q.value); ours != (theirs[k] == '1') {
			t.Errorf("%q is %v to us and not to stdnum", q.value, ours)
		}
	}
}
