// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"

	"github.com/millrace/millrace/internal/event"
)

// RunsOf returns the runs of the records that reached a component. They are d.Runs, unless a processor before it has removed some: then the
// range is read again, and what is left found in it by the events' IDs, since which append an event came with, and when that was,
// must not depend on where deliveries are cut. A run of which nothing is left has no records. exact is false where
// they cannot be told: that processor has made records, or changed their order or their IDs.
func (d *Delivery) RunsOf(b event.Batch) (runs []Run, exact bool, err error) {
	records := 0
	for _, r := range d.Runs {
		records += r.Records
	}
	n := b.Len()
	switch {
	case n == 0 || len(d.Runs) == 0:
		return nil, false, nil
	case n == records:
		return d.Runs, true, nil
	case n > records || d.original == nil:
		return nil, false, nil
	}
	ld, err := d.original()
	if err != nil {
		return nil, false, fmt.Errorf("reading again what a processor has removed records of: %w", err)
	}
	all, err := idsOf(event.FromLogs(ld))
	if err != nil {
		return nil, false, err
	}
	left, err := idsOf(b)
	if err != nil {
		return nil, false, err
	}
	runs = make([]Run, len(d.Runs))
	at := 0
	for i, r := range d.Runs {
		run := r
		run.Records = 0
		for _, id := range all[min(at, len(all)):min(at+r.Records, len(all))] {
			if len(left) > 0 && left[0] == id && id != "" {
				left = left[1:]
				run.Records++
			}
		}
		runs[i] = run
		at += r.Records
	}
	return runs, len(left) == 0, nil
}

func idsOf(b event.Batch) ([]string, error) {
	fields, err := event.NewFields(event.FieldID)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, b.Len())
	err = fields.Reader().Each(b, func(_ int, row *event.Row) bool {
		ids = append(ids, row.Values[0].ScalarText())
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("reading events' IDs: %w", err)
	}
	return ids, nil
}
