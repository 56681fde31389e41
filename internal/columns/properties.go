// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"slices"
	"strconv"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/native"
)

// addProperties puts declared properties into their columns and the rest into r.json.
func (r *Events) addProperties(e *event.Event) *Error {
	r.choosePlan(e)
	r.json = append(r.json[:0], '{')
	r.nested, r.dotted = false, false
	for i := range e.Properties {
		p := &e.Properties[i]
		if err := r.addMember(r.child(i, p.Key), p.Key, p.Value, 0); err != nil {
			return err
		}
	}
	for i := range e.Context {
		if err := r.addJSON(e.Context[i].Key, e.Context[i].Value); err != nil {
			return err
		}
	}
	if e.PreviousSessionID != "" {
		if err := r.addJSON(previousSession, event.StringValue(e.PreviousSessionID)); err != nil {
			return err
		}
	}
	r.json = append(r.json, '}')
	if r.nested && r.dotted && pathsCollide(e) {
		return &Error{Reason: reasonDuplicatePath}
	}
	return nil
}

// choosePlan finds the plan for the event. Events come sorted by name, so it is mostly the last one's.
func (r *Events) choosePlan(e *event.Event) {
	if e.Schema == r.planOf[0] && e.SchemaVersion == r.planOf[1] && r.plan != nil {
		return
	}
	r.plan, r.planOf = noPlan, [2]string{e.Schema, e.SchemaVersion}
	r.expected = r.expected[:0]
	if r.layout.Only {
		r.plan = r.layout.plans[schemaKey{r.layout.Schemas[0].Subject, r.layout.Schemas[0].Version}]
		return
	}
	if e.Schema == "" {
		return
	}
	if plan := r.layout.plans[schemaKey{e.Schema, e.SchemaVersion}]; plan != nil {
		r.plan = plan
	}
}

// noPlan is that of events without a schema.
var noPlan = newNode()

// expectation is what stood at one place among the properties of the event before: producers keep their order, so
// comparing the key mostly saves looking it up.
type expectation struct {
	key   string
	child *node
}

// child returns the node for the event's i-th property.
func (r *Events) child(i int, key string) *node {
	for len(r.expected) <= i {
		r.expected = append(r.expected, expectation{})
	}
	x := &r.expected[i]
	if x.key != key || x.child == nil {
		*x = expectation{key, r.plan.children[key]}
	}
	return x.child
}

// addMember puts one member of an object into its column, or into r.json. child is what the schema says of it, or
// nil.
func (r *Events) addMember(child *node, key string, v event.Value, depth int) *Error {
	switch {
	case child == nil || v.Kind() == event.KindEmpty && child.column < 0:
		return r.addJSON(key, v)
	case child.column >= 0:
		return r.addTyped(child.column, key, v)
	case child.each:
		return r.addEach(child, key, v, depth+1)
	case v.Kind() != event.KindMap:
		return r.fail(key, native.ErrType)
	}
	return r.addObject(child, key, v, depth+1)
}

// addObject puts the members of a nested object into their columns; what is undeclared stays in r.json under
// the object's key, which is left out where nothing is.
func (r *Events) addObject(n *node, key string, v event.Value, depth int) *Error {
	if depth > event.MaxDepth {
		return r.fail(key, native.ErrTooDeep)
	}
	r.path = append(r.path, key)
	start := len(r.json)
	r.member(key)
	r.json = append(r.json, '{')
	open := len(r.json)
	for k, m := range v.Members {
		if err := r.addMember(n.children[k], k, m, depth); err != nil {
			return err
		}
	}
	switch {
	case len(r.json) > open:
		r.json = append(r.json, '}')
		r.nested = true
	case r.keeps(v):
		r.json = append(r.json, '}')
	default:
		r.json = r.json[:start]
	}
	r.path = r.path[:len(r.path)-1]
	return nil
}

// keeps says whether an array or object stays in r.json because nothing in the columns tells of it. It has no path below it, so
// that which events fail does not depend on it.
func (r *Events) keeps(v event.Value) bool { return r.KeepEmpty && v.Len() == 0 }

