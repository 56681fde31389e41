// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// xColumn is the keyword x-column: "TYPE" or {"name": "…", "type": "…"}.
type xColumn struct {
	at         string // JSON pointer
	name, typ  string
	has        bool
	hasName    bool
	fromObject bool
}

func (x *extractor) xColumnOf(nodes ...node) (xColumn, error) {
	for _, n := range nodes {
		value, at, ok := x.keyword(n, "x-column")
		if !ok {
			continue
		}
		c := xColumn{at: at, has: true}
		switch value := value.(type) {
		case string:
			c.typ = value
		case map[string]any:
			for key, v := range value {
				text, ok := v.(string)
				switch {
				case ok && key == "name":
					c.name, c.hasName = text, true
				case ok && key == "type":
					c.typ, c.fromObject = text, true
				default:
					return c, fmt.Errorf("%q: %s must have \"name\" and \"type\" only, both strings", at, compactJSON(value))
				}
			}
			if c.typ == "" && !c.fromObject {
				return c, nil // the name only
			}
		default:
			return c, fmt.Errorf("%q: %s must be a type such as \"UInt32\", or {\"name\": \"…\", \"type\": \"…\"}", at, compactJSON(value))
		}
		if c.typ == "" {
			return c, fmt.Errorf("%q: the type is empty; write one such as \"UInt32\" or remove it", at)
		}
		return c, nil
	}
	return xColumn{}, nil
}

// columnOf returns the property's column name, or "" where its own name cannot be a column's.
func (x *extractor) columnOf(outer, n node, p *Property) (string, error) {
	c, err := x.xColumnOf(outer, n)
	if err != nil {
		return "", err
	}
	if !c.hasName {
		name := columnName(p)
		if badColumnName(name) != "" || slices.Contains(p.Path, "") {
			return "", nil
		}
		return name, nil
	}
	switch why := badColumnName(c.name); {
	case why != "":
		return "", fmt.Errorf("%q: the name %q %s; choose another", c.at, c.name, why)
	case isReserved(c.name):
		return "", fmt.Errorf("%q: the name %q belongs to the event's envelope; choose another", c.at, c.name)
	case p.Repeated() && strings.Contains(c.name, "."):
		return "", fmt.Errorf("%q: the name %q of an array must not contain a dot (ClickHouse would take it for a part of a Nested); use an underscore", c.at, c.name)
	}
	return c.name, nil
}

// typeOf returns the type of one value of the leaf: x-column's, else what follows from type and format.
func (x *extractor) typeOf(outer, n node) (Type, error) {
	types := n.types &^ maskNull
	t := Type{Kind: String}
	switch {
	case types == maskBool:
		t.Kind = Bool
	case types == maskWhole:
		t.Kind = Int64
	case types&maskNumber != 0:
		t.Kind = Float64
	case n.format == "date-time":
		t = Type{Kind: DateTime64, Scale: 9}
	case n.format == "date":
		t.Kind = Date32
	case n.format == "uuid":
		t.Kind = UUID
	}
	t.LowCardinality = t.Kind == String && n.few

	c, err := x.xColumnOf(outer, n)
	if err != nil {
		return t, err
	}
	if c.typ != "" {
		text := c.typ
		if inner, ok := unwrap(text, "Array"); ok {
			text = inner
		}
		asked, err := parseType(text)
		if err != nil {
			return t, fmt.Errorf("%q: %q: %w", c.at, c.typ, err)
		}
		if why := nonsense(asked, types, n.format); why != "" {
			return t, fmt.Errorf("%q: %q does not fit: %s", c.at, c.typ, why)
		}
		asked.LowCardinality = asked.LowCardinality || asked.Kind == String && t.LowCardinality
		t = asked
	}

	value, at, ok := x.keyword(n, "x-low-cardinality")
	if !ok {
		value, at, ok = x.keyword(outer, "x-low-cardinality")
	}
	if ok {
		low, isBool := value.(bool)
		if !isBool {
			return t, fmt.Errorf("%q: %s must be true or false", at, compactJSON(value))
		}
		if low && t.Kind != String {
			return t, fmt.Errorf("%q: true is for text, and the column is %s; remove it", at, t)
		}
		t.LowCardinality = low
	}
	return t, nil
}

