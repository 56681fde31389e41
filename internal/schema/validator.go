// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace/millrace/internal/event"
)

// validator judges events by one schema. It is immutable and safe for concurrent use.
type validator struct {
	fast    *rule              // nil where the schema uses what the rules do not know
	library *jsonschema.Schema // the engine: its verdict is the verdict
	costly  bool               // see tooCostly
}

func newValidator(compiled *jsonschema.Schema) *validator {
	return &validator{fast: compileFast(compiled), library: compiled, costly: isCostly(compiled)}
}

func (v *validator) validate(e *event.Event) *Violation {
	if v == nil { // a Schema that was not compiled, in tests of other packages
		return nil
	}
	if v.costly && tooCostly(v.library, e) {
		return &Violation{Keyword: "schema"}
	}
	if v.fast != nil && v.fast.eval(nil, e.Properties, 0) == valid {
		return nil
	}
	return validateLibrary(v.library, e)
}
