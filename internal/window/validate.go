// SPDX-License-Identifier: Apache-2.0

package window

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
)

const (
	// maxWindows that an event may fall into: size over slide.
	maxWindows = 1000
	minSlice   = time.Millisecond
	maxSpan    = 366 * 24 * time.Hour
	maxKeys    = 16 // fields of a group
	maxValues  = 64
	maxLimit   = 10_000_000
)

// Check says in one line which field is wrong, and the mend. It is not called Validate, which core would call beside that of the whole, and
// say the same twice.
func (d *Definition) Check() error {
	if d.Name == "" {
		return errors.New("name: is empty: give the aggregation a name, such as events_per_minute")
	}
	if len(d.Name) > 128 {
		return fmt.Errorf("name: %q is longer than 128 bytes: shorten it", d.Name[:20]+"…")
	}
	if err := d.Window.validate(); err != nil {
		return fmt.Errorf("window::%w", err)
	}
	for i, e := range d.Events {
		if e == "" {
			return fmt.Errorf("events::%d: is empty: name an event, or leave events out for all", i)
		}
	}
	if err := validateAll("where", d.Where); err != nil {
		return err
	}
	if len(d.GroupBy) > maxKeys {
		return fmt.Errorf("group_by: %d fields are more than %d: name fewer", len(d.GroupBy), maxKeys)
	}
	for i := range d.GroupBy {
		if err := d.GroupBy[i].validate(); err != nil {
			return fmt.Errorf("group_by::%d::%w", i, err)
		}
	}
	if d.CardinalityLimit < 0 || d.CardinalityLimit > maxLimit {
		return fmt.Errorf("cardinality_limit: %d: use a number from 1 to %d", d.CardinalityLimit, maxLimit)
	}
	if len(d.Values) > maxValues {
		return fmt.Errorf("values: %d are more than %d: use fewer, or a second aggregation", len(d.Values), maxValues)
	}
	for i := range d.Values {
		if err := d.Values[i].validate(); err != nil {
			return fmt.Errorf("values::%d::%w", i, err)
		}
	}
	switch {
	case d.Early.Every < 0 || d.Early.Every > 0 && d.Early.Every < time.Second:
		return fmt.Errorf("early::every: %s: use at least 1s, or 0 for none", d.Early.Every)
	case d.Early.Every > 0 && d.Window.Type == Session:
		return errors.New("early::every: a session has no identity before it is complete: leave it out")
	}
	if wrong := d.validateRolling(); wrong != "" {
		return errors.New(wrong)
	}
	if _, err := json.Marshal(d); err != nil {
		return errors.New("where: a number is infinite or none: use another")
	}
	n := d.normal()
	if t, err := n.table(); err != nil {
		return err
	} else if err := t.Validate(); err != nil {
		return fmt.Errorf("%w (as names a column)", err)
	}
	return nil
}

func (w *Window) validate() error {
	needs := func(field string, d time.Duration) error {
		switch {
		case d == 0:
			return fmt.Errorf("%s: a %s window needs it: give a time, such as 1m", field, w.Type)
		case d < minSlice || d > maxSpan:
			return fmt.Errorf("%s: %s: use a time from %s to %s", field, d, minSlice, maxSpan)
		}
		return nil
	}
	unused := func(field string, set bool) error {
		if set {
			return fmt.Errorf("%s: a %s window has none: leave it out", field, w.Type)
		}
		return nil
	}
	var err error
	switch w.Type {
	case Tumbling:
		err = errors.Join(needs("size", w.Size), unused("slide", w.Slide != 0))
	case Hopping, Rolling:
		err = errors.Join(needs("size", w.Size), needs("slide", w.Slide))
	case Session:
		err = errors.Join(needs("gap", w.Gap), unused("size", w.Size != 0), unused("slide", w.Slide != 0), unused("offset", w.Offset != 0),
			unused("time_zone", w.TimeZone != "" && w.TimeZone != "UTC"))
	case "":
		return errors.New("type: is empty: use tumbling, hopping, rolling or session")
	default:
		return fmt.Errorf("type: %q is not known: use tumbling, hopping, rolling or session", w.Type)
	}
	if err == nil && w.Type != Session {
		err = errors.Join(unused("gap", w.Gap != 0), unused("max_duration", w.MaxDuration != 0))
	}
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; window::"))
	}
	switch {
	case w.Time != "" && w.Time != EventTime && w.Time != Processing:
		return fmt.Errorf("time: %q is not known: use event or processing", w.Time)
	case w.Type == Session && (w.MaxDuration < 0 || w.MaxDuration > maxSpan || w.MaxDuration != 0 && w.MaxDuration < w.Gap):
		return fmt.Errorf("max_duration: %s: use a time from the gap's %s to %s", w.MaxDuration, w.Gap, maxSpan)
	case w.Type == Rolling && w.Size%w.Slide != 0:
		return fmt.Errorf("slide: the size of %s is no multiple of %s: use one that it is a multiple of", w.Size, w.Slide)
	case w.Type == Hopping && w.Slide > w.Size:
		return fmt.Errorf("slide: %s is more than the size of %s, so that events between windows would count nowhere: use a smaller slide", w.Slide, w.Size)
	case w.Type != Session && w.Slide > 0 && w.Size/w.Slide > maxWindows:
		return fmt.Errorf("slide: an event would fall into %d windows: use a slide of at least %s", w.Size/w.Slide, (w.Size+maxWindows-1)/maxWindows)
	case w.Offset < -maxSpan || w.Offset > maxSpan:
		return fmt.Errorf("offset: %s: use a time of at most %s", w.Offset, maxSpan)
	}
	if w.TimeZone == "" || w.TimeZone == "UTC" {
		return nil
	}
	if _, err := time.LoadLocation(w.TimeZone); err != nil || w.TimeZone == "Local" {
		return fmt.Errorf("time_zone: %q is not known: use a name of the IANA database, such as Europe/Berlin", w.TimeZone)
	}
	const wholeDay = 24 * time.Hour
	switch {
	case w.Type == Hopping || w.Type == Rolling:
		return fmt.Errorf("time_zone: %q: %s windows are cut by UTC: use offset, or a tumbling window", w.TimeZone, w.Type)
	case w.Size > wholeDay && w.Size%wholeDay != 0:
		return fmt.Errorf("size: %s: with a time zone use whole days, or a part of a day", w.Size)
	case w.Size < wholeDay && wholeDay%w.Size != 0:
		return fmt.Errorf("size: %s: with a time zone use whole days, or a part of a day that 24h is a multiple of", w.Size)
	}
	return nil
}

