// SPDX-License-Identifier: Apache-2.0

package event

import (
	"errors"
	"fmt"
	"strings"
)

// Fields are references to a few values of an event, compiled once, for components that need those and nothing else.
//
// A reference is one of
//
//   - event.name, time, received (Unix nanoseconds), tenant.id (of the resource) and event.source, as an Event has them;
//     time is when the event was received where it has none of its own;
//   - another part of the envelope (log.record.uid, user.id, enduser.pseudo.id, session.id, session.previous_id, event.schema,
//     event.schema.version), as a text;
//   - any other attribute, as it is. A path with dots is first the key of an attribute; else its beginning is one whose value is
//     a map that has a member of the rest: cart.total is the attribute "cart.total", or the member "total" of "cart".
//   - a|b, which is a unless that is empty.
//
// What the record lacks or has empty ("" and null) is read from its resource, in the same way as the log partitions by it (see
// KeyReader). Of several values of one key the first that is not empty counts.
//
// Any goroutine may use Fields; each makes a Reader of its own.
type Fields struct {
	names    []string
	refs     []reference
	record   matcher
	resource matcher
	paths    bool // some reference is a path into maps
}

// maxReferences bounds what a matcher numbers.
const maxReferences = 64

var errNoReference = errors.New("a field is empty: name an attribute, such as user.id")

// reference is one of Fields' names.
type reference struct{ options []option }

// option is one alternative of a reference.
type option struct {
	what   what
	slot   int // of the record and of the resource; -1 where that has none
	inside int
	// into are the maps whose member it may be, the longest key first.
	into []into
}

type into struct {
	slot, inside int
	rest         string
}

type what uint8

const (
	whatValue what = iota // an attribute
	whatText              // of the envelope
	whatName
	whatTime
	whatReceived
	whatTenant
	whatSource
)

var envelopeReferences = map[string]what{
	keyName: whatName, "time": whatTime, "received": whatReceived, keyTenant: whatTenant, keySource: whatSource,
	keyID: whatText, keyUser: whatText, keyAnonymous: whatText, keySession: whatText, keyPreviousSession: whatText,
	keySchema: whatText, keySchemaVersion: whatText,
}

// use says what is taken of the values of a key.
type use uint8

const (
	useValue use = iota // the first that is not empty
	useText             // the text of the first that has one
	useMap              // the first that is a map
	useLast             // the text of the last
)

// Slots that every matcher begins with.
const (
	slotOlderName = iota // of the record
	slotCloudEventsSource
	firstRecordSlot
)

const (
	slotTenant = iota // of the resource
	slotSource
	slotServiceName
	firstResourceSlot
)

// NewFields compiles references. The error names the one that cannot be meant.
func NewFields(names ...string) (*Fields, error) {
	if len(names) > maxReferences {
		return nil, fmt.Errorf("%d fields are more than %d: name fewer", len(names), maxReferences)
	}
	f := &Fields{names: append([]string(nil), names...)}
	f.record.add(keyName, useText, slotOlderName)
	f.record.add(keyNameOld, useText, slotOlderName)
	f.record.slots = firstRecordSlot
	f.resource.slots = firstResourceSlot
	f.resource.add(keyTenant, useLast, slotTenant)
	f.resource.add(keySource, useLast, slotSource)
	f.resource.add(keyServiceName, useLast, slotServiceName)
	for _, name := range names {
		var ref reference
		for alternative := range strings.SplitSeq(name, "|") {
			o, err := f.option(strings.TrimSpace(alternative))
			if err != nil {
				return nil, fmt.Errorf("%q: %w", name, err)
			}
			ref.options = append(ref.options, o)
		}
		f.refs = append(f.refs, ref)
	}
	if len(f.record.entries) > maxEntries {
		return nil, fmt.Errorf("the fields have more than %d keys: name fewer", maxEntries)
	}
	f.record.build()
	f.resource.build()
	return f, nil
}

// Names are the references as they were given.
func (f *Fields) Names() []string { return f.names }

func (f *Fields) option(name string) (option, error) {
	if name == "" {
		return option{}, errNoReference
	}
	o := option{what: envelopeReferences[name], slot: -1, inside: -1}
	switch o.what {
	case whatValue:
		o.slot, o.inside = f.record.slot(name, useValue), f.resource.slot(name, useValue)
		for end := len(name) - 1; end > 0; end-- {
			if name[end] != '.' || end == len(name)-1 {
				continue
			}
			f.paths = true
			o.into = append(o.into, into{
				slot: f.record.slot(name[:end], useMap), inside: f.resource.slot(name[:end], useMap), rest: name[end+1:],
			})
		}
	case whatText:
		o.slot, o.inside = f.record.slot(name, useText), f.resource.slot(name, useText)
	case whatSource:
		f.record.add(keyCloudEventsSource, useLast, slotCloudEventsSource)
	}
	return o, nil
}

// matcher finds which attributes are of interest by a table over a key's length and two of its bytes: most keys end there.
type matcher struct {
	entries []entry
	slots   int
	table   [matchSize]uint16 // number of the first entry, from 1
}

const (
	matchSize  = 256
	maxEntries = 1 << 12
)

type entry struct {
	key  string
	use  use
	slot int
	next uint16 // another entry at the same place of the table, from 1
}

// slot returns where values of the key go.
func (m *matcher) slot(key string, u use) int {
	for _, e := range m.entries {
		if e.key == key && e.use == u && e.slot >= firstResourceSlot {
			return e.slot
		}
	}
	m.slots++
	m.add(key, u, m.slots-1)
	return m.slots - 1
}

func (m *matcher) add(key string, u use, slot int) {
	for _, e := range m.entries {
		if e.key == key && e.use == u && e.slot == slot {
			return
		}
	}
	m.entries = append(m.entries, entry{key: key, use: u, slot: slot})
}

func (m *matcher) build() {
	for i := range m.entries {
		at := placeOf(m.entries[i].key)
		m.entries[i].next = m.table[at]
		m.table[at] = uint16(i + 1)
	}
}

// placeOf of a key in the table. Keys are not empty.
func placeOf[T string | []byte](key T) uint8 {
	n := len(key)
	return uint8(n)*37 ^ key[0]*5 ^ key[n-1] ^ key[n/2]<<3
}
