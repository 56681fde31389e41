// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"strings"

	"github.com/millrace/millrace/internal/checkdigit/checkdigittest"
	"github.com/millrace/millrace/internal/detector"
)

var compactIDs, punctuatedIDs = checkdigittest.Generators(), checkdigittest.PunctuatedGenerators()

// nationalIDs are the words that people put before an ID, by the language whose templates have them and the name of the rule that makes it.
var nationalIDs = map[string]map[string][]string{
	"en": {
		"us_ssn": {"social security number", "SSN"}, "us_itin": {"ITIN"}, "gb_nhs": {"NHS number", "NHS no."}, "gb_nino": {"National Insurance number", "NI number"},
		"ca_sin": {"social insurance number", "SIN"}, "au_tfn": {"tax file number", "TFN"}, "in_aadhaar": {"Aadhaar", "Aadhaar number"}, "in_pan": {"PAN card", "PAN"},
		"sg_nric": {"NRIC"}, "za": {"South African ID number", "ID number"}, "hk": {"HKID", "Hong Kong identity card"}, "ie_pps": {"PPS number", "PPSN"}, "il_tz": {"Teudat Zehut", "תעודת זהות"},
		"th": {"Thai national ID", "เลขประจำตัวประชาชน"}, "kr_rrn": {"resident registration number", "주민등록번호"}, "cn_ric": {"resident identity card", "身份证号"}, "tw": {"Taiwan national ID", "身分證字號"},
		"ru_inn": {"INN", "ИНН"}, "ru_snils": {"SNILS", "СНИЛС"}, "ua_rntrc": {"РНОКПП", "ІПН"}, "gr_amka": {"AMKA", "ΑΜΚΑ"},
	},
	"de": {"de_idnr": {"Steuer-ID", "Steueridentifikationsnummer", "Steuer-IdNr."}, "at_svnr": {"Sozialversicherungsnummer", "SV-Nummer"}, "ch_ahv": {"AHV-Nummer", "AHV-Nr."}},
	"fr": {"fr_nir": {"numéro de sécurité sociale", "NIR"}, "be_nn": {"numéro national", "numéro de registre national"}, "ch_ahv": {"numéro AVS"}},
	"es": {"es_dni": {"DNI", "documento nacional de identidad"}, "es_nie": {"NIE"}, "ar_cuit": {"CUIT", "CUIL"}, "cl_rut": {"RUT", "RUN"}, "mx_curp": {"CURP"}},
	"it": {"it_codice_fiscale": {"codice fiscale", "C.F."}, "ch_ahv": {"numero AVS"}},
	"pt": {"br_cpf": {"CPF", "número do CPF"}, "pt_nif": {"NIF", "número de contribuinte"}},
	"nl": {"nl_bsn": {"BSN", "burgerservicenummer"}, "be_nn": {"rijksregisternummer"}},
	"pl": {"pl_pesel": {"PESEL", "numer PESEL"}, "ee_lt": {"isikukood", "asmens kodas"}},
	"tr": {"tr_tckn": {"T.C. kimlik no", "TC kimlik numarası", "TCKN"}, "bg_egn": {"ЕГН", "EGN"}, "ro_cnp": {"CNP", "cod numeric personal"}, "hr_oib": {"OIB"}, "si_emso": {"EMŠO"}},
	"ja": {"jp_my_number": {"マイナンバー", "個人番号"}},
	"sv": {"se_personnummer": {"personnummer", "personnr"}, "no_fnr": {"fødselsnummer"}, "dk_cpr": {"CPR-nummer", "CPR"}, "fi_hetu": {"henkilötunnus", "hetu"}, "is_kennitala": {"kennitala"}},
	"cs": {"cz_rc": {"rodné číslo", "r.č."}},
}

// nationalIDRules are nationalIDs' keys in order, so that the seed alone says which are drawn.
var nationalIDRules = func() map[string][]string {
	out := map[string][]string{}
	for language, of := range nationalIDs {
		out[language] = sortedKeys(of)
	}
	return out
}()

// nationalID is an ID after its word, or, without one, open.
func (m *maker) nationalID(word bool) Value {
	rule := pick(m, nationalIDRules[m.language]...)
	generate, form := compactIDs["national_id_"+rule], ""
	if g := punctuatedIDs["national_id_"+rule]; g != nil && m.chance(2) {
		generate, form = g, " with punctuation"
	}
	number := generate(m.r)
	name := strings.ToUpper(rule[:2]) + strings.ReplaceAll(rule[2:], "_", " ") + form
	if !word {
		return open(detector.NationalID, name+", without a word", number)
	}
	return join(pick(m, nationalIDs[m.language][rule]...), pick(m, ": ", " ", ":", " = ", " "), personal(detector.NationalID, name, number))
}
