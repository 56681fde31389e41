// SPDX-License-Identifier: Apache-2.0

package window

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"

	"github.com/millrace/millrace/internal/aggregate"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/watermark"
)

// Options of a Plan.
type Options struct {
	Watermark watermark.Config
	// MaxFuture is how far ahead of its append time an event may be and still count.
	MaxFuture time.Duration
	// MaxBytes of memory for state, over all aggregations.
	MaxBytes int
	// PassEvents hands on what comes in, PassLate only what is late.
	PassEvents, PassLate bool
}

// Plan is aggregations, compiled. Any goroutine may use it.
type Plan struct {
	o      Options
	names  []string // of fields
	fields *event.Fields
	// stageFields are fields and resultFields.
	stageFields *event.Fields
	aggs        []*aggregation
	keys        [][]keyField // distinct group keys
	// expressions are evaluated into columns behind those of stageFields, filters into bits.
	parser      *ottl.Parser[record] // nil until something is compiled
	expressions []*expression
	filters     []*filter
	byEvent     bool // some aggregation goes by event time
	panes       bool // some aggregation emits a result more than once
	readOnly    bool // OTTL is not compiled
}

// columnFailure is the first field that every Plan reads: why an event failed at the door.
const columnFailure = 0

// resultFields are read of results of a stage before, behind the plan's own fields.
var resultFields = []string{result.AttributeID, result.AttributeIndex, result.AttributeTiming}

// keyField is one field of a group key.
type keyField struct {
	column int
	typ    aggregate.Type
}

// aggregation is one Definition, compiled.
type aggregation struct {
	def        Definition // normal
	id         identity
	table      *result.Table
	set        *aggregate.Set // cloned by those who add
	fixed      int            // size of every accumulator, if isFixed
	isFixed    bool
	empty      []byte
	assign     *assigner // nil of sessions
	processing bool
	session    bool
	rolling    bool
	gap, limit int64 // of sessions: gap and most duration, in nanoseconds
	early      int64

	key        int // of Plan.keys
	events     map[string]struct{}
	event      string // the only one of events, or ""
	where      []condition
	filter     int           // of Plan.filters, or -1
	masks      [][]condition // by bit
	columns    []int         // that the functions read
	panes      bool
	firstValue int // index of the first value's column in the table
}

// outcome of an event for an aggregation. As text it is a metric's attribute.
type outcome uint8

const (
	counted  outcome = iota
	overflow         // counted, in the overflow group
	future           // counted, though ahead of its append time by more than max_future_skew: it moves no watermark
	late
	tooFar // ahead by more than max_future
	filtered
	failed // at the door
	pane   // an early or a repeated pane of a stage before, which a session does not take
	outcomes
)

func (o outcome) String() string {
	return [outcomes]string{"counted", "overflow", "future", "late", "too_far_ahead", "filtered", "failed", "pane"}[o]
}

// NewPlan compiles definitions.
func NewPlan(o Options, definitions []Definition) (*Plan, error) {
	p := &Plan{o: o, names: []string{event.FieldFailure}}
	tables := map[string]string{}
	for i := range definitions {
		a, err := p.compile(&definitions[i])
		if err != nil {
			return nil, fmt.Errorf("aggregations::%d::%w", i, err)
		}
		for _, b := range p.aggs {
			if a.def.Name == b.def.Name {
				return nil, fmt.Errorf("aggregations::%d::name: %q is another one's name: choose another", i, a.def.Name)
			}
		}
		if other, taken := tables[a.table.Name]; taken {
			return nil, fmt.Errorf("aggregations::%d::table::name: %q is the table of %s too: choose another", i, a.table.Name, other)
		}
		tables[a.table.Name] = a.def.Name
		p.aggs = append(p.aggs, a)
		p.byEvent = p.byEvent || !a.processing && !a.rolling
		p.panes = p.panes || a.panes || a.rolling
	}
	if len(p.aggs) == 0 {
		return nil, errors.New("aggregations: is empty: give at least one")
	}
	var err error
	if p.fields, err = event.NewFields(p.names...); err != nil {
		return nil, fmt.Errorf("aggregations: %w", err)
	}
	if p.stageFields, err = event.NewFields(slices.Concat(p.names, resultFields)...); err != nil {
		return nil, fmt.Errorf("aggregations: %w", err)
	}
	for i, a := range p.aggs {
		if err := p.compileSet(a); err != nil {
			return nil, fmt.Errorf("aggregations::%d::values: %w", i, err)
		}
	}
	return p, nil
}

// column of a field, which is read from now on.
func (p *Plan) column(field string) int {
	if i := slices.Index(p.names, field); i >= 0 {
		return i
	}
	p.names = append(p.names, field)
	return len(p.names) - 1
}

