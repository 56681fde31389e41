// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"cmp"
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/millrace/millrace/internal/event"
)

// maxPointer bounds a violation's pointer in bytes: keys come from outside and can be of any length.
const maxPointer = 1024

// notJSON stands for a value that JSON does not have: NaN, the infinities, and what nests too deep to read. To the library it is of no type
// at all, so whatever judges it says no. (As a float64 it would make the library's hashing panic.)
type notJSON struct{}

// validateLibrary judges by the library. A panic of it counts as a violation: the event must not be able to
// end the process.
func validateLibrary(compiled *jsonschema.Schema, e *event.Event) (found *Violation) {
	properties := propertiesOf(e)
	defer func() {
		if recover() != nil {
			found = &Violation{Keyword: "schema"}
		}
	}()
	err := compiled.Validate(properties)
	if err == nil {
		return nil
	}
	invalid, ok := err.(*jsonschema.ValidationError) //nolint:errorlint // the library's documented type, never wrapped
	if !ok {
		return &Violation{Keyword: "schema"}
	}
	return (&explainer{properties: properties}).choose(invalid)
}

// propertiesOf builds the JSON object that the library wants. Of a key that stands twice the first wins.
func propertiesOf(e *event.Event) map[string]any {
	obj := make(map[string]any, len(e.Properties))
	for i := range e.Properties {
		p := &e.Properties[i]
		if _, exists := obj[p.Key]; !exists {
			obj[p.Key] = jsonOf(p.Value, 1)
		}
	}
	return obj
}

// jsonOf converts a value. What nests deeper than event.MaxDepth becomes notJSON.
func jsonOf(v event.Value, depth int) any {
	if depth > event.MaxDepth {
		return notJSON{}
	}
	switch v.Kind() {
	case event.KindString:
		return v.Str()
	case event.KindBool:
		return v.Bool()
	case event.KindInt:
		return v.Int()
	case event.KindDouble:
		f := v.Double()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return notJSON{}
		}
		return f
	case event.KindBytes:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	case event.KindMap:
		obj := make(map[string]any, v.Len())
		for k, m := range v.Members {
			if _, exists := obj[k]; !exists {
				obj[k] = jsonOf(m, depth+1)
			}
		}
		return obj
	case event.KindSlice:
		arr := make([]any, v.Len())
		for i := range arr {
			arr[i] = jsonOf(v.Index(i), depth+1)
		}
		return arr
	default:
		return nil
	}
}

// explainer brings the library's error about an event down to one violation.
type explainer struct {
	properties map[string]any
	names      map[memberName]memberPlace // made when it is first asked for
}

// memberName is a member's name and the level of the object that has it: 0 for the properties themselves.
type memberName struct {
	level int
	name  string
}

// memberPlace says how many members of one name and level there are, and where the last one is.
type memberPlace struct {
	found   int
	pointer string
}

// choose takes one violation of all that the library found, always the same one for the same event: the
// library walks maps, so its own order changes from run to run.
func (x *explainer) choose(err *jsonschema.ValidationError) *Violation {
	all := x.appendLeaves(nil, err)
	if len(all) == 0 {
		return &Violation{Keyword: "schema"}
	}
	first := slices.MinFunc(all, func(a, b Violation) int {
		if c := strings.Compare(a.Pointer, b.Pointer); c != 0 {
			return c
		}
		return cmp.Compare(a.Keyword, b.Keyword)
	})
	first.Pointer = clip(first.Pointer)
	return &first
}

// appendLeaves appends the causes at the leaves. Where the branches of anyOf or oneOf disagree about what
// is wrong, the event failed the choice itself, and that is what is said.
func (x *explainer) appendLeaves(dst []Violation, err *jsonschema.ValidationError) []Violation {
	at := event.Pointer(err.InstanceLocation)
	switch k := err.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		keyword := k.KeywordPath()[0]
		var inner []Violation
		for _, cause := range err.Causes {
			inner = x.appendLeaves(inner, cause)
		}
		for _, v := range inner {
			if v != inner[0] {
				return append(dst, Violation{at, keyword})
			}
		}
		if len(inner) == 0 {
			return append(dst, Violation{at, keyword})
		}
		return append(dst, inner[0])
	case *kind.Required:
		return appendMissing(dst, at, "required", k.Missing)
	case *kind.DependentRequired:
		return appendMissing(dst, at, "dependentRequired", k.Missing)
	case *kind.Dependency:
		return appendMissing(dst, at, "dependencies", k.Missing)
	case *kind.AdditionalProperties:
		return appendMissing(dst, at, "additionalProperties", k.Properties)
	case *kind.PropertyNames:
		pointer := x.locateName(len(err.InstanceLocation), k.Property)
		return append(dst, Violation{pointer, "propertyNames"})
	case *kind.Contains, *kind.MinContains, *kind.MaxContains:
		return append(dst, Violation{at, k.KeywordPath()[0]}) // the causes are all elements that do not match
	case *kind.InvalidJsonValue:
		return append(dst, Violation{at, "type"}) // NaN or an infinity
	case *kind.FalseSchema:
		return append(dst, Violation{at, falseKeyword(err.SchemaURL)})
	case *kind.Not:
		return append(dst, Violation{at, "not"})
	}
	if len(err.Causes) > 0 {
		for _, cause := range err.Causes {
			dst = x.appendLeaves(dst, cause)
		}
		return dst
	}
	keyword := "schema"
	if path := err.ErrorKind.KeywordPath(); len(path) > 0 {
		keyword = path[0]
	}
	return append(dst, Violation{at, keyword})
}

func appendMissing(dst []Violation, at, keyword string, names []string) []Violation {
	for _, name := range names {
		dst = append(dst, Violation{at + "/" + event.EscapePointer(name), keyword})
	}
	return dst
}

// locateName returns the pointer of the member of that name so many levels down, or "" where there are
// several. For propertyNames the library does not copy the location it reports, so that what it walks
// afterwards overwrites it; only its length can be trusted.
func (x *explainer) locateName(level int, name string) string {
	if x.names == nil {
		x.names = map[memberName]memberPlace{}
		x.index(x.properties, 0, "")
	}
	place := x.names[memberName{level, name}]
	if place.found != 1 {
		return ""
	}
	return place.pointer
}

// index notes the members of all objects below v, once for all violations: an event can have a great many.
func (x *explainer) index(v any, level int, at string) {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			name := memberName{level, k}
			here := clip(at + "/" + event.EscapePointer(k))
			x.names[name] = memberPlace{x.names[name].found + 1, here}
			x.index(m, level+1, here)
		}
	case []any:
		for i, m := range v {
			x.index(m, level+1, at+"/"+strconv.Itoa(i))
		}
	}
}

// falseKeyword names the keyword under which a schema false stands, such as unevaluatedProperties.
func falseKeyword(schemaURL string) string {
	_, pointer, _ := strings.Cut(schemaURL, "#")
	parts := strings.Split(pointer, "/")
	for i := len(parts) - 1; i > 0; i-- {
		if _, err := strconv.Atoi(parts[i]); err == nil {
			continue
		}
		if i >= 2 && (parts[i-1] == "properties" || parts[i-1] == "patternProperties") {
			return parts[i-1]
		}
		return parts[i]
	}
	return "schema"
}

// clip bounds a pointer, between characters.
func clip(pointer string) string {
	if len(pointer) <= maxPointer {
		return pointer
	}
	cut := maxPointer
	for cut > 0 && !utf8.RuneStart(pointer[cut]) {
		cut--
	}
	return pointer[:cut]
}
