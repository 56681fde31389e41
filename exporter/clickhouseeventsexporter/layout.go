// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"strings"
	"sync"

	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/schema"
)

// layout says which columns the events table has for one snapshot of the schemas, and where each schema's
// properties go. It is immutable, once the tables have it, and shared by all workers.
type layout struct {
	snapshot       *schema.Snapshot // nil of one that a plan of before names
	columns        []propertyColumn
	schemas        []schemaLayout
	plans          map[schemaKey]*node
	propertiesType string // of the table's column, as the server prints it; see native.NewJSON

	encoding func() (name string, value []byte) // see layoutcodec.go; any goroutine
}

// schemaKey is what an event says of its schema.
type schemaKey struct{ subject, version string }

// schemaLayout is one version of a schema.
type schemaLayout struct {
	Subject string `json:"subject"`
	Version string `json:"version"`
	// Latest says that events without a version have this one.
	Latest     bool             `json:"latest,omitempty"`
	Properties []propertyLayout `json:"properties,omitempty"`
}

// propertyLayout is a property that has a column; see schema.Property.
type propertyLayout struct {
	Path   []string `json:"path"`
	Each   int      `json:"each,omitempty"`
	Column int      `json:"column"` // index in layout.columns
}

// propertyColumn is one typed column of the events table.
type propertyColumn struct {
	name     string
	typ      schema.Type
	repeated bool
}

// node is one place in a schema's tree of properties.
type node struct {
	children map[string]*node
	// column is the index in layout.columns of the column that takes the value here, or -1.
	column int
	// each says that the value here is an array of objects, each read by children; leaves are then the columns
	// below and those tied to them, all of which get one element for each object.
	each   bool
	leaves []int
}

func newNode() *node { return &node{column: -1} }

// newLayout derives the layout, without the columns in leave: their values are stored with the undeclared. The
// snapshot has made sure that no column has two types.
func newLayout(snap *schema.Snapshot, leave map[string]bool) *layout {
	l := &layout{snapshot: snap, propertiesType: jsonType}
	index := map[string]int{}
	for _, s := range snap.Schemas() {
		one := schemaLayout{Subject: s.Subject, Version: s.Version, Latest: snap.Find(s.Subject, "") == s}
		for i := range s.Properties {
			p := &s.Properties[i]
			if leave[p.Column] {
				continue
			}
			at, ok := index[p.Column]
			if !ok {
				at = len(l.columns)
				index[p.Column] = at
				l.columns = append(l.columns, propertyColumn{name: p.Column, typ: p.Type, repeated: p.Repeated()})
			}
			one.Properties = append(one.Properties, propertyLayout{Path: p.Path, Each: p.Each, Column: at})
		}
		l.schemas = append(l.schemas, one)
	}
	l.grow()
	return l
}

// grow makes the trees of the schemas.
func (l *layout) grow() {
	l.plans = map[schemaKey]*node{}
	for i := range l.schemas {
		s := &l.schemas[i]
		root := newNode()
		for j := range s.Properties {
			root.insert(&s.Properties[j])
		}
		l.plans[schemaKey{s.Subject, s.Version}] = root
		if s.Latest {
			l.plans[schemaKey{s.Subject, ""}] = root
		}
	}
	l.tieArrays()
	l.encoding = sync.OnceValues(l.encode)
}

func (n *node) insert(p *propertyLayout) {
	var array *node
	for i, key := range p.Path {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		child := n.children[key]
		if child == nil {
			child = newNode()
			n.children[key] = child
		}
		n = child
		if i+1 == p.Each {
			n.each, array = true, n
		}
	}
	n.column = p.Column
	if array != nil {
		array.leaves = append(array.leaves, p.Column)
	}
}

// tieArrays gives every array of objects the columns of all schemas that share its name's part before the dot:
// ClickHouse takes them for one Nested and refuses a row in which they differ in length.
func (l *layout) tieArrays() {
	tied := map[string][]int{}
	for i := range l.columns {
		if prefix, _, dotted := strings.Cut(l.columns[i].name, "."); dotted && l.columns[i].repeated {
			tied[prefix] = append(tied[prefix], i)
		}
	}
	for _, plan := range l.plans {
		plan.tie(l, tied)
	}
}

func (n *node) tie(l *layout, tied map[string][]int) {
	if n.each {
		prefix, _, _ := strings.Cut(l.columns[n.leaves[0]].name, ".")
		if all := tied[prefix]; len(all) > len(n.leaves) {
			n.leaves = all
		}
	}
	for _, child := range n.children {
		child.tie(l, tied)
	}
}

// definition returns the column's type in SQL.
func (c *propertyColumn) definition() string { return native.Define(c.typ, c.repeated) }

// storedAs says whether a column of that definition is this one but for LowCardinality.
func (c *propertyColumn) storedAs(definition string) bool {
	other := *c
	other.typ.LowCardinality = !c.typ.LowCardinality
	return c.typ.Kind == schema.String && other.definition() == definition
}