// compile all of the definition but its set: there may be columns to come.
func (p *Plan) compile(d *Definition) (*aggregation, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	a := &aggregation{def: d.normal(), filter: -1}
	var err error
	if a.table, err = a.def.table(); err != nil {
		return nil, err
	}
	w := &a.def.Window
	a.processing, a.session, a.rolling = w.Time == Processing, w.Type == Session, w.Type == Rolling
	a.gap, a.limit = int64(w.Gap), int64(w.MaxDuration)
	a.early = int64(a.def.Early.Every)
	if !a.session {
		if a.assign, err = newAssigner(w); err != nil {
			return nil, fmt.Errorf("window::time_zone: %w", err)
		}
	}
	a.panes = !a.session && !a.rolling && (a.early > 0 || !a.processing && p.o.Watermark.AllowedLateness > 0)
	if len(d.Events) == 1 {
		a.event = d.Events[0]
	}
	a.events = map[string]struct{}{}
	for _, e := range d.Events {
		a.events[e] = struct{}{}
	}
	a.where = p.conditions(a.def.Where)
	var key []keyField
	for _, g := range a.def.GroupBy {
		key = append(key, keyField{p.column(g.Field), g.Type})
	}
	if a.key = slices.IndexFunc(p.keys, func(k []keyField) bool { return slices.Equal(k, key) }); a.key < 0 {
		a.key = len(p.keys)
		p.keys = append(p.keys, key)
	}
	if a.def.Filter != "" {
		if a.filter, err = p.condition(a.def.Filter); err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
	}
	for i := range a.def.Values {
		v := &a.def.Values[i]
		for _, field := range []string{v.Field, v.By} {
			if field != "" {
				p.column(field)
			}
		}
		if v.Expression != "" {
			if _, err := p.expression(v.Expression); err != nil {
				return nil, fmt.Errorf("values::%d::expression: %w", i, err)
			}
		}
		if len(v.Where) > 0 {
			a.masks = append(a.masks, p.conditions(v.Where))
		}
	}
	return a, nil
}

func (p *Plan) conditions(from []Condition) (to []condition) {
	for i := range from {
		to = append(to, newCondition(&from[i], p.column(from[i].Field)))
	}
	return to
}

// compileSet lays out the aggregation's accumulators.
func (p *Plan) compileSet(a *aggregation) error {
	fields := len(p.names) + len(resultFields)
	all := fields + len(p.expressions)
	var specs, own []aggregate.Spec
	var columns []int // of own
	local := func(c int) int {
		if c < 0 {
			return c
		}
		if i := slices.Index(columns, c); i >= 0 {
			return i
		}
		columns = append(columns, c)
		return len(columns) - 1
	}
	filters := 0
	for i := range a.def.Values {
		v := &a.def.Values[i]
		column, by, filter := aggregate.None, aggregate.None, aggregate.None
		switch {
		case v.Field != "":
			column = p.column(v.Field)
		case v.Expression != "":
			n, err := p.expression(v.Expression)
			if err != nil {
				return err
			}
			column = fields + n
		}
		if v.By != "" {
			by = p.column(v.By)
		}
		if len(v.Where) > 0 {
			filter = filters
			filters++
		}
		specs = append(specs, v.spec(column, by, filter))
		own = append(own, v.spec(local(column), local(by), filter))
	}
	var err error
	if a.set, err = aggregate.NewSet(specs, all, filters); err != nil {
		return err
	}
	// Columns are numbered by what other aggregations read too, and the state is not to depend on those.
	canonical, err := aggregate.NewSet(own, len(columns), filters)
	if err != nil {
		return err
	}
	a.id = a.def.identity(canonical.Layout())
	a.columns = columns
	a.fixed, a.isFixed = a.set.FixedSize()
	a.empty = a.set.Init(nil)
	a.firstValue = len(a.table.Columns) - len(a.def.Values)
	return nil
}

// Tables that results go into.
func (p *Plan) Tables() []*result.Table {
	var out []*result.Table
	for _, a := range p.aggs {
		out = append(out, a.table)
	}
	return out
}

// Panes says whether a result may be emitted more than once.
func (p *Plan) Panes() bool { return p.panes }

// Passes says whether anything of what comes in is handed on.
func (p *Plan) Passes() bool { return p.o.PassEvents || p.o.PassLate }

// takes says whether an event of that name, or a result of a stage before, is one that the aggregation takes. allResults says that nothing but
// results comes in.
func (a *aggregation) takes(name string, isResult, allResults bool) bool {
	switch {
	case a.event != "":
		return name == a.event
	case len(a.events) > 0:
		_, ok := a.events[name]
		return ok
	}
	return !isResult || allResults
}
