// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"cmp"
	"strings"
)

// compareVersions orders versions part by part, parts being separated by '-', '.' or '_': numbers by their
// value, numbers before words, words as text. So "2" < "10", "1-0-9" < "1-0-10" and "1.0" < "1.0.1".
func compareVersions(a, b string) int {
	separator := func(r rune) bool { return r == '-' || r == '.' || r == '_' }
	as, bs := strings.FieldsFunc(a, separator), strings.FieldsFunc(b, separator)
	for i := range min(len(as), len(bs)) {
		if c := compareParts(as[i], bs[i]); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(len(as), len(bs)); c != 0 {
		return c
	}
	return strings.Compare(a, b) // equal in value: any fixed order
}

func compareParts(a, b string) int {
	an, bn := isNumber(a), isNumber(b)
	if an != bn {
		if an {
			return -1
		}
		return 1
	}
	if !an {
		return strings.Compare(a, b)
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func isNumber(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
