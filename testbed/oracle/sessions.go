// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// SessionRules say where a session ends.
type SessionRules struct {
	// Gap is the longest time between two events in a row of one session.
	Gap time.Duration
	// MaxDuration is what a session is shorter than, from its first event to its last. 0: no bound.
	MaxDuration time.Duration
	// Midnight cuts where the day changes in this time zone. nil: it does not.
	Midnight *time.Location
	// Cut says that a session begins with e, whatever was before, which is the event before it by time. nil: never.
	Cut func(before, e *Event) bool
}

// Session is the events of one key, by time, then by partition and position.
type Session struct {
	Key        string
	Start, End int64 // times of the first and of the last event, Unix nanoseconds
	Events     []Event
}

// Sessions sorts the events of each key and cuts. They come sorted by key and start.
func Sessions(events []Event, rules SessionRules, key func(*Event) string) []Session {
	keys := map[string][]Event{}
	for _, e := range events {
		keys[key(&e)] = append(keys[key(&e)], e)
	}
	var out []Session
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		of := keys[k]
		slices.SortFunc(of, func(a, b Event) int { return cmp.Or(cmp.Compare(a.Time, b.Time), byPosition(a, b)) })
		for i := range of {
			e := &of[i]
			if i == 0 || rules.cuts(&out[len(out)-1], &of[i-1], e) {
				out = append(out, Session{Key: k, Start: e.Time})
			}
			s := &out[len(out)-1]
			s.End = e.Time
			s.Events = append(s.Events, *e)
		}
	}
	return out
}

func (r *SessionRules) cuts(s *Session, before, e *Event) bool {
	return e.Time-before.Time > int64(r.Gap) ||
		r.MaxDuration > 0 && e.Time-s.Start >= int64(r.MaxDuration) ||
		r.Midnight != nil && day(before.Time, r.Midnight) != day(e.Time, r.Midnight) ||
		r.Cut != nil && r.Cut(before, e)
}

func day(at int64, zone *time.Location) [3]int {
	y, m, d := time.Unix(0, at).In(zone).Date()
	return [3]int{y, int(m), d}
}

// Closed says whether a watermark, less the allowed lateness, has passed the session's last event by more than the gap: then no event that
// counts can join it.
func (s *Session) Closed(watermark int64, gap time.Duration) bool {
	return watermark > s.End+int64(gap)
}
