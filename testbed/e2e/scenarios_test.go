// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Scenarios are the configurations beside the quickstart that a how-to goes with. Each test sends a small stream whose answers it
// reckons itself, and asks ClickHouse with the queries that the how-to has its reader ask.
type scenario struct {
	*instance
	howTo string
}

// startScenario starts configs/NAME.yaml, with partitions that follow soon when they are idle.
func startScenario(t *testing.T, name string, overlays ...overlay) *scenario {
	t.Helper()
	i := newInstance(t, append([]overlay{"connectors::event_log: {tick_interval: 500ms, checkpoint_interval: 500ms}"}, overlays...)...)
	config, err := filepath.Abs(filepath.Join(root(), "configs", name+".yaml"))
	require.NoError(t, err)
	i.args[1] = config
	// The shop's schemas ask for more than these events have.
	require.NoError(t, os.RemoveAll(i.schema))
	require.NoError(t, os.Mkdir(i.schema, 0o700))
	if !strings.Contains(readText(t, "configs", name+".yaml"), "MILLRACE_SEGMENT:") {
		nobody, err := net.Listen("tcp", "127.0.0.1:0") // in the place of the receiver, which start waits for
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, nobody.Close()) })
		i.fixed = map[string]string{"MILLRACE_SEGMENT": nobody.Addr().String()}
	}
	i.start(t)
	t.Cleanup(func() { i.stop(t) })
	return &scenario{i, name + ".md"}
}

// query of the how-to: the block behind "```sql NAME", with words in the place of others.
func (s *scenario) query(t *testing.T, name string, oldnew ...string) string {
	t.Helper()
	block := regexp.MustCompile("(?s)```sql " + regexp.QuoteMeta(name) + "\n(.*?)```").FindStringSubmatch(readText(t, "docs", "how-to", s.howTo))
	require.NotNil(t, block, "%s has no query %s", s.howTo, name)
	for n := 0; n < len(oldnew); n += 2 {
		require.Contains(t, block[1], oldnew[n])
	}
	return strings.NewReplacer(oldnew...).Replace(block[1])
}

// ask runs a query, and returns each row as its values joined by |, numbers with six digits.
func (s *scenario) ask(tb testing.TB, sql string) []string {
	tb.Helper()
	out := []string{}
	for _, row := range s.table(tb, sql).Rows {
		texts := make([]string, len(row))
		for c, v := range row {
			texts[c] = fmt.Sprint(v)
			if n, ok := v.(json.Number); ok && strings.ContainsAny(n.String(), ".e") {
				f, err := n.Float64()
				require.NoError(tb, err)
				texts[c] = number(f)
			}
		}
		out = append(out, strings.Join(texts, "|"))
	}
	return out
}

// number is how ask writes one.
func number(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// becomes waits until the query's answer is the one that is wanted, in any order.
func (s *scenario) becomes(t *testing.T, want []string, sql string) {
	t.Helper()
	var missing, extra []string
	deadline := time.Now().Add(patience)
	for {
		got := s.ask(t, sql)
		if missing, extra = without(want, got), without(got, want); len(missing)+len(extra) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	require.Fail(t, "another answer", "%s\n%d of %d rows are missing, such as\n%s\nand %d there instead, such as\n%s", sql, len(missing), len(want),
		strings.Join(missing[:min(10, len(missing))], "\n"), len(extra), strings.Join(extra[:min(10, len(extra))], "\n"))
}

// without are the rows that are not among the others, as often as they are not.
func without(rows, others []string) (out []string) {
	n := map[string]int{}
	for _, row := range others {
		n[row]++
	}
	for _, row := range rows {
		if n[row]--; n[row] < 0 {
			out = append(out, row)
		}
	}
	return out
}

// happened is one event of a scenario.
type happened struct {
	at   time.Time
	name string
	user string
	is   map[string]any
}

// tell sends events in batches of some hundred, in their order.
func (s *scenario) tell(t *testing.T, all []happened) {
	t.Helper()
	for chunk := range slices.Chunk(all, 300) {
		ld, records := events()
		for _, h := range chunk {
			h.record(t, records.AppendEmpty())
		}
		require.NoError(t, sendGRPC(s.instance, ld))
	}
}

func (h *happened) record(t *testing.T, lr plog.LogRecord) {
	t.Helper()
	lr.SetEventName(h.name)
	lr.SetTimestamp(pcommon.NewTimestampFromTime(h.at))
	require.NoError(t, lr.Attributes().FromRaw(h.is))
	lr.Attributes().PutStr("log.record.uid", newID(h.name))
	if h.user != "" {
		lr.Attributes().PutStr("user.id", h.user)
	}
}

// over says that time has come so far: all partitions follow by ticks.
func (s *scenario) over(t *testing.T, at time.Time) {
	t.Helper()
	s.tell(t, []happened{{at: at, name: "later", user: "later"}})
}

// ranked is a text's counts as ClickHouse shows a list of the most frequent, which are told apart by their counts.
func ranked(counts map[string]int, k int) string {
	values := make([]string, 0, len(counts))
	for v := range counts {
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	return strings.Join(values[:min(k, len(values))], ",")
}
