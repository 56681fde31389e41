// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/millrace/millrace/internal/checkdigit"
	"github.com/millrace/millrace/internal/detector"
)

// FakerScript prints the corpus "faker": run it with a seed and a number of samples for each locale.
//
//go:embed faker.py
var FakerScript string

// ReadFaker reads what FakerScript printed. Faker draws telephone numbers digit by digit, and many could be nobody's:
// those that libphonenumber refuses for the locale's region are open. So are IDs of states for which there is no rule.
func ReadFaker(printed string) ([]Sample, error) {
	var out []Sample
	for line := range strings.Lines(printed) {
		var read struct {
			Locale, Region, Key string
			Parts               []json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &read); err != nil {
			return nil, fmt.Errorf("reading a line of Faker's: %w", err)
		}
		var b builder
		for _, raw := range read.Parts {
			if raw[0] == '"' {
				var text string
				if err := json.Unmarshal(raw, &text); err != nil {
					return nil, fmt.Errorf("reading a text of Faker's: %w", err)
				}
				b.add(text)
				continue
			}
			var text, class, form string
			var isOpen bool
			if err := json.Unmarshal(raw, &[]any{&text, &class, &form, &isOpen}); err != nil {
				return nil, fmt.Errorf("reading a value of Faker's: %w", err)
			}
			v := personal(detector.Class(class), form, text)
			v.Spans[0].Open = isOpen
			judge(&v, read.Region)
			b.add(v)
		}
		v := b.value()
		out = append(out, Sample{read.Key, v.Text, v.Spans, read.Locale, "faker"})
	}
	return out, nil
}

func judge(v *Value, region string) {
	s := &v.Spans[0]
	switch s.Class {
	case detector.Phone:
		number, err := phonenumbers.Parse(v.Text, region)
		international := strings.HasPrefix(strings.TrimLeft(v.Text, "( "), "+")
		switch {
		case err != nil || !phonenumbers.IsValidNumber(number):
			s.Open, s.Form = true, "refused by libphonenumber"
		case international:
			s.Form = "international"
		default:
			s.Open = s.Form == "without a word"
			s.Form = "national, " + s.Form
		}
	case detector.NationalID:
		if !hasRule(region) {
			s.Open, s.Form = true, region+" without a rule"
		}
	}
}

// hasRule says whether there is a rule for a state's IDs: which ones there are is documented, and others are not asked for.
func hasRule(region string) bool {
	for i := range checkdigit.NationalIDs {
		if strings.HasPrefix(checkdigit.NationalIDs[i].Rule, "national_id_"+strings.ToLower(region)) {
			return true
		}
	}
	return map[string]bool{"SK": true, "LT": true}[region] // Czechia's and Estonia's rules are theirs too
}
