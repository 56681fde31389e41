// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/enginetest"
)

func tables(t *testing.T) (*enginetest.Engine, *chhttp.Client) {
	t.Helper()
	engine := enginetest.Start(t, enginetest.WithDatabases(referenceDatabase))
	ch := &chhttp.Client{URL: "http://" + engine.HTTPAddr, Database: "analytics", HTTP: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(ch.Close)
	return engine, ch
}

func TestRowsThatDifferBetweenRunsAreSeen(t *testing.T) {
	t.Parallel()
	engine, ch := tables(t)
	h := held{
		name: "visits", key: "result_id", other: "the other", count: func(r *Results) *int64 { return &r.Windows },
		ours: "analytics.visits WHERE pane_timing != 'early'", theirs: "reference.visits WHERE pane_timing != 'early'",
	}
	for _, database := range []string{"analytics", "reference"} {
		engine.Exec("CREATE TABLE " + database + ".visits (result_id String, worth Float64, note Nullable(String), pane_timing String, pane_index Int64, _delivery String) ENGINE = MergeTree ORDER BY result_id")
	}
	const same = "('a', 0.1, 'x', 'on_time', 1, 'd'), ('b', nan, NULL, 'on_time', 1, 'd')"
	f := func(ours, theirs string, want int64, says ...string) {
		t.Helper()
		for database, rows := range map[string]string{"analytics": ours, "reference": theirs} {
			engine.Exec("TRUNCATE TABLE " + database + ".visits")
			engine.Exec("INSERT INTO " + database + ".visits VALUES " + rows)
		}
		r := &Results{}
		require.NoError(t, h.compare(t.Context(), ch, r))
		require.Equal(t, want, r.Differ)
		text := strings.Join(r.Samples, "\n")
		for _, s := range says {
			require.Contains(t, text, s)
		}
		require.Equal(t, want == 0, text == "")
	}
	f(same, same, 0)
	f(same, strings.ReplaceAll(strings.ReplaceAll(same, "on_time', 1", "late', 7"), "'d'", "'other'"), 0) // how many panes came before, in which delivery
	f(same, same+", ('c', 1, '', 'early', 0, 'd')", 0)
	f(same, same+", ('c', 1, '', 'on_time', 0, 'd')", 1, "visits c: 0 rows, and 1 in the other: ", "result_id=c")
	f(same+", ('c', 1, '', 'on_time', 0, 'd')", same, 1, "visits c: 1 rows, and 0 in the other")
	f(same+", ('a', 0.1, 'x', 'on_time', 1, 'd')", same, 1, "visits a: 2 rows, and 1 in the other")
	f(same, strings.ReplaceAll(same, "0.1", "0.10000000000000002"), 1, "visits a: worth is 0.1, and 0.10000000000000002 in the other")
	f(same, strings.ReplaceAll(same, "NULL", "''"), 1, "visits b: note is <nil>, and  in the other")
	f(same, strings.ReplaceAll(same, "nan", "0"), 1, "visits: 1 of 2 rows differ from the other")

	engine.Exec("ALTER TABLE reference.visits ADD COLUMN more String")
	require.ErrorContains(t, h.compare(t.Context(), ch, &Results{}), "the columns are")
}

func TestSessionsAndMinutesThatDoNotHaveTheirEventsAreSeen(t *testing.T) {
	t.Parallel()
	engine, ch := tables(t)
	engine.Exec("CREATE TABLE analytics.events (event_id String, event_name String, event_time DateTime64(9), session_id Nullable(String), late Bool) ENGINE = MergeTree ORDER BY event_id")
	engine.Exec("CREATE TABLE analytics.failed_events (event_id String) ENGINE = MergeTree ORDER BY event_id")
	engine.Exec("CREATE TABLE analytics.sessions (session_id String, user_id Nullable(String), absorbed_ids Array(String), events Int64) ENGINE = MergeTree ORDER BY session_id")
	engine.Exec("CREATE TABLE analytics.events_per_minute (window_start DateTime64(9), event_name String, events Int64, pane_timing String) ENGINE = MergeTree ORDER BY window_start")
	engine.Exec(`INSERT INTO analytics.events VALUES ('1', 'page', '2026-11-02 12:00:01', 's', false), ('2', 'page', '2026-11-02 12:00:59.5', 't', false),
		('3', 'page', '2026-11-02 12:01:01', 's', false), ('4', 'page', '2026-11-02 12:00:30', 'their-own', true), ('5', 'last', '2026-11-02 12:09:00', 'open', false)`)
	f := func(sessions, minutes string, wrong, open int64) {
		t.Helper()
		engine.Exec("TRUNCATE TABLE analytics.sessions")
		engine.Exec("TRUNCATE TABLE analytics.events_per_minute")
		engine.Exec("INSERT INTO analytics.sessions VALUES " + sessions)
		engine.Exec("INSERT INTO analytics.events_per_minute VALUES " + minutes)
		r := &Results{Ticks: 7}
		require.NoError(t, recount(t.Context(), ch, r))
		require.Equal(t, Results{Late: 1, Ticks: 2, Wrong: wrong, Open: open, Samples: r.Samples}, *r)
		require.Len(t, r.Samples, int(wrong))
	}
	const sessions = "('s', NULL, ['t'], 3), ('p', 'poison-1', [], 9)"
	const minutes = "('2026-11-02 12:00:00', 'page', 2, 'on_time'), ('2026-11-02 12:01:00', 'page', 1, 'late'), ('2026-11-02 12:09:00', 'last', 1, 'early'), ('2026-11-02 12:01:00', 'chaos_poison', 5, 'late')"
	f(sessions, minutes, 0, 1)
	f(strings.Replace(sessions, "3", "2", 1), minutes, 1, 1)
	f(strings.Replace(sessions, "'t'", "", 1), minutes, 1, 2)
	f(sessions, strings.Replace(minutes, "'page', 2", "'page', 3", 1), 1, 1)
	f(sessions, strings.Replace(minutes, "'page', 1, 'late'", "'page', 1, 'early'", 1), 0, 2)
	f(sessions, minutes+", ('2026-11-02 12:05:00', 'page', 1, 'on_time')", 1, 1)
}

func TestResultsAreWrongWhereLittleWasCompared(t *testing.T) {
	f := func(r *Results, want bool) {
		t.Helper()
		require.Equal(t, want, r.OK())
	}
	f(nil, true)
	f(&Results{}, false)
	f(&Results{Events: 1000, Sessions: 10, Windows: 10, Open: 50}, true)
	f(&Results{Events: 1000, Sessions: 10, Windows: 10, Open: 51}, false)
	f(&Results{Events: 1000, Sessions: 10, Windows: 10, Differ: 1}, false)
	f(&Results{Events: 1000, Sessions: 10, Windows: 10, Wrong: 1}, false)
}