var groupTypes = []aggregate.Type{aggregate.String, aggregate.Integer, aggregate.Number, aggregate.Boolean}

func (g *Group) validate() error {
	if err := validateField(g.Field); err != nil {
		return fmt.Errorf("field: %w", err)
	}
	switch {
	case g.Type != "" && !slices.Contains(groupTypes, g.Type):
		return fmt.Errorf("type: %q: use %v", g.Type, groupTypes)
	case g.LowCardinality && g.Type != "" && g.Type != aggregate.String:
		return errors.New("low_cardinality: is for texts: leave it out")
	}
	return nil
}

func validateField(field string) error {
	if _, err := event.NewFields(field); err != nil {
		return err
	}
	return nil
}

func (v *Value) validate() error {
	switch {
	case v.Field != "" && v.Expression != "":
		return errors.New("expression: there is a field too: give one of them")
	case v.Function == "":
		return errors.New("function: is empty: use one such as count, sum or count_distinct")
	}
	for _, f := range []struct{ name, field string }{{"field", v.Field}, {"by", v.By}} {
		if f.field == "" {
			continue
		}
		if err := validateField(f.field); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if v.Function == aggregate.Quantile && v.Quantile == 0 {
		return errors.New("quantile: is 0: give which one is meant, such as 0.95; for the least value use min")
	}
	if err := validateAll("where", v.Where); err != nil {
		return err
	}
	spec := v.spec(aggregate.None, aggregate.None, aggregate.None)
	if v.Field != "" || v.Expression != "" {
		spec.Column = 0
	}
	if v.By != "" {
		spec.By = 1
	}
	if err := spec.Validate(); err != nil {
		return fmt.Errorf("function: %w", err)
	}
	return nil
}

// spec of the function, over these columns and the filter.
func (v *Value) spec(column, by, filter int) aggregate.Spec {
	return aggregate.Spec{
		Function: v.Function, Column: column, By: by, Filter: filter, Type: v.Type, ByType: v.ByType, Quantile: v.Quantile,
		Accuracy: v.Accuracy, K: v.K, Capacity: v.Capacity, Precision: v.Precision, Exact: v.Exact, MaxBytes: v.MaxBytes,
	}
}

// Attributes and columns of results that are the window's.
const (
	columnStart    = "window_start"
	columnEnd      = "window_end"
	columnOverflow = "overflow"
)

// table of a normal definition's results.
func (d *Definition) table() (*result.Table, error) {
	t := &result.Table{
		Name: d.Table.Name, Description: d.Description, TTL: d.Table.TTL, Time: columnStart, Key: []string{columnStart},
		Columns: []result.Column{
			{Name: columnStart, Attribute: result.AttributeWindowStart, Type: result.Timestamp},
			{Name: columnEnd, Attribute: result.AttributeWindowEnd, Type: result.Timestamp},
		},
	}
	if len(d.Table.OrderBy) > 0 {
		t.Key = d.Table.OrderBy
	}
	if d.Window.Type == Rolling {
		t.Key, t.Time = d.rollingKey(), columnEnd
	}
	for i := range d.GroupBy {
		g := &d.GroupBy[i]
		attribute := g.As
		if columnName(g.Field) == g.As { // neither renamed nor with alternatives: those behind it find it under its name
			attribute = g.Field
		}
		t.Columns = append(t.Columns, result.Column{
			Name: g.As, Attribute: result.Attribute(attribute), Type: result.TypeOf(g.Type),
			Nullable:       !slices.Contains(t.Key, g.As),
			LowCardinality: g.LowCardinality || g.Field == "event.name" || g.Field == "tenant.id",
		})
	}
	if len(d.GroupBy) > 0 {
		t.Columns = append(t.Columns, result.Column{Name: columnOverflow, Type: result.Bool, Description: "Groups beyond the cardinality limit, together."})
	}
	for i := range d.Values {
		v := &d.Values[i]
		spec := v.spec(0, 0, aggregate.None)
		typ := result.TypeOf(spec.ResultType())
		t.Columns = append(t.Columns, result.Column{
			Name: v.As, Attribute: result.Attribute(v.As), Type: typ,
			Nullable: typ.Scalar() && v.Function != aggregate.Count && v.Function != aggregate.CountDistinct,
		})
	}
	for i, name := range t.Key {
		if t.Find(name) < 0 {
			return nil, fmt.Errorf("table::order_by::%d: %q is no column: use window_start, window_end or a group's", i, name)
		}
	}
	for _, v := range d.Values {
		if slices.Contains(t.Key, v.As) {
			return nil, fmt.Errorf("table::order_by: %q is a value, which changes from pane to pane: use window_start, window_end or a group's", v.As)
		}
	}
	return t, nil
}
