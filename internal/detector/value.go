// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"math"
	"strconv"

	"github.com/millrace/millrace/internal/checkdigit"
)

// FindInt says what the integer n is. An integer has no form of its own: it must be expected by its key, but for payment cards,
// whose issuer and check digit tell them where the key does not speak against it.
func (d *Detector) FindInt(n int64, hint Hint) (class Class, rule string, found bool) {
	if n < 1e5 {
		return d.coordinate(float64(n), hint)
	}
	var buf [20]byte
	digits := strconv.AppendInt(buf[:0], n, 10)
	if d.on&hintCard != 0 && len(digits) >= 12 && (hint&hintCard != 0 || hint&(hintInnocent|hintPhone|hintNationalID) == 0 && (len(digits) == 16 || len(digits) == 15)) {
		if _, ok := checkdigit.PaymentCard(string(digits)); ok {
			return PaymentCard, ruleCard, true
		}
	}
	if d.on&hint&hintPhone != 0 && len(digits) >= 7 && len(digits) <= 15 {
		return Phone, rulePhoneKeyword, true
	}
	if d.on&hint&hintNationalID != 0 && len(digits) < maxID {
		for _, r := range idRules.digits[len(digits)] {
			if r.Valid(string(digits)) {
				return NationalID, r.Rule, true
			}
		}
		// A number has lost the zeros that it began with.
		var padded [maxID]byte
		for n := len(digits) + 1; n < maxID && n <= len(digits)+2; n++ {
			copy(padded[copy(padded[:], "00"[:n-len(digits)]):], digits)
			for _, r := range idRules.digits[n] {
				if r.Valid(string(padded[:n])) {
					return NationalID, r.Rule, true
				}
			}
		}
	}
	if d.on&hint&hintBirth != 0 && len(digits) == 8 && isDay(int(n/10000), int(n/100%100), int(n%100)) {
		return BirthDate, ruleBirth, true
	}
	return "", "", false
}

// FindFloat is FindInt for a double.
func (d *Detector) FindFloat(f float64, hint Hint) (class Class, rule string, found bool) {
	if f == math.Trunc(f) && f >= 1e5 && f < 1<<53 {
		return d.FindInt(int64(f), hint)
	}
	return d.coordinate(f, hint)
}

func (d *Detector) coordinate(f float64, hint Hint) (class Class, rule string, found bool) {
	if d.on&hint&hintCoordinates != 0 && f >= -180 && f <= 180 {
		return Coordinates, ruleCoordinate, true
	}
	return "", "", false
}
