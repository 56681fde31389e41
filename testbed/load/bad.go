// SPDX-License-Identifier: Apache-2.0

package load

// BadKind is what is wrong with an event.
type BadKind uint8

// The kinds. UnknownName is accepted by a pipeline that accepts events without a schema, as the quickstart's
// does; all others end in failed_events.
const (
	Good BadKind = iota
	MissingRequired
	WrongType
	BadEnum
	NegativeAmount
	BadFormat
	UnknownName
	numBadKinds
)

// String returns the kind's name in reports and in the manifest.
func (b BadKind) String() string {
	return [...]string{"good", "missing_required", "wrong_type", "bad_enum", "negative_amount", "bad_format", "unknown_name"}[b]
}

// Fails says whether a schema check refuses the event.
func (b BadKind) Fails() bool { return b != Good && b != UnknownName }

// spoil makes the event a bad one. Kinds that the event has no property for give way to another that fails; a
// missing property every event can have.
func (g *Generator) spoil(e *simEvent) {
	for k := BadKind(1 + g.rng.IntN(int(numBadKinds-1))); ; k = k%(UnknownName-1) + 1 {
		if g.spoilAs(e, k) {
			e.bad = k
			return
		}
	}
}

func (g *Generator) spoilAs(e *simEvent, k BadKind) bool {
	switch k {
	case MissingRequired:
		missing := pick(g.rng, required[e.name])
		for i, p := range e.props {
			if p.key == missing {
				e.props = append(e.props[:i], e.props[i+1:]...)
				e.dropTotal(missing)
				return true
			}
		}
		return false
	case WrongType:
		return g.respoil(e, func(p prop) (value, bool) {
			switch p.val.kind {
			case kindInt, kindMoney, kindDouble:
				return strVal("12,50 €"), true
			case kindBool:
				return strVal("yes"), true
			case kindList, kindObject:
				return strVal("[object Object]"), true
			default:
				return value{}, false
			}
		})
	case BadEnum:
		return g.respoil(e, func(p prop) (value, bool) { return strVal("Sonstiges"), enumKeys[p.key] })
	case NegativeAmount:
		return g.respoil(e, func(p prop) (value, bool) {
			return moneyVal(-int64(p.val.num) - 1), p.val.kind == kindMoney
		})
	case BadFormat:
		return g.respoil(e, func(p prop) (value, bool) { return strVal("n/a"), formatKeys[p.key] })
	default: // UnknownName
		e.total = 0 // no schema, so no typed column to look for it in
		e.name = numNames + name(g.rng.IntN(len(eventNames)-int(numNames)))
		return true
	}
}

// respoil replaces the value of one property that instead takes, chosen evenly.
func (g *Generator) respoil(e *simEvent, instead func(prop) (value, bool)) bool {
	var fit [64]int
	n := 0
	for i, p := range e.props {
		if _, ok := instead(p); ok && n < len(fit) {
			fit[n] = i
			n++
		}
	}
	if n == 0 {
		return false
	}
	p := &e.props[fit[g.rng.IntN(n)]]
	p.val, _ = instead(*p)
	e.dropTotal(p.key)
	return true
}

// dropTotal forgets the order's total where that is what was spoilt.
func (e *simEvent) dropTotal(k *key) {
	if k == keyTotal {
		e.total = 0
	}
}
