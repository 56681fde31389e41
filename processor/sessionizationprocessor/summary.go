// SPDX-License-Identifier: Apache-2.0

package sessionizationprocessor

import (
	"encoding/binary"
	"strings"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/session"
)

// Columns that every table of sessions has, by their place.
const (
	columnID = iota
	columnTenant
	columnUser
	columnAnonymous
	columnStart
	columnEnd
	columnDuration
	columnEvents
	columnPrevious
	columnAbsorbed
	fixedColumns
)

// table is what summaries are rows of.
func (c *Config) table() *result.Table {
	t := &result.Table{
		Name: c.Summary.Table, Description: "Sessions that have closed: one row each",
		Key: []string{"session_start", "session_id"}, Time: "session_start", TTL: c.Summary.TTL,
		Columns: []result.Column{
			{Name: "session_id", Attribute: event.FieldSession, Type: result.String, Description: "As events have it, but for those of absorbed_ids"},
			{Name: "tenant_id", Attribute: event.FieldTenant, Type: result.String, LowCardinality: true},
			{Name: "user_id", Attribute: event.FieldUser, Type: result.String, Nullable: true},
			{Name: "anonymous_id", Attribute: event.FieldAnonymous, Type: result.String, Nullable: true},
			{Name: "session_start", Attribute: "session.start", Type: result.Timestamp, Description: "Time of the first event"},
			{Name: "session_end", Attribute: "session.end", Type: result.Timestamp, Description: "Time of the last event"},
			{Name: "duration_ms", Attribute: "session.duration_ms", Type: result.Int64},
			{Name: "events", Attribute: "session.events", Type: result.Int64, Description: "How many events it has"},
			{Name: "previous_session_id", Attribute: "session.previous_id", Type: result.String, Nullable: true},
			{Name: "absorbed_ids", Attribute: "session.absorbed_ids", Type: result.Strings,
				Description: "IDs that some of its events have, since they came before the event that joined two sessions"},
		},
	}
	add := func(name, attribute string, typ result.Type) {
		t.Columns = append(t.Columns, result.Column{Name: name, Attribute: attribute, Type: typ, Nullable: typ.Scalar()})
	}
	if c.CountEvents {
		t.Columns = append(t.Columns, result.Column{Name: "event_counts", Attribute: "session.event_counts", Type: result.Counts, LowCardinality: true,
			Description: "How many events of each name"})
	}
	if c.Page != "" {
		add(aggregateEntry, "session.entry_page", result.String)
		add(aggregateExit, "session.exit_page", result.String)
	}
	if c.Campaign != "" {
		add(aggregateCampaign, "session.campaign", result.String)
	}
	for _, k := range c.Key {
		for name := range strings.SplitSeq(k, "|") {
			switch name = strings.TrimSpace(name); name {
			case event.FieldTenant, event.FieldUser, event.FieldAnonymous:
			default:
				add(columnOf(name), result.Attribute(name), result.String)
			}
		}
	}
	for i := range c.Aggregates {
		a := &c.Aggregates[i]
		compiled, err := a.compile()
		if err != nil {
			continue // Validate says it
		}
		add(a.Name, "session."+a.Name, result.TypeOf(compiled.Spec.ResultType()))
	}
	return t
}

// columnOf a field.
func columnOf(field string) string {
	return strings.ToLower(strings.NewReplacer(".", "_", "-", "_").Replace(field))
}

// writer writes summaries as rows.
type writer struct {
	cfg   *Config
	table *result.Table
	w     *result.Writer
}

func (w *writer) add(s *session.Summary) {
	var start [8]byte
	binary.BigEndian.PutUint64(start[:], uint64(s.Start))
	name := w.cfg.Summary.EventName
	w.w.Row(result.Head{Event: name, Time: s.Last, ID: result.ID([]byte(name), []byte(s.Own), start[:]), Timing: result.OnTime})
	w.w.Str(columnID, s.ID)
	w.w.Time(columnStart, s.Start)
	w.w.Time(columnEnd, s.Last)
	w.w.Int(columnDuration, (s.Last-s.Start)/1e6)
	w.w.Int(columnEvents, int64(s.Events))
	if s.Previous != "" {
		w.w.Str(columnPrevious, s.Previous)
	}
	if len(s.Absorbed) > 0 {
		w.w.Strs(columnAbsorbed, s.Absorbed)
	}
	if c := w.table.Find("event_counts"); c >= 0 && w.cfg.CountEvents && len(s.Counts) > 0 {
		counts := make([]result.Count, 0, len(s.Counts))
		for _, n := range s.Counts {
			counts = append(counts, result.Count{Value: n.Name, Count: int64(n.Count)})
		}
		w.w.Counts(c, counts)
	}
	// What a session of an earlier configuration has is found by name too: what this one's table lacks is left out.
	taken := map[int]bool{}
	for part, v := range s.Key {
		if n := s.Chosen[part]; n >= 0 {
			w.str(taken, w.columnOfField(s.Definition.Key[part].Of[n]), v.ScalarText())
		}
	}
	for i := range s.Values {
		w.value(taken, w.columnOfField(s.Definition.Aggregates[i].Name), &s.Values[i])
	}
}

func (w *writer) columnOfField(name string) int {
	switch name {
	case event.FieldTenant:
		return columnTenant
	case event.FieldUser:
		return columnUser
	case event.FieldAnonymous:
		return columnAnonymous
	}
	return w.table.Find(columnOf(name))
}

func (w *writer) str(taken map[int]bool, column int, s string) {
	if column >= 0 && !taken[column] && w.table.Columns[column].Type == result.String {
		taken[column] = true
		w.w.Str(column, s)
	}
}

func (w *writer) value(taken map[int]bool, column int, v *aggregate.Value) {
	if column < 0 || taken[column] || v.IsNull() || result.TypeOf(v.Type) != w.table.Columns[column].Type {
		return
	}
	taken[column] = true
	w.w.Value(column, v)
}
