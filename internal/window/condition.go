// SPDX-License-Identifier: Apache-2.0

package window

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/event"
)

func validateAll(name string, conditions []Condition) error {
	for i := range conditions {
		if err := conditions[i].validate(); err != nil {
			return fmt.Errorf("%s::%d::%w", name, i, err)
		}
	}
	return nil
}

func (c *Condition) validate() error {
	if err := validateField(c.Field); err != nil {
		return fmt.Errorf("field: %w", err)
	}
	bounds := false
	for _, b := range []*float64{c.GT, c.GTE, c.LT, c.LTE} {
		bounds = bounds || b != nil
	}
	n := 0
	for _, set := range []bool{c.In != nil, c.NotIn != nil, c.Exists != nil, bounds} {
		if set {
			n++
		}
	}
	switch {
	case n == 0:
		return errors.New("field: there is nothing to compare with: add in, not_in, exists, or bounds (gt, gte, lt, lte)")
	case n > 1:
		return errors.New("field: it is compared in several ways: write a condition for each")
	}
	for name, list := range map[string][]any{"in": c.In, "not_in": c.NotIn} {
		if list != nil && len(list) == 0 {
			return fmt.Errorf("%s: is empty: list values", name)
		}
		for _, v := range list {
			if _, ok := scalarOf(v); !ok {
				return fmt.Errorf("%s: %v is neither text, number nor boolean", name, v)
			}
		}
	}
	return nil
}

func scalarOf(v any) (event.Scalar, bool) {
	switch v := v.(type) {
	case string:
		return event.StringScalar(v), true
	case bool:
		return event.BoolScalar(v), true
	case int:
		return event.DoubleScalar(float64(v)), true
	case int64:
		return event.DoubleScalar(float64(v)), true
	case float64:
		return event.DoubleScalar(v), true
	}
	return event.Scalar{}, false
}

// condition is a compiled Condition. column is of a Row's values.
type condition struct {
	column           int
	list             []event.Scalar // numbers as doubles
	texts            map[string]bool
	not, exists      bool
	isList, isExists bool
	gt, gte, lt, lte float64
	hasGT, hasGTE    bool
	hasLT, hasLTE    bool
}

func newCondition(c *Condition, column int) condition {
	n := condition{column: column}
	list := c.In
	if c.NotIn != nil {
		list, n.not = c.NotIn, true
	}
	for _, v := range list {
		s, _ := scalarOf(v)
		if s.Kind == event.KindString {
			if n.texts == nil {
				n.texts = map[string]bool{}
			}
			n.texts[s.Text] = true
		} else {
			n.list = append(n.list, s)
		}
	}
	n.isList = list != nil
	if c.Exists != nil {
		n.isExists, n.exists = true, *c.Exists
	}
	for _, b := range []struct {
		from *float64
		to   *float64
		has  *bool
	}{{c.GT, &n.gt, &n.hasGT}, {c.GTE, &n.gte, &n.hasGTE}, {c.LT, &n.lt, &n.hasLT}, {c.LTE, &n.lte, &n.hasLTE}} {
		if b.from != nil {
			*b.to, *b.has = *b.from, true
		}
	}
	return n
}

func (c *condition) holds(values []event.Scalar) bool {
	v := values[c.column]
	switch {
	case c.isExists:
		return !v.IsEmpty() == c.exists
	case c.isList:
		return c.listed(v) != c.not
	}
	x, ok := v.Number()
	return ok && (!c.hasGT || x > c.gt) && (!c.hasGTE || x >= c.gte) && (!c.hasLT || x < c.lt) && (!c.hasLTE || x <= c.lte)
}

func (c *condition) listed(v event.Scalar) bool {
	switch v.Kind {
	case event.KindString:
		return c.texts[v.Text]
	case event.KindBool:
		for _, s := range c.list {
			if s.Kind == event.KindBool && s.Bits == v.Bits {
				return true
			}
		}
	default:
		x, ok := v.Number()
		if !ok {
			return false
		}
		for _, s := range c.list {
			if s.Kind == event.KindDouble && s.Double() == x {
				return true
			}
		}
	}
	return false
}

func allHold(conditions []condition, values []event.Scalar) bool {
	for i := range conditions {
		if !conditions[i].holds(values) {
			return false
		}
	}
	return true
}
