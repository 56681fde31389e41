// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/event"
)

func named(ids ...string) plog.Logs {
	ld := plog.NewLogs()
	lrs := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, id := range ids {
		lrs.AppendEmpty().Attributes().PutStr(event.FieldID, id)
	}
	return ld
}

func TestWhatAFilterLeavesIsFoundAmongTheAppends(t *testing.T) {
	d := New(Identity{}, 1, nil)
	d.Runs = []Run{{Records: 2, Appended: 10, First: 0}, {Records: 1, Appended: 11, First: 3, Ends: true}, {Records: 2, Appended: 12, First: 4, Ends: true}}
	d.original = func() (plog.Logs, error) { return named("a", "b", "c", "d", "e"), nil }
	f := func(want string, ids ...string) {
		t.Helper()
		runs, exact, err := d.RunsOf(event.FromLogs(named(ids...)))
		require.NoError(t, err)
		got := ""
		for _, r := range runs {
			got += fmt.Sprint(r.Records, "@", r.Appended, " ")
		}
		require.Equal(t, want, fmt.Sprint(got, exact))
	}
	f("2@10 1@11 2@12 true", "a", "b", "c", "d", "e")
	f("1@10 0@11 2@12 true", "b", "d", "e")
	f("0@10 1@11 0@12 true", "c")
	f("1@10 0@11 0@12 false", "b", "a")
	f("0@10 0@11 0@12 false", "z")
	f("0@10 0@11 0@12 false", "")
	f("false", "a", "b", "c", "d", "e", "f")
	f("false")
	d.original = func() (plog.Logs, error) { return plog.Logs{}, errors.New("away") }
	_, _, err := d.RunsOf(event.FromLogs(named("a")))
	require.ErrorContains(t, err, "away", "no guess: the delivery comes again")
	d.original = nil
	f("false", "a")
}