const supportedTypes = "String, LowCardinality(String), Bool, Int8 to Int64, UInt8 to UInt64, Float32, Float64, Decimal(P, S) with P up to 38, DateTime64(0) to DateTime64(9), Date32 and UUID"

var errUnknownType = fmt.Errorf("not a supported type; use one of %s", supportedTypes)

// parseType reads a type in ClickHouse's syntax.
func parseType(s string) (Type, error) {
	s = strings.TrimSpace(s)
	if inner, ok := unwrap(s, "LowCardinality"); ok {
		t, err := parseType(inner)
		if err != nil || t.Kind != String || t.LowCardinality {
			return t, errUnknownType
		}
		t.LowCardinality = true
		return t, nil
	}
	if args, ok := unwrap(s, "Decimal"); ok {
		first, second, _ := strings.Cut(args, ",")
		precision, err1 := strconv.Atoi(strings.TrimSpace(first))
		scale, err2 := 0, error(nil)
		if second != "" {
			scale, err2 = strconv.Atoi(strings.TrimSpace(second))
		}
		if err1 != nil || err2 != nil || precision < 1 || precision > 38 || scale < 0 || scale > precision {
			return Type{}, errors.New("write Decimal(P, S) with P from 1 to 38 and S from 0 to P")
		}
		return Type{Kind: Decimal, Precision: precision, Scale: scale}, nil
	}
	if args, ok := unwrap(s, "DateTime64"); ok {
		first, zone, hasZone := strings.Cut(args, ",")
		scale, err := strconv.Atoi(strings.TrimSpace(first))
		if err != nil || scale < 0 || scale > 9 || hasZone && strings.TrimSpace(zone) != "'UTC'" {
			return Type{}, errors.New("write DateTime64(S) with S from 0 to 9; times are UTC")
		}
		return Type{Kind: DateTime64, Scale: scale}, nil
	}
	for k, name := range kindNames {
		if k := Kind(k); name == s && k != Decimal && k != DateTime64 {
			return Type{Kind: k}, nil
		}
	}
	return Type{}, errUnknownType
}

// unwrap returns what stands in the parentheses of "name(…)".
func unwrap(s, name string) (string, bool) {
	inner, ok := strings.CutPrefix(strings.TrimSpace(s), name+"(")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, ")")
}

// nonsense says why values of the JSON type cannot be in a column of that type, or "".
func nonsense(t Type, types typeMask, format string) string {
	switch {
	case types == maskString:
		switch t.Kind {
		case String, Decimal:
			return ""
		case DateTime64:
			if format != "date-time" {
				return "the text is no time; add \"format\": \"date-time\""
			}
			return ""
		case Date32:
			if format != "date" {
				return "the text is no date; add \"format\": \"date\""
			}
			return ""
		case UUID:
			if format != "uuid" {
				return "the text is no UUID; add \"format\": \"uuid\""
			}
			return ""
		}
		return "the schema says string; use String or Decimal, or make the property a number"
	case types == maskBool:
		if t.Kind == Bool {
			return ""
		}
		return "the schema says boolean; use Bool"
	case t.Kind == Decimal || t.Kind == Float32 || t.Kind == Float64:
		return ""
	case t.Kind >= Int8 && t.Kind <= UInt64:
		if types&maskFraction != 0 {
			return "the schema says number, which may have a fraction; use Float64 or Decimal(P, S), or say \"type\": \"integer\""
		}
		return ""
	}
	return "the schema says a number; use an integer type, Float32, Float64 or Decimal(P, S)"
}

func compactJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "the value"
	}
	return clip(string(text))
}
