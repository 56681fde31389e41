// SPDX-License-Identifier: Apache-2.0

package checkdigit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/checkdigit"
	"github.com/millrace/millrace/testbed/pythontest"
)

// faker prints IDs, cards and IBANs that Faker makes up, one a line, after the name of the rule that should take them.
const faker = `
import sys
from faker import Faker
for pair in sys.argv[1:]:
    locale, rule = pair.split('=')
    fake = Faker(locale)
    fake.seed_instance(4711)
    for _ in range(150):
        value = {'payment_card': lambda: fake.credit_card_number(), 'iban': lambda: fake.iban()}.get(rule, lambda: fake.ssn())()
        print(rule + '\t' + locale + '\t' + value)
`

// TestWhatFakerMakesUpIsTaken asks a second oracle, which also has what python-stdnum lacks. Left out are locales whose IDs are a United States' form
// by default, and the United Kingdom, whose numbers there begin with ZZ, which HMRC does not give out.
func TestWhatFakerMakesUpIsTaken(t *testing.T) {
	t.Parallel()
	pairs := strings.Fields(`
		zh_TW=tw he_IL=il_tz th_TH=th hr_HR=hr_oib no_NO=no_fnr nl_BE=be_nn fr_CH=ch_ahv pt_BR=br_cpf pl_PL=pl_pesel el_GR=gr_amka it_IT=it_codice_fiscale
		de_AT=at_svnr fi_FI=fi_hetu sv_SE=se_personnummer ro_RO=ro_cnp en_CA=ca_sin nl_NL=nl_bsn fr_FR=fr_nir et_EE=ee_lt zh_CN=cn_ric en_US=us_ssn uk_UA=ua_rntrc tr_TR=tr_tckn
		en_US=payment_card de_DE=iban en_GB=iban fr_FR=iban it_IT=iban nl_NL=iban es_ES=iban pl_PL=iban tr_TR=iban fi_FI=iban`)
	taken, all := map[string]int{}, map[string]int{}
	refused := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(pythontest.Run(t, faker, pairs...)), "\n") {
		parts := strings.Split(line, "\t")
		require.Len(t, parts, 3, line)
		rule, v := parts[0], parts[2]
		name := parts[1] + "=" + rule
		ok := false
		switch rule {
		case "payment_card":
			_, ok = checkdigit.PaymentCard(v)
			ok = ok || strings.HasPrefix(v, "0604") // Faker's Maestro, of an industry that has no cards (ISO/IEC 7812-1)
		case "iban":
			ok = checkdigit.IBAN(v)
		default:
			r := ruleOf(t, rule)
			ok = r.Valid(v) || r.Punctuated != nil && r.Punctuated(v) == len(v)
		}
		all[name]++
		if ok {
			taken[name]++
		} else {
			refused[name] += " " + v
		}
	}
	for _, name := range pairs {
		t.Logf("%-24s %d of %d, refused%.120s", name, taken[name], all[name], refused[name])
		assert.Equal(t, all[name], taken[name], "%s: refused%s", name, refused[name])
	}
}
