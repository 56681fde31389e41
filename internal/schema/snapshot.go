// SPDX-License-Identifier: Apache-2.0

package schema

// Snapshot is an immutable set of schemas in which no two give one column two types.
type Snapshot struct {
	generation uint64
	schemas    []*Schema                     // by subject, then version, oldest first
	versions   map[string]map[string]*Schema // subject, version
	latest     map[string]*Schema            // subject
	canonical  map[string]*Schema            // canonical name of a subject to its latest
}

// Generation is raised by each change; equal generations of one registry are equal snapshots.
func (s *Snapshot) Generation() uint64 { return s.generation }

// Schemas returns all, by subject and then by version, oldest first. Not to be changed.
func (s *Snapshot) Schemas() []*Schema { return s.schemas }

// Find returns one version of a subject, the latest for version "", or nil.
func (s *Snapshot) Find(subject, version string) *Schema {
	if version == "" {
		return s.latest[subject]
	}
	return s.versions[subject][version]
}

// Match returns the latest schema for an event of that name, or nil: the subject that equals the name, else
// the one that equals it canonically. It does not allocate for names of up to 128 bytes.
func (s *Snapshot) Match(eventName string) *Schema {
	if found := s.latest[eventName]; found != nil {
		return found
	}
	var buf [128]byte
	return s.canonical[string(appendCanonical(buf[:0], eventName))]
}
