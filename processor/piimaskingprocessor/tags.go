// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/schema"
)

// tags are what x-pii says of one place of an event, by up to two schemas: what either says is personal is.
type tags [2]*schema.Personal

func (t tags) class() string {
	if class := t[0].Class(); class != "" {
		return class
	}
	return t[1].Class()
}

func (t tags) member(name string) tags { return tags{t[0].Member(name), t[1].Member(name)} }

func (t tags) elements() tags { return tags{t[0].Elements(), t[1].Elements()} }

// find returns the schema that describes the event, what is personal by it, and whether a schema has the event's name.
//
// A sender says which schema its event has, and in which version. So the latest one of its name counts too: neither an old version, from
// before something was tagged, nor another subject lets pass what that one tags. Where the version is not known, it is the latest.
func find(snapshot *schema.Snapshot, e *event.Event) (found *schema.Schema, personal tags, known bool) {
	named := snapshot.Match(e.Name)
	latest := named
	if e.Schema != "" {
		if claimed := snapshot.Match(e.Schema); claimed != nil {
			latest = claimed
		}
	}
	if latest == nil {
		return nil, tags{}, false
	}
	if found = snapshot.Find(latest.Subject, e.SchemaVersion); found == nil {
		found = latest
	}
	if named != nil {
		latest = named
	}
	if personal[0] = found.Personal(); latest != found {
		personal[1] = latest.Personal()
	}
	return found, personal, named != nil
}
