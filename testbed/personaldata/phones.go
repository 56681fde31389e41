// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/millrace/millrace/internal/detector"
)

// regions are where a language's people have their telephones.
var regions = map[string][]string{
	"en": {"US", "GB", "IN", "AU", "CA", "NZ", "IE", "ZA", "SG", "NG"}, "de": {"DE", "AT", "CH"}, "fr": {"FR", "BE", "CH", "CA", "MA"},
	"es": {"ES", "MX", "AR", "CO", "CL", "PE"}, "it": {"IT", "CH"}, "pt": {"PT", "BR"}, "nl": {"NL", "BE"}, "pl": {"PL"}, "tr": {"TR"}, "ja": {"JP"},
	"sv": {"SE", "FI"}, "cs": {"CZ", "SK"},
}

// phone is a number that libphonenumber holds for valid, of one of the language's regions. The second half of an example number is
// drawn anew, so that numbers are many.
func (m *maker) phone(international, bare bool) Value {
	region := pick(m, regions[m.language]...)
	number := m.number(region, pick(m, phonenumbers.MOBILE, phonenumbers.MOBILE, phonenumbers.FIXED_LINE))
	if international {
		text := phonenumbers.Format(number, phonenumbers.INTERNATIONAL)
		switch m.n(8) {
		case 0, 1:
			return personal(detector.Phone, "international, no blanks", phonenumbers.Format(number, phonenumbers.E164))
		case 2:
			return personal(detector.Phone, "international, hyphens", strings.ReplaceAll(text, " ", "-"))
		case 3:
			return personal(detector.Phone, "international, dots", strings.ReplaceAll(text, " ", "."))
		case 4:
			if code, rest, ok := strings.Cut(text, " "); ok {
				return personal(detector.Phone, "international, parentheses", "("+code+") "+rest)
			}
		}
		return personal(detector.Phone, "international", text)
	}
	text, form := phonenumbers.Format(number, phonenumbers.NATIONAL), "national"
	switch m.n(8) {
	case 0, 1:
		text, form = onlyDigits(text), "national, digits alone"
	case 2:
		text, form = strings.NewReplacer(" ", ".", "-", ".", "(", "", ")", "").Replace(text), "national, dots"
	case 3:
		text, form = strings.NewReplacer(" ", "-", "(", "", ")", "").Replace(text), "national, hyphens"
	case 4:
		text, form = "00"+strings.TrimPrefix(phonenumbers.Format(number, phonenumbers.INTERNATIONAL), "+"), "00 and the country"
	}
	if bare {
		return open(detector.Phone, form+", without a word", text)
	}
	return personal(detector.Phone, form, text)
}

// number is a valid one of the region.
func (m *maker) number(region string, of phonenumbers.PhoneNumberType) *phonenumbers.PhoneNumber {
	example := phonenumbers.GetExampleNumberForType(region, of)
	if example == nil {
		example = phonenumbers.GetExampleNumber(region)
	}
	national := phonenumbers.GetNationalSignificantNumber(example)
	for range 50 {
		keep := len(national) - len(national)/2
		n, err := phonenumbers.Parse(national[:keep]+m.word(len(national)-keep, "0123456789"), region)
		if err == nil && phonenumbers.IsValidNumberForRegion(n, region) {
			return n
		}
	}
	return example
}

func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}
