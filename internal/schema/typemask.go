// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"math/big"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// typeMask is a set of JSON types. Whole and other numbers are apart, so that "integer" is a subset of
// "number" and sets can be intersected.
type typeMask uint8

const (
	maskNull typeMask = 1 << iota
	maskBool
	maskWhole
	maskFraction
	maskString
	maskArray
	maskObject

	maskNumber          = maskWhole | maskFraction
	maskAll    typeMask = 1<<7 - 1
)

// maskOf returns the types that the keyword type allows.
func maskOf(types *jsonschema.Types) typeMask {
	if types == nil || types.IsEmpty() {
		return maskAll
	}
	var mask typeMask
	for _, name := range types.ToStrings() {
		switch name {
		case "null":
			mask |= maskNull
		case "boolean":
			mask |= maskBool
		case "integer":
			mask |= maskWhole
		case "number":
			mask |= maskNumber
		case "string":
			mask |= maskString
		case "array":
			mask |= maskArray
		case "object":
			mask |= maskObject
		}
	}
	return mask
}

// maskOfValue returns the type of a value of a schema document.
func maskOfValue(v any) typeMask {
	switch v := v.(type) {
	case nil:
		return maskNull
	case bool:
		return maskBool
	case json.Number:
		if r, ok := new(big.Rat).SetString(string(v)); ok && r.IsInt() {
			return maskWhole
		}
		return maskFraction
	case string:
		return maskString
	case []any:
		return maskArray
	default:
		return maskObject
	}
}
