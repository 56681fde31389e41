// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/schema"
)

// A layout is kept with the event log's state, so that a replay maps events to columns as the first attempt did,
// whatever the schemas say by then. It is written once, however many plans name it.

type layoutJSON struct {
	PropertiesType string `json:"properties_type"`
	columns.Encoded
}

// layout says which columns the events table has for one snapshot of the schemas, and where each schema's properties go. It
// is immutable, once the tables have it, and shared by all workers.
type layout struct {
	*columns.Layout
	snapshot       *schema.Snapshot // nil of one that a plan of before names
	propertiesType string           // of the table's column, as the server prints it; see native.NewJSON

	encoding func() (name string, value []byte) // any goroutine
}

// newLayout derives the layout, without the columns in leave.
func newLayout(snap *schema.Snapshot, leave map[string]bool) *layout {
	return (&layout{Layout: columns.New(snap, "", leave), snapshot: snap, propertiesType: jsonType}).ready()
}

func (l *layout) ready() *layout {
	l.encoding = sync.OnceValues(l.encode)
	return l
}

// encode returns the layout's bytes and a name that is a function of them.
func (l *layout) encode() (name string, value []byte) {
	value, err := json.Marshal(&layoutJSON{l.propertiesType, l.Encode()})
	if err != nil { // texts and numbers only
		panic(err)
	}
	sum := sha256.Sum256(value)
	return "layout/" + hex.EncodeToString(sum[:16]), value
}

// decodeLayout reads what encode wrote.
func decodeLayout(value []byte) (*layout, error) {
	var doc layoutJSON
	if err := json.Unmarshal(value, &doc); err != nil {
		return nil, fmt.Errorf("reading a kept layout: %w", err)
	}
	if !isJSON(doc.PropertiesType) {
		return nil, fmt.Errorf("reading a kept layout: %q is no JSON type", doc.PropertiesType)
	}
	l, err := doc.Decode()
	if err != nil {
		return nil, err
	}
	return (&layout{Layout: l, propertiesType: doc.PropertiesType}).ready(), nil
}

// storedAs says whether a column of that definition is this one but for LowCardinality.
func storedAs(c *columns.Column, definition string) bool {
	other := *c
	other.Type.LowCardinality = !c.Type.LowCardinality
	return c.Type.Kind == schema.String && other.Definition() == definition
}

// holds says whether values of the type go unchanged into a column that the server describes so: a column that was
// widened since a plan was made takes what the plan has for it.
func holds(c *columns.Column, definition string) bool {
	if definition == c.Definition() || storedAs(c, definition) {
		return true
	}
	for k := schema.String; k <= schema.UUID; k++ {
		if !widens(c.Type.Kind, k) {
			continue
		}
		wider := *c
		wider.Type = schema.Type{Kind: k}
		if wider.Definition() == definition || storedAs(&wider, definition) {
			return true
		}
	}
	return c.Type.Kind == schema.Decimal && holdsDecimal(c, definition)
}

func holdsDecimal(c *columns.Column, definition string) bool {
	wider := *c
	for wider.Type.Precision = c.Type.Precision + 1; wider.Type.Precision <= 38; wider.Type.Precision++ {
		if wider.Definition() == definition {
			return true
		}
	}
	return false
}

// widens says whether every value of one kind is one of the other.
func widens(from, to schema.Kind) bool {
	between := func(k, first, last schema.Kind) bool { return k >= first && k <= last }
	switch {
	case between(from, schema.Int8, schema.Int64) && between(to, schema.Int8, schema.Int64),
		between(from, schema.UInt8, schema.UInt64) && between(to, schema.UInt8, schema.UInt64):
		return to > from
	case between(from, schema.UInt8, schema.UInt32) && between(to, schema.Int8, schema.Int64):
		return to-schema.Int8 > from-schema.UInt8 // one size up
	case from == schema.Float32:
		return to == schema.Float64
	}
	return false
}
