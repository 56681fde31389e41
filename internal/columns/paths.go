// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"strings"

	"github.com/millrace/millrace/internal/event"
)

// ClickHouse's JSON type knows values by path: {"a.b": 1, "a": {"b": 2}} names one path twice, and of the two
// it would keep one. Such an event is stored as a failed one instead, so that nothing is lost unseen.

// look notes whether an undeclared member holds objects, and keys that reach into objects: only an event that
// has both is looked at by pathsCollide.
func (r *Events) look(key string, v event.Value, depth int) {
	if !r.dotted {
		r.dotted = strings.IndexByte(key, '.') >= 0 && !event.IsContext(key) || event.IsContextRoot(key)
	}
	if depth > event.MaxDepth {
		return
	}
	switch v.Kind() {
	case event.KindMap:
		r.nested = true
		for k, m := range v.Members {
			r.look(k, m, depth+1)
		}
	case event.KindSlice:
		for i := range v.Len() {
			r.look("", v.Index(i), depth+1)
		}
	}
}

// pathsCollide says whether two values of the event have one path. Each element of an array has paths of its own.
func pathsCollide(e *event.Event) bool {
	p := paths{seen: map[string]bool{previousSession: e.PreviousSessionID != ""}}
	for i := range e.Properties {
		p.walk(e.Properties[i].Key, e.Properties[i].Value, 0)
	}
	for i := range e.Context {
		p.walk(e.Context[i].Key, e.Context[i].Value, 0)
	}
	return p.collide
}

type paths struct {
	seen    map[string]bool
	collide bool
}

func (p *paths) walk(path string, v event.Value, depth int) {
	if depth > event.MaxDepth || p.collide {
		return
	}
	switch {
	case v.Kind() == event.KindMap && v.Len() > 0:
		for k, m := range v.Members {
			p.walk(path+"."+k, m, depth+1)
		}
		return
	case v.Kind() == event.KindSlice:
		for i := range v.Len() {
			if element := v.Index(i); element.Kind() == event.KindMap {
				own := paths{seen: map[string]bool{}}
				own.walk("", element, depth+1)
				p.collide = p.collide || own.collide
			}
		}
	}
	p.collide = p.collide || p.seen[path]
	p.seen[path] = true
}
