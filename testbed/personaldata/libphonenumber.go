// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"strconv"

	"github.com/nyaruka/phonenumbers"

	"github.com/millrace/millrace/internal/detector"
)

// phoneSentences say that a telephone number follows; openSentences say nothing of the kind.
var (
	phoneSentences = []string{
		"My phone number is %.", "Please call % before noon.", "Tel: %", "Meine Telefonnummer ist %.", "Rückruf bitte: Tel. %", "Mon numéro de téléphone : %", "Appelez-moi au téléphone, %, merci.",
		"Mi teléfono es %, gracias.", "Il mio telefono è %.", "Meu telefone é %.", "Mijn telefoonnummer is %.", "Mój telefon: %", "Telefon numaram %.", "電話番号は%です。", "Mobile % (evenings)", "phone=%",
	}
	openSentences = []string{
		"You get me at %.", "Es ist % hinterlegt.", "C'est le %, merci beaucoup.", "Escribid a % por favor.", "% asked for a refund", "%", "{\"to\":\"%\"}", "sent to %, 2 parts", "<%> ok", "宛先は%です。",
	}
	phoneKeys = []string{"phone", "user.phone_number", "contact_mobile", "telephone", "phoneNumber"}
)

// LibPhoneNumber has the example numbers of all regions and of the codes that belong to none, of landlines and of mobile phones:
// internationally in a sentence that does not say what they are, nationally in one that does, or under a key that does.
func LibPhoneNumber(seed uint64) []Sample {
	m := newMaker(seed, "libphonenumber")
	var out []Sample
	add := func(origin string, number *phonenumbers.PhoneNumber, nationally bool) {
		international := phonenumbers.Format(number, phonenumbers.INTERNATIONAL)
		out = append(out,
			m.within("message", pick(m, openSentences...), origin, personal(detector.Phone, "international", international)),
			m.within("message", pick(m, openSentences...), origin, personal(detector.Phone, "international, no blanks", phonenumbers.Format(number, phonenumbers.E164))))
		if !nationally {
			return
		}
		national := phonenumbers.Format(number, phonenumbers.NATIONAL)
		out = append(out,
			m.within("message", pick(m, phoneSentences...), origin, personal(detector.Phone, "national, after a word", national)),
			m.within(pick(m, phoneKeys...), "%", origin, personal(detector.Phone, "national, under a key", national)),
			m.within("message", pick(m, openSentences...), origin, open(detector.Phone, "national, without a word", national)))
	}
	for _, region := range sortedKeys(phonenumbers.GetSupportedRegions()) {
		seen := map[string]bool{}
		for _, of := range []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE} {
			number := phonenumbers.GetExampleNumberForType(region, of)
			if number == nil || seen[phonenumbers.Format(number, phonenumbers.E164)] {
				continue
			}
			seen[phonenumbers.Format(number, phonenumbers.E164)] = true
			add(region, number, true)
		}
	}
	for _, code := range sortedKeys(phonenumbers.GetSupportedGlobalNetworkCallingCodes()) {
		if number := phonenumbers.GetExampleNumberForNonGeoEntity(code); number != nil {
			add("+"+strconv.Itoa(code), number, false)
		}
	}
	return out
}

// within puts the value in place of the sentence's '%'.
func (m *maker) within(key, sentence, origin string, v Value) Sample {
	var b builder
	for i, c := range sentence {
		if c == '%' {
			b.add(v)
		} else {
			b.add(sentence[i : i+len(string(c))])
		}
	}
	whole := b.value()
	return Sample{key, whole.Text, whole.Spans, "", origin}
}
