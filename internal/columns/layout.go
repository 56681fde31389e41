// SPDX-License-Identifier: Apache-2.0

// Package columns turns events into typed columns, in the layout of package native: the envelope, one column for each
// property that a schema declares, and the rest as JSON. What every sink of rows has in common is here.
package columns

import (
	"strings"

	"github.com/millrace/millrace/internal/native"
	"github.com/millrace/millrace/internal/schema"
)

// Layout says which columns the properties of some schemas have, and where in an event each is read. It is immutable once
// events are added by it, and shared by all workers.
type Layout struct {
	Columns []Column
	Schemas []Schema
	// Only says that all events have the properties of the one schema, whatever they say of theirs.
	Only  bool
	plans map[schemaKey]*node
}

// schemaKey is what an event says of its schema.
type schemaKey struct{ subject, version string }

// Schema is one version of a schema.
type Schema struct {
	Subject string `json:"subject"`
	Version string `json:"version"`
	// Latest says that events without a version have this one.
	Latest     bool       `json:"latest,omitempty"`
	Properties []Property `json:"properties,omitempty"`
}

// Property is a property that has a column; see schema.Property.
type Property struct {
	Path   []string `json:"path"`
	Each   int      `json:"each,omitempty"`
	Column int      `json:"column"` // index in Layout.Columns
	Text   bool     `json:"text,omitempty"`
}

// Column is one typed column. Its values may be NULL, and so may the elements of a repeated one.
type Column struct {
	Name     string
	Type     schema.Type
	Repeated bool
	// Nanoseconds says that the values of a DateTime64(9) are integers: Unix nanoseconds.
	Nanoseconds bool
}

// node is one place in a schema's tree of properties.
type node struct {
	children map[string]*node
	// column is the index in Layout.Columns of the column that takes the value here, or -1.
	column int
	// each says that the value here is an array of objects, each read by children; leaves are then the columns
	// below and those tied to them, all of which get one element for each object.
	each   bool
	leaves []int
}

func newNode() *node { return &node{column: -1} }

// New derives the layout for one subject's versions, or for all if the subject is "", without the columns in leave: their
// values are stored with the undeclared. The snapshot has made sure that no column has two types.
func New(snap *schema.Snapshot, subject string, leave map[string]bool) *Layout {
	l := &Layout{}
	index := map[string]int{}
	for _, s := range snap.Schemas() {
		if subject != "" && s.Subject != subject {
			continue
		}
		one := Schema{Subject: s.Subject, Version: s.Version, Latest: snap.Find(s.Subject, "") == s}
		for i := range s.Properties {
			p := &s.Properties[i]
			if leave[p.Column] {
				continue
			}
			at, ok := index[p.Column]
			if !ok {
				at = len(l.Columns)
				index[p.Column] = at
				l.Columns = append(l.Columns, Column{Name: p.Column, Type: p.Type, Repeated: p.Repeated()})
			}
			one.Properties = append(one.Properties, Property{Path: p.Path, Each: p.Each, Column: at, Text: p.Text})
		}
		l.Schemas = append(l.Schemas, one)
	}
	l.grow()
	return l
}

// grow makes the trees of the schemas.
func (l *Layout) grow() {
	l.plans = map[schemaKey]*node{}
	for i := range l.Schemas {
		s := &l.Schemas[i]
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
}

func (n *node) insert(p *Property) {
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
func (l *Layout) tieArrays() {
	tied := map[string][]int{}
	for i := range l.Columns {
		if prefix, _, dotted := strings.Cut(l.Columns[i].Name, "."); dotted && l.Columns[i].Repeated {
			tied[prefix] = append(tied[prefix], i)
		}
	}
	for _, plan := range l.plans {
		plan.tie(l, tied)
	}
}

func (n *node) tie(l *Layout, tied map[string][]int) {
	if n.each {
		prefix, _, _ := strings.Cut(l.Columns[n.leaves[0]].Name, ".")
		if all := tied[prefix]; len(all) > len(n.leaves) {
			n.leaves = all
		}
	}
	for _, child := range n.children {
		child.tie(l, tied)
	}
}

// Definition returns the column's type in ClickHouse's words.
func (c *Column) Definition() string { return native.Define(c.Type, c.Repeated) }
