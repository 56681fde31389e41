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
	keys    map[string]*keyPlan            // of keys alone
	paths   map[string]map[string]*keyPlan // by key, then by the keys above it; for patterns with levels
	kept    int
	scratch []detector.Finding
	path    []byte
}

// maxPlans bounds the plans kept: producers choose keys. What is over it begins anew, so that a flood of new keys
// costs time, and no memory.
const maxPlans = 8192

func newPlanner(p *piiMasking) planner {
	return planner{p: p, keys: map[string]*keyPlan{}, paths: map[string]map[string]*keyPlan{}}
}

// of returns the plan of a key that stands below others, none for an attribute's. Patterns with levels see all of them.
func (n *planner) of(above []string, key string) *keyPlan {
	if len(above) == 0 || !n.p.paths {
		if plan := n.keys[key]; plan != nil {
			return plan
		}
		plan := n.plan(key, key)
		if n.room(len(key)) {
			n.keys[strings.Clone(key)] = plan
		}
		return plan
	}
	n.path = n.path[:0]
	from := len(above) // of as many levels as a name can have
	for size := len(key); from > 0 && size <= maxKey; from-- {
		size += len(above[from-1]) + 1
	}
	for _, name := range above[from:] {
		n.path = append(append(n.path, name...), '.')
	}
	if plan := n.paths[key][string(n.path)]; plan != nil {
		return plan
	}
	plan := n.plan(string(n.path)+key, key)
	if n.room(len(n.path) + len(key)) {
		if n.paths[key] == nil {
			n.paths[strings.Clone(key)] = map[string]*keyPlan{}
		}
		n.paths[key][string(n.path)] = plan
	}
	return plan
}

// room says whether a plan is kept. One of what is no name is not: what is kept is bounded in bytes too.
func (n *planner) room(size int) bool {
	if size > maxKey {
		return false
	}
	if n.kept++; n.kept > maxPlans {
		n.kept = 1
		clear(n.keys)
		clear(n.paths)
	}
	return true
}

func (n *planner) plan(path, key string) *keyPlan {
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
	return strings.Clone(key) // which may be a piece of a text of megabytes
}
