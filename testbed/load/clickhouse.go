// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"iter"

	"github.com/millrace/millrace/testbed/chhttp"
)

// Tables name what Millrace's ClickHouse exporter writes to.
type Tables struct {
	Events string // "" is analytics.events
	Failed string // "" is analytics.failed_events
	// Where limits the rows of both tables to those of one run, such as "tenant_id = 'x'"; "" is all.
	Where string
}

func (t *Tables) setDefaults() {
	if t.Events == "" {
		t.Events = "analytics.events"
	}
	if t.Failed == "" {
		t.Failed = "analytics.failed_events"
	}
	if t.Where == "" {
		t.Where = "1"
	}
}

// ClickHouseRows yields what both tables hold, for Compare. A table that does not exist has no rows.
func ClickHouseRows(ctx context.Context, c *chhttp.Client, t Tables) iter.Seq2[Row, error] {
	t.setDefaults()
	return func(yield func(Row, error) bool) {
		events := fmt.Sprintf(`SELECT toString(event_id), toString(event_name), toUnixTimestamp64Nano(toDateTime64(event_time, 9)),
	ifNull(toString(user_id), ''), ifNull(toString(anonymous_id), ''), ifNull(toString(tenant_id), ''),
	toInt64(ifNull(total, 0) * 100) FROM %s WHERE %s`, t.Events, t.Where)
		if !yieldRows(ctx, c, events, yield, func(s *chhttp.Stream) Row {
			return Row{
				ID: s.Text(), Name: s.Text(), Time: s.Int64(), User: s.Text(),
				Anon: s.Text(), Tenant: s.Text(), Total: s.Int64(),
			}
		}) {
			return
		}
		failed := fmt.Sprintf(`SELECT toString(event_id), toString(event_name) FROM %s WHERE %s`, t.Failed, t.Where)
		yieldRows(ctx, c, failed, yield, func(s *chhttp.Stream) Row {
			return Row{ID: s.Text(), Name: s.Text(), Failed: true}
		})
	}
}

// yieldRows returns false when there is nothing more to do.
func yieldRows(ctx context.Context, c *chhttp.Client, sql string, yield func(Row, error) bool, read func(*chhttp.Stream) Row) bool {
	s, err := c.Stream(ctx, sql)
	if chhttp.IsMissing(err) {
		return true
	}
	if err != nil {
		yield(Row{}, err)
		return false
	}
	defer func() { _ = s.Close() }() // what matters was read, or is an error already
	for s.More() {
		row := read(s)
		if s.Err() != nil {
			break
		}
		if !yield(row, nil) {
			return false
		}
	}
	if err := s.Err(); err != nil {
		yield(Row{}, err)
		return false
	}
	return true
}

// Stored counts the rows of both tables; a table that does not exist has none.
func Stored(ctx context.Context, c *chhttp.Client, t Tables) (events, failed int64, err error) {
	t.setDefaults()
	count := func(table string) (int64, error) {
		n, err := c.Int(ctx, "SELECT count() FROM "+table+" WHERE "+t.Where)
		if chhttp.IsMissing(err) {
			return 0, nil
		}
		return n, err
	}
	if events, err = count(t.Events); err != nil {
		return 0, 0, err
	}
	failed, err = count(t.Failed)
	return events, failed, err
}
