// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"strings"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/event"
)

// keyPlan is what a key says of its value, whatever the schema says.
type keyPlan struct {
	part   event.Part
	class  string // by name; "" leaves it to the detectors
	rule   string // "name", or "name:" and the pattern of the configuration
	own    bool   // the rule is the configuration's: it holds for values of all types
	ignore bool
	person bool   // an object under it describes somebody
	member string // class of its value in such an object
	hint   detector.Hint
	// dirty says that the key itself has something personal: then it is written anew.
	dirty bool
	field string // how metrics name it: the key, where that is fit to be a name
}

// planner makes plans of keys, and keeps those it was asked for last. One goroutine at a time.
type planner struct {
	p       *piiMasking
	plans   map[string]*keyPlan
	scratch []detector.Finding
	path    []byte
}

// maxPlans bounds the plans kept: producers choose keys. What is over it begins anew, so that a flood of new keys
// costs time, and no memory.
const maxPlans = 8192

func newPlanner(p *piiMasking) planner { return planner{p: p, plans: map[string]*keyPlan{}} }

// of returns the plan of a key that stands below others, none for an attribute's. Patterns with levels see all of them.
func (n *planner) of(above []string, key string) *keyPlan {
	if len(above) == 0 || !n.p.paths {
		if plan := n.plans[key]; plan != nil {
			return plan
		}
		return n.keep(key, key)
	}
	n.path = n.path[:0]
	for _, name := range above {
		n.path = append(append(n.path, name...), '.')
	}
	n.path = append(n.path, key...)
	if plan := n.plans[string(n.path)]; plan != nil {
		return plan
	}
	return n.keep(string(n.path), key)
}

func (n *planner) keep(path, key string) *keyPlan {
	plan := &keyPlan{part: event.PartOf(path), hint: n.p.detector.HintOf(key), field: fieldName(key)}
	n.scratch = n.p.detector.Find(n.scratch[:0], key, 0)
	if plan.dirty = len(n.scratch) > 0; plan.dirty {
		plan.field = otherField
	}
	normal := normalKey(path)
	for i := range n.p.ignore {
		plan.ignore = plan.ignore || n.p.ignore[i].match(normal)
	}
	if plan.part == event.PartProperty || plan.part == event.PartContext || plan.part == event.PartIdentity {
		plan.class, plan.rule, plan.own = n.p.named(normal)
	}
	if n.p.cfg.Names.Builtin && plan.class == "" && !plan.own {
		last := normal[strings.LastIndexByte(normal, '.')+1:]
		plan.person, plan.member = people[last], ofPeople[last]
	}
	if plan.part == event.PartIdentity && !plan.own {
		plan.class = "" // an ID is a name for somebody by purpose: "user.id" is what events are joined by
	}
	if len(path) > maxKey {
		return plan // no name: what is kept is bounded in bytes too
	}
	if len(n.plans) >= maxPlans {
		clear(n.plans)
	}
	n.plans[path] = plan
	return plan
}

// named returns the class of a normal key or path.
func (p *piiMasking) named(normal string) (class, rule string, own bool) {
	for i := range p.rules {
		r := &p.rules[i]
		for j := range r.patterns {
			if r.patterns[j].match(normal) {
				if r.class == noClass {
					return "", "", true
				}
				return r.class, "name:" + r.patterns[j].text, true
			}
		}
	}
	if p.cfg.Names.Builtin {
		if class := builtinClass(normal); class != "" {
			return class, "name", false
		}
	}
	return "", "", false
}

const otherField = "other"

// fieldName is the key where it is fit to be seen: a short name, of which no part looks like a value.
func fieldName(key string) string {
	if len(key) == 0 || len(key) > 64 {
		return otherField
	}
	digits := 0
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c >= '0' && c <= '9':
			if digits++; digits > 4 {
				return otherField
			}
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '.', c == '-', c == ':':
		default:
			return otherField
		}
	}
	return key
}
