// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"slices"

	"github.com/millrace/millrace/internal/checkdigit"
)

// builtIn are the rules of this package's own detectors, with their class's bit.
var builtIn = func() []rule {
	rules := []rule{
		{ruleEmail, hintEmail},
		{rulePhoneInternational, hintPhone}, {rulePhoneNational, hintPhone}, {rulePhoneKeyword, hintPhone},
		{ruleCard, hintCard},
		{ruleIBAN, hintIBAN},
		{ruleIPv4, hintIP}, {ruleIPv6, hintIP},
		{ruleMAC, hintMAC}, {ruleEUI64, hintMAC},
		{ruleCoordinate, hintCoordinates}, {ruleCoordinatePair, hintCoordinates}, {ruleDegrees, hintCoordinates}, {ruleGeoURI, hintCoordinates},
		{ruleBirth, hintBirth},
		{ruleURLPassword, hintPassword}, {rulePasswordAssigned, hintPassword},
	}
	for _, chain := range chains {
		rules = append(rules, rule{ruleWallet + chain, hintWallet})
	}
	rules = append(rules, rule{ruleJWT, hintSecret}, rule{rulePrivateKey, hintSecret}, rule{ruleSecretAssigned, hintSecret}, rule{ruleAuthorization, hintSecret}, rule{ruleTelegram, hintSecret})
	for _, t := range tokens {
		rules = append(rules, rule{t.rule, hintSecret})
	}
	return rules
}()

type rule struct {
	name  string
	class Hint
}

// Rules are the names of all rules that d can find something by, sorted: the built-in ones of its classes, national IDs', custom ones'.
func (d *Detector) Rules() []string {
	var names []string
	for _, r := range builtIn {
		if d.on&r.class != 0 {
			names = append(names, r.name)
		}
	}
	if d.on&hintNationalID != 0 {
		for i := range checkdigit.NationalIDs {
			names = append(names, checkdigit.NationalIDs[i].Rule)
		}
	}
	for i := range d.custom {
		names = append(names, d.custom[i].name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
