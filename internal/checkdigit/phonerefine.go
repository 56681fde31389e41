// SPDX-License-Identifier: Apache-2.0

package checkdigit

import "strings"

// refined says whether n, of a length and first digit that plans has, can be a national number by what else is known of the numbering plan.
func refined(code int, n string) bool {
	switch code {
	case 1:
		return NANP(n)
	case 27:
		return n[0] != '9'
	case 31: // 8 and 9 begin networks and services: 84, 85, 87, 88, 91 and 97
		return n[0] < '8' || oneOf(n[:2], "84 85 87 88 91 97 ")
	case 32: // nine digits have mobile networks, 45 to 49
		return (len(n) == 9) == (n[0] == '4' && n[1] >= '5')
	case 36: // landlines have eight digits; nine have mobile networks, whose second digit is 0 or 1
		return len(n) == 8 || n[0] != '1' && n[1] <= '1'
	case 39:
		switch n[0] {
		case '0':
			return n[1] != '0'
		case '3':
			return len(n) == 9 && n[1] != '1' || len(n) >= 10
		case '4': // the newest mobile numbers
			return len(n) == 10 && n[1] == '3'
		}
		return len(n) >= 9
	case 41:
		return n[0] < '8' || oneOf(n[:2], "80 81 84 86 87 90 91 ")
	case 43: // mobile numbers are 64x to 69x with nine digits or more; they alone have thirteen
		if n[0] == '6' && n[1] >= '4' {
			return len(n) >= 9
		}
		return len(n) <= 12
	case 44:
		return britain(n)
	case 46: // mobile numbers are 70, 72, 73, 76 and 79 with nine digits
		return n[0] != '7' || len(n) == 9 || strings.IndexByte("14578", n[1]) >= 0
	case 48:
		return !oneOf(n[:2], "10 11 19 20 ")
	case 49: // of what begins with 1, mobile networks alone
		if n[0] != '1' {
			return true
		}
		return n[1] == '5' && len(n) == 11 || (n[1] == '6' || n[1] == '7') && len(n) >= 10
	case 51: // mobile numbers
		return (len(n) == 9) == (n[0] == '9')
	case 52: // mobile numbers had a 1 before them until 2019
		if len(n) == 11 {
			return n[0] == '1' && n[1] >= '2'
		}
		return n[0] != '1'
	case 54: // mobile numbers have a 9 before them
		return (len(n) == 11) == (n[0] == '9') && (n[0] != '9' || n[1] >= '1' && n[1] <= '3')
	case 55: // an area of two digits, then mobile numbers have 9 and eight digits; others go on with 2 to 5, or 7
		if n[1] == '0' {
			return false
		}
		if len(n) == 11 {
			return n[2] == '9'
		}
		return n[2] >= '2' && n[2] <= '5' || n[2] == '7'
	case 64:
		return n[0] == '2' || len(n) == 8 || n[0] == '5' || n[0] == '8'
	case 81: // mobile and IP numbers of ten digits begin with 50, 60, 70, 80 or 90
		if len(n) == 10 {
			return n[1] == '0'
		}
		return n[1] != '0' || n[0] == '1'
	case 82:
		switch n[0] {
		case '1':
			return len(n) >= 9 && (n[1] <= '1' || n[1] >= '6')
		case '2':
			return n[1] >= '2'
		}
		return n[0] < '8'
	case 86: // mobile numbers are 13 to 19 with eleven digits; others an area, 10 or from 2 on, and seven or eight digits
		if n[0] == '1' {
			return len(n) == 11 && n[1] >= '3' || len(n) == 10 && n[1] == '0'
		}
		return len(n) == 10 || n[0] >= '3'
	case 90:
		return n[0] != '8' || oneOf(n[:2], "80 85 88 ")
	case 351:
		return n[0] != '9' || n[1] != '0' && n[1] != '5'
	case 353: // mobile numbers
		return n[0] != '8' || len(n) == 9
	}
	return true
}

// britain: nine digits have old areas beginning with 1, and 800; the rest ten (Ofcom, National Telephone Numbering Plan).
func britain(n string) bool {
	if len(n) == 9 {
		return n[0] == '1' && n[1] >= '2' || n[:3] == "800"
	}
	switch n[0] {
	case '1':
		return n[1] != '0'
	case '2':
		return strings.IndexByte("03489", n[1]) >= 0
	case '3':
		return strings.IndexByte("0347", n[1]) >= 0
	case '5':
		return n[1] == '5' || n[1] == '6'
	case '8':
		return n[1] == '0' || n[1] == '4' || n[1] == '7'
	case '9':
		return n[1] == '0' || n[1] == '1' || n[1] == '8'
	}
	return true
}

// oneOf says whether two digits are in list, which has them with a blank after each.
func oneOf(two, list string) bool {
	for i := 0; i < len(list); i += 3 {
		if list[i:i+2] == two {
			return true
		}
	}
	return false
}
