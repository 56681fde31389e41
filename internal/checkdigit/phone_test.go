// SPDX-License-Identifier: Apache-2.0

package checkdigit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/checkdigit"
)

var personal = []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE}

func regions() []string {
	all := []string{}
	for region := range phonenumbers.GetSupportedRegions() {
		all = append(all, region)
	}
	slices.Sort(all)
	return all
}

func digitsOf(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, text)
}

func TestEveryExampleOfLibphonenumberIsAnInternationalPhone(t *testing.T) {
	count := 0
	for _, region := range regions() {
		for _, kind := range personal {
			n := phonenumbers.GetExampleNumberForType(region, kind)
			if n == nil || n.GetCountryCode() == 0 {
				continue
			}
			count++
			v := phonenumbers.Format(n, phonenumbers.E164)
			assert.True(t, checkdigit.InternationalPhone(v[1:]), "%s: %s", region, v)
		}
	}
	require.Greater(t, count, 450)
}

// homeCountries are those that NationalPhone knows.
var homeCountries = strings.Fields("US CA GB IE DE AT CH NL BE FR ES PT IT PL CZ SE FI NO DK AU NZ ZA TR IN BR MX JP KR CN")

func TestEveryExampleOfLibphonenumberIsANationalPhoneAtHome(t *testing.T) {
	for _, country := range homeCountries {
		for _, kind := range personal {
			text := phonenumbers.Format(phonenumbers.GetExampleNumberForType(country, kind), phonenumbers.NATIONAL)
			assert.True(t, checkdigit.NationalPhone(country, digitsOf(text)), "%s: %s", country, text)
			assert.True(t, checkdigit.NationalPhone("", digitsOf(text)), "%s: %s", country, text)
		}
	}
}

func TestNumbersThatLibphonenumberTakesAreSeldomRefused(t *testing.T) {
	// Of the countries that most numbers are of, at lengths that are common: 98 in 100. What is left are N11 exchanges and area codes of
	// rare services.
	r := rand.New(rand.NewPCG(1, 1))
	for _, country := range homeCountries {
		code := fmt.Sprint(phonenumbers.GetCountryCodeForRegion(country))
		length := len(phonenumbers.GetNationalSignificantNumber(phonenumbers.GetExampleNumberForType(country, phonenumbers.MOBILE)))
		valid, taken := 0, 0
		for valid < 200 {
			v := code + strings.Map(func(rune) rune { return rune('0' + r.IntN(10)) }, strings.Repeat("9", length))
			n, err := phonenumbers.Parse("+"+v, "")
			if err != nil || phonenumbers.Format(n, phonenumbers.E164) != "+"+v {
				continue
			}
			switch phonenumbers.GetNumberType(n) {
			case phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
			default:
				continue
			}
			valid++
			if checkdigit.InternationalPhone(v) {
				taken++
			}
		}
		assert.GreaterOrEqual(t, float64(taken)/float64(valid), 0.96, "%s: of %d numbers %d", country, valid, taken)
	}
}

func TestInternationalPhonesByLengthAndBeginning(t *testing.T) {
	f := func(want bool, digits string) {
		t.Helper()
		assert.Equal(t, want, checkdigit.InternationalPhone(digits), digits)
	}
	// Numbers that regulators keep for drama: Ofcom's, ACMA's, the NANP's 555-01xx, ARCEP's, BNetzA's.
	f(true, "442079460123")
	f(true, "447700900123")
	f(true, "61491570156")
	f(true, "12025550143")
	f(true, "33199001234")
	f(true, "493023125001")
	f(true, "390698123456")  // Italy keeps the 0
	f(true, "4402079460123") // the prefix of home left in, as people do, and libphonenumber forgives
	f(true, "330199001234")
	f(false, "44002079460123")
	f(false, "3300199001234")
	f(true, "878101234567890") // universal personal, disaster relief, premium rate
	f(true, "88812345678901")
	f(true, "979123456789")
	f(false, "11234567890") // an area does not begin with 1
	f(false, "12021550143") // nor an exchange
	f(false, "12025110143")
	f(false, "19115550143")
	f(false, "12955550143")
	f(false, "1202555014")
	f(false, "120255501430")
	f(false, "44770090012")
	f(false, "4915112345678901")
	f(false, "210123456789") // 210 is not assigned
	f(false, "999123456789")
	f(false, "0491701234567")
	f(false, "49111111111")
	f(false, "")
	f(false, "1")
	f(false, "44")
	f(false, "44770090012x")
	f(false, "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8")
	f(false, "４４７７００９００１２３")
}

func TestNationalPhonesByCountry(t *testing.T) {
	f := func(want bool, country, digits string) {
		t.Helper()
		assert.Equal(t, want, checkdigit.NationalPhone(country, digits), "%s %s", country, digits)
	}
	f(true, "US", "2025550143")
	f(true, "US", "12025550143")
	f(false, "US", "1025550143")
	f(false, "US", "02025550143")
	f(true, "GB", "02079460123")
	f(true, "GB", "07700900123")
	f(false, "GB", "7700900123")
	f(false, "GB", "0770090012")
	f(true, "DE", "03023125001")
	f(true, "DE", "017612345678")
	f(false, "DE", "17612345678")
	f(false, "DE", "01512345678") // 0151 has eight digits after it
	f(false, "DE", "0101234567")
	f(true, "FR", "0612345678")
	f(false, "FR", "061234567")
	f(true, "ES", "612345678")
	f(false, "ES", "412345678")
	f(true, "IT", "0698123456")
	f(true, "IT", "3471234567")
	f(false, "IT", "2471234567")
	f(true, "NL", "0612345678")
	f(true, "BE", "0470123456")
	f(true, "AT", "0664123456")
	f(true, "CH", "0791234567")
	f(true, "PL", "512345678")
	f(true, "PT", "912345678")
	f(true, "SE", "0701234567")
	f(true, "NO", "41234567")
	f(true, "DK", "20123456")
	f(true, "FI", "0401234567")
	f(true, "IE", "0851234567")
	f(true, "AU", "0491570156")
	f(true, "NZ", "0211234567")
	f(true, "IN", "9876543210")
	f(false, "IN", "1876543210")
	f(true, "BR", "11987654321")
	f(true, "BR", "011987654321")
	f(false, "BR", "11887654321")
	f(true, "MX", "5512345678")
	f(true, "JP", "09012345678")
	f(true, "JP", "0312345678")
	f(true, "KR", "01012345678")
	f(true, "CN", "13812345678")
	f(true, "CN", "01012345678")
	f(false, "CN", "12812345678")
	f(true, "ZA", "0821234567")
	f(true, "TR", "05321234567")
	f(false, "XX", "05321234567")
	f(false, "", "00000000000")
	f(false, "", "")
	f(false, "", "0532x234567")
}

func TestNANP(t *testing.T) {
	f := func(want bool, digits string) {
		t.Helper()
		assert.Equal(t, want, checkdigit.NANP(digits), digits)
	}
	f(true, "2025550143")
	f(false, "1025550143")
	f(false, "2121550143")
	f(false, "2125110143")
	f(false, "9115550143")
	f(false, "2905550143")
	f(false, "202555014")
	f(false, "20255501433")
	f(false, "202555014é")
}
