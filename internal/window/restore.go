// SPDX-License-Identifier: Apache-2.0

package window

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/watermark"
)

// Restore implements delivery.Participant.
func (e *Engine) Restore(_ context.Context, s delivery.Snapshot) error {
	space, err := keyed.Restore(s, keyed.Options{MaxBytes: e.plan.o.MaxBytes})
	if err != nil {
		return err
	}
	n, err := readNotes(space.Meta(e.shared()))
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.space, e.notes, e.pending = space, n, nil
	e.parts, e.stages = map[uint32]*part{}, slices.Clone(n.Stages)
	e.later = make([][]int64, len(e.plan.aggs))
	e.retired, e.unknown, e.closing = nil, nil, nil
	e.more.Store(false)
	e.due.Store(watermark.Min)
	for i := range n.Aggregations {
		e.retire(&n.Aggregations[i])
	}
	for _, number := range space.Partitions() {
		for t := range space.Tables(number) {
			id, kind, at, ok := parseName(t)
			a := e.holder(id)
			switch {
			case ok && a != nil:
				if err := a.check(t, kind); err != nil {
					return fmt.Errorf("reading what aggregation %q of partition %d holds: %w", a.def.Name, number, err)
				}
				if i := slices.Index(e.plan.aggs, a); i >= 0 && (kind == kindSlice || kind == kindRows) {
					e.later[i] = append(e.later[i], at) // what panes told is not known any more
				}
			case ok && n.find(id) != nil: // retire has said what becomes of it
			case !slices.Contains(e.unknown, id):
				e.unknown = append(e.unknown, id)
			}
		}
	}
	for i := range e.later {
		slices.Sort(e.later[i])
	}
	e.changed.Store(len(e.retired)+len(e.unknown) > 0)
	if len(e.unknown) > 0 {
		e.o.Logger.Warn("There is state of aggregations of which no definition is known: it is dropped")
	}
	return nil
}

// retire takes up the state of a definition that is not among the plan's, to be emitted once.
func (e *Engine) retire(n *aggregationNotes) {
	raw, err := hex.DecodeString(n.ID)
	var id identity
	if copy(id[:], raw); err != nil || len(raw) != len(id) {
		return
	}
	if e.find(id) != nil {
		return
	}
	name := zap.String("aggregation", n.Definition.Name)
	a, err := compileRetired(n.Definition)
	if err == nil && a.id != id {
		err = fmt.Errorf("its identity is %x and not %s", a.id, n.ID)
	}
	if err != nil { // a release that reads it otherwise
		e.o.Logger.Warn("The state of an aggregation that was changed cannot be read any more: it is dropped", name, zap.Error(err))
		e.unknown = append(e.unknown, id)
		return
	}
	e.o.Logger.Info("An aggregation was changed or removed: what its open windows hold is emitted as it is", name)
	e.retired = append(e.retired, a)
}

// compileRetired compiles a definition to read its state, not to add to it: OTTL is not needed for that.
func compileRetired(d Definition) (*aggregation, error) {
	p := &Plan{readOnly: true}
	a, err := p.compile(&d)
	if err != nil {
		return nil, err
	}
	return a, p.compileSet(a)
}

// holder is the aggregation, of the plan or retired, whose state the identity names.
func (e *Engine) holder(id identity) *aggregation {
	for _, a := range e.retired {
		if a.id == id {
			return a
		}
	}
	return e.find(id)
}

// check the values of a table that is in memory, since accumulators that are none make the functions panic.
func (a *aggregation) check(t *keyed.Table, kind byte) error {
	var list []interval
	var value func(v []byte) error
	switch kind {
	case kindSlice:
		value = a.set.Check
	case kindSessions:
		value = func(v []byte) (err error) {
			if list, err = intervals(v, list[:0]); err != nil {
				return err
			}
			for i := range list {
				if err := a.set.Check(list[i].acc); err != nil {
					return err
				}
			}
			return nil
		}
	default:
		return nil
	}
	var err error
	t.Resident(func(r keyed.Ref) bool {
		err = value(t.Value(r))
		return err == nil
	})
	return err
}