// addEach puts an array of objects into one array column for each declared leaf. All get one element for each
// object, NULL where it lacks the leaf: ClickHouse ties arrays with a common prefix to equal lengths.
func (r *Events) addEach(n *node, key string, v event.Value, depth int) *Error {
	if v.Kind() != event.KindSlice {
		return r.fail(key, native.ErrType)
	}
	for _, i := range n.leaves {
		if !r.touch(i) {
			return nil // a second value of the same key: the first wins
		}
	}
	r.path = append(r.path, key)
	r.elementAt = len(r.path)
	start := len(r.json)
	r.member(key)
	r.json = append(r.json, '[')
	leftover := false
	for i := range v.Len() {
		element := v.Index(i)
		r.element = i
		if k := element.Kind(); k != event.KindMap && k != event.KindEmpty { // null is an element without members
			return r.fail("", native.ErrType)
		}
		if i > 0 {
			r.json = append(r.json, ',')
		}
		r.json = append(r.json, '{')
		open := len(r.json)
		if err := r.addElement(n, element, i, depth); err != nil {
			return err
		}
		leftover = leftover || len(r.json) > open
		r.json = append(r.json, '}')
		for _, c := range n.leaves {
			r.typed[c].(*native.Array).FillElements(i + 1)
		}
	}
	r.element = -1
	for _, c := range n.leaves {
		r.typed[c].(*native.Array).EndRow()
	}
	switch {
	case leftover:
		r.json = append(r.json, ']')
		r.nested = true
	case r.keeps(v):
		r.json = append(r.json, ']')
	default:
		r.json = r.json[:start]
	}
	r.path = r.path[:len(r.path)-1]
	return nil
}

// addElement puts one object of an array, the i-th, into the arrays of its leaves.
func (r *Events) addElement(n *node, v event.Value, i, depth int) *Error {
	if depth > event.MaxDepth {
		return r.fail("", native.ErrTooDeep)
	}
	for k, m := range v.Members {
		child := n.children[k]
		switch {
		case child == nil:
			if err := r.addJSON(k, m); err != nil {
				return err
			}
		case m.Kind() == event.KindEmpty: // filled with NULL
		case child.column >= 0:
			array := r.typed[child.column].(*native.Array)
			if array.Elements() > i {
				continue // a second value of the same key: the first wins
			}
			if err := array.AppendElement(m); err != nil {
				return r.fail(k, err)
			}
		case m.Kind() != event.KindMap:
			return r.fail(k, native.ErrType)
		default:
			start := len(r.json)
			r.member(k)
			r.json = append(r.json, '{')
			open := len(r.json)
			if err := r.addElement(child, m, i, depth+1); err != nil {
				return err
			}
			if len(r.json) == open && !r.keeps(m) {
				r.json = r.json[:start]
			} else {
				r.json = append(r.json, '}')
			}
		}
	}
	return nil
}

func (r *Events) addTyped(i int, key string, v event.Value) *Error {
	if !r.touch(i) {
		return nil // a second value of the same key: the first wins
	}
	if err := r.typed[i].Append(v); err != nil {
		return r.fail(key, err)
	}
	if v.Kind() == event.KindSlice && r.keeps(v) {
		r.member(key)
		r.json = append(r.json, '[', ']')
	}
	return nil
}

// touch makes a typed column ready to take the present row, or says that it has taken it already.
func (r *Events) touch(i int) bool {
	c := r.typed[i]
	if c == nil {
		if of := &r.layout.Columns[i]; of.Nanoseconds {
			c = native.NewNanoseconds(true)
		} else {
			c = native.New(of.Type, of.Repeated)
		}
		r.typed[i] = c
	}
	if !c.Seek(r.rows) {
		return false
	}
	r.touched = append(r.touched, i)
	return true
}

// addJSON writes an undeclared member.
func (r *Events) addJSON(key string, v event.Value) *Error {
	r.member(key)
	r.look(key, v, 0)
	var err error
	if r.json, err = v.AppendJSON(r.json); err != nil {
		return r.fail(key, native.ErrTooDeep)
	}
	return nil
}

// member writes the comma before a member, where one is due, and its key.
func (r *Events) member(key string) {
	if last := r.json[len(r.json)-1]; last != '{' && last != '[' {
		r.json = append(r.json, ',')
	}
	r.json = append(event.AppendJSONString(r.json, key), ':')
}

func (r *Events) fail(key string, err error) *Error {
	path := slices.Clone(r.path)
	if r.element >= 0 {
		path = slices.Insert(path, r.elementAt, strconv.Itoa(r.element))
	}
	if key != "" {
		path = append(path, key)
	}
	return &Error{Reason: err.Error(), Pointer: event.Pointer(path)}
}
