// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"strings"

	"github.com/millrace/millrace/internal/event"
)

// ClickHouse's JSON type knows values by path: {"a.b": 1, "a": {"b": 2}} names one path twice, and of the two
// it would keep one. Such an event is stored as a failed one instead, so that nothing is lost unseen.

// mayCollide is the cheap question before pathsCollide: are there objects, and keys that reach into them?
func mayCollide(e *event.Event) bool {
	nested, dotted := false, false
	for i := range e.Properties {
		p := &e.Properties[i]
		dotted = dotted || strings.IndexByte(p.Key, '.') >= 0 || event.IsContextRoot(p.Key)
		look(p.Value, &nested, &dotted, 0)
	}
	for i := range e.Context {
		look(e.Context[i].Value, &nested, &dotted, 0)
	}
	return nested && dotted
}

func look(v event.Value, nested, dotted *bool, depth int) {
	if depth > event.MaxDepth {
		return
	}
	switch v.Kind() {
	case event.KindMap:
		*nested = true
		for k, m := range v.Members {
			*dotted = *dotted || strings.IndexByte(k, '.') >= 0
			look(m, nested, dotted, depth+1)
		}
	case event.KindSlice:
		for i := range v.Len() {
			look(v.Index(i), nested, dotted, depth+1)
		}
	}
}

// pathsCollide says whether two values of the event have one path. Each element of an array has paths of its own.
func pathsCollide(e *event.Event) bool {
	p := paths{seen: map[string]bool{}}
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
