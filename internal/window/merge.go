// SPDX-License-Identifier: Apache-2.0

package window

import (
	"cmp"
	"slices"

	"github.com/millrace/millrace/internal/keyed"
)

// gather merges the slices of a window: in the order of partitions, then of slices.
func (c *closing) gather(a *aggregation, f *found, of []int64) (*keyed.Table, error) {
	var tables []sliceTable
	for _, s := range of {
		tables = append(tables, f.slices[s]...)
	}
	if len(tables) == 1 && !tables[0].rows {
		return tables[0].table, nil // nothing to merge with
	}
	slices.SortStableFunc(tables, func(x, y sliceTable) int { return cmp.Compare(x.part, y.part) })
	all, err := scratchTable()
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		from := t.table
		if t.rows {
			if from, err = scratchTable(); err != nil {
				return nil, err
			}
			if err := c.addRows(a, t.table, t.part, from); err != nil {
				return nil, err
			}
		}
		from.All(func(r keyed.Ref) bool {
			mergeInto(a, all, from.Key(r), from.Value(r))
			return true
		})
	}
	return all, nil
}

// scratchTable is in memory alone, and nothing of it is journaled.
func scratchTable() (*keyed.Table, error) {
	space, err := keyed.Restore(emptySnapshot{}, keyed.Options{})
	if err != nil {
		return nil, err
	}
	return space.Table(0, ""), nil
}

func mergeInto(a *aggregation, to *keyed.Table, key, acc []byte) {
	hash := keyed.Hash(key)
	r, found := to.Find(hash, key)
	if !found {
		copy(to.Edit(to.Insert(hash, key, len(acc))), acc)
		return
	}
	v := to.Edit(r)
	if out := a.set.Merge(v, acc); len(out) != len(v) {
		copy(to.Resize(r, len(out)), out)
	}
}
