// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/oracle"
)

// patience bounds every wait: far above what is usual, since other packages are tested at the same time.
const patience = 120 * time.Second

const root = "../.."

func millrace(t *testing.T) string {
	t.Helper()
	path := os.Getenv("MILLRACE_BINARY")
	if path == "" {
		path = filepath.Join(root, "bin", "millrace")
	}
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.NoError(t, err, "run make build first, or set MILLRACE_BINARY")
	return path
}

// rig is a collector with all queries, on a ClickHouse that outlives it.
type rig struct {
	t       *testing.T
	options CollectorOptions
	c       *Collector
	ch      *chhttp.Client
	sender  *Sender
	seed    uint64
	seen    map[string]bool // IDs of bids that were sent
}

func newRig(t *testing.T, seed uint64, overlays ...string) *rig {
	t.Helper()
	engine := enginetest.Start(t)
	var names []string
	for _, q := range Queries {
		names = append(names, q.Name)
	}
	dir := t.TempDir()
	r := &rig{
		t: t, seed: seed, seen: map[string]bool{},
		ch: &chhttp.Client{URL: "http://" + engine.HTTPAddr, Database: engine.Database},
		options: CollectorOptions{
			Command: []string{millrace(t)}, Root: root, Queries: names, Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "log"),
			TCP: engine.TCPAddr, HTTP: engine.HTTPAddr, Env: []string{"MILLRACE_NEXMARK_WINDOW=" + ProcessingWindow.String()},
			Overlays: append([]string{
				// Small deliveries, many checkpoints, ticks soon: the edges are where mistakes are.
				"connectors::event_log::delivery: {max_events: 700, max_wait: 20ms}",
				"connectors::event_log::checkpoint_interval: 150ms",
				"connectors::event_log::tick_interval: 100ms",
			}, overlays...),
		},
	}
	t.Cleanup(r.ch.Close)
	r.start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the collector's log:\n%s", r.c.Tail(20))
		}
		require.NoError(t, r.c.Stop())
		require.NoError(t, r.sender.Close())
	})
	return r
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	r.c, err = StartCollector(r.t.Context(), r.options)
	require.NoError(r.t, err)
	r.sender, err = NewSender(r.c.OTLP)
	require.NoError(r.t, err)
}

// send sends records in one request.
func (r *rig) send(lrs ...plog.LogRecord) {
	r.t.Helper()
	if len(lrs) == 0 {
		return
	}
	ld := plog.NewLogs()
	to := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, lr := range lrs {
		lr.CopyTo(to.AppendEmpty())
		if lr.EventName() == Bid.String() {
			r.seen[text(lr, "log.record.uid")] = true
		}
	}
	request, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	require.NoError(r.t, err)
	r.deliver(request)
}

func (r *rig) deliver(request []byte) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	require.NoError(r.t, r.sender.Send(ctx, request))
}

func text(lr plog.LogRecord, key string) string {
	v, _ := lr.Attributes().Get(key)
	return v.AsString()
}

func partitionOf(lr plog.LogRecord) int { return PartitionOf(text(lr, "user.id"), partitions) }

// int asks ClickHouse for a number, 0 while there is no table.
func (r *rig) int(sql string) int64 {
	n, err := r.ch.Int(r.t.Context(), sql)
	if err != nil {
		require.True(r.t, chhttp.IsMissing(err), "%v", err)
	}
	return n
}

// crash kills the collector and starts it again.
func (r *rig) crash() {
	r.t.Helper()
	require.NoError(r.t, r.c.End(syscall.SIGKILL, patience))
	require.NoError(r.t, r.sender.Close())
	r.start()
}

// finish closes what is open, kills the collector, takes the log for the truth, and holds all answers against it.
func (r *rig) finish(end int64) []oracle.Record {
	t := r.t
	t.Helper()
	// Each of them carries processing time on too, until Q12's last window has closed: then all bids are counted there.
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		end++
		r.deliver(Closing(r.seed, time.Unix(0, end), 64))
		counted := r.int("SELECT sum(bids) FROM nexmark_q12")
		if counted == int64(len(r.seen)) {
			break
		}
		require.True(t, time.Now().Before(deadline), "Q12 has counted %d of %d bids", counted, len(r.seen))
	}
	require.NoError(t, r.c.End(syscall.SIGKILL, patience))
	require.NoError(t, r.sender.Close())
	records, err := oracle.ReadLog(filepath.Join(r.options.Data, "log"), partitions)
	require.NoError(t, err)
	ids := map[string]int{}
	for _, rec := range records {
		if rec.Name == Bid.String() {
			ids[rec.ID]++
		}
	}
	require.Len(t, ids, len(r.seen), "the log has each bid")
	for id, n := range ids {
		require.Equal(t, 1, n, "once: %s", id)
		require.True(t, r.seen[id], "and no other: %s", id)
	}
	r.start()
	for _, q := range Queries {
		want := q.Expected(records, partitions)
		require.NotEmpty(t, want, q.Name)
		diff := "nothing was asked yet"
		for deadline := time.Now().Add(patience); diff != "" && time.Now().Before(deadline); {
			require.NoError(t, r.c.Checkpoint(t.Context(), "logs/"+q.Name))
			_, got, err := oracle.Rows(t.Context(), r.ch, q.Answer())
			require.NoError(t, err)
			if diff = oracle.Diff(q.Columns, q.Key, want, q.Settle(want, got)); diff != "" {
				time.Sleep(100 * time.Millisecond)
			}
		}
		require.Empty(t, diff, "%s: %d rows", q.Name, len(want))
		t.Logf("%s: %d rows are right", q.Name, len(want))
	}
	r.sessionsOfEvents(records)
	return records
}

// sessionsOfEvents holds what the table of events says of each event's session against the oracle's, by the join that the processor's README has.
func (r *rig) sessionsOfEvents(records []oracle.Record) {
	t := r.t
	t.Helper()
	columns := []string{"event", "user", "start", "late"}
	var want [][]string
	for _, s := range Sessions(records, partitions) {
		for _, e := range s.Events {
			want = append(want, []string{e.ID, s.Key, strconv.FormatInt(s.Start, 10), "false"})
		}
	}
	for _, e := range oracle.Judge(records, Rules) {
		if e.Verdict == oracle.Late {
			want = append(want, []string{e.ID, "", "0", "true"})
		}
	}
	_, got, err := oracle.Rows(t.Context(), r.ch, `SELECT e.event_id, ifNull(s.user_id, ''), ifNull(toUnixTimestamp64Nano(s.session_start), 0), ifNull(e.late, false) AS late FROM events AS e
		LEFT JOIN (SELECT user_id, session_start, arrayJoin(arrayConcat([session_id], absorbed_ids)) AS passed_as FROM nexmark_sessions) AS s ON s.passed_as = e.session_id
		WHERE s.session_start > 0 OR late`)
	require.NoError(t, err)
	require.Empty(t, oracle.Diff(columns, 1, want, got))
	t.Logf("the sessions of %d events are right", len(want))
}

func (r *rig) through() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	require.NoError(r.t, lag.Through(ctx, r.c.Admin))
}

func TestQueriesAnswerAnOrderedStreamAsTheOracleDoes(t *testing.T) {
	t.Parallel()
	cfg := Config{Seed: 21, Events: 12_000, Rate: 300}
	r := newRig(t, cfg.Seed)
	g := generator(t, cfg)
	for {
		ld, err := g.Logs(500)
		require.NoError(t, err)
		if ld.LogRecordCount() == 0 {
			break
		}
		r.send(records(ld)...)
	}
	got := r.finish(DefaultStart.Add(time.Hour).UnixNano())
	for _, e := range oracle.Judge(got, Rules) {
		require.NotEqual(t, oracle.Late, e.Verdict)
	}
}

// The stream has disorder, duplicates, late and future events. In its middle a partition is silent while windows close by ticks; then the
// collector is killed, and what was held back there comes, older than what was closed.
func TestQueriesAnswerAStreamWithAllFaultsAsTheOracleDoes(t *testing.T) {
	t.Parallel()
	cfg := faulty
	cfg.Seed, cfg.Events = 22, 0
	r := newRig(t, cfg.Seed)
	g := generator(t, cfg)
	next := func() []plog.LogRecord {
		ld, err := g.Logs(400)
		require.NoError(t, err)
		return records(ld)
	}
	for range 20 {
		r.send(next()...)
	}
	r.through()

	const silent = 2
	before := r.position(silent)
	closed := r.int("SELECT count() FROM nexmark_q7")
	var held []plog.LogRecord
	for batches := 0; batches < 20 || r.position(silent) < before+3 || r.int("SELECT count() FROM nexmark_q7") <= closed+2; batches++ {
		var others []plog.LogRecord
		for _, lr := range next() {
			if partitionOf(lr) == silent {
				held = append(held, lr)
			} else {
				others = append(others, lr)
			}
		}
		r.send(others...)
		require.Less(t, batches, 2000, "ticks let windows close without the silent partition")
	}
	require.NotEmpty(t, held)
	r.crash()
	for at := 0; at < len(held); at += 400 {
		r.send(held[at:min(at+400, len(held))]...)
	}
	var latest int64
	for range 20 {
		lrs := next()
		for _, lr := range lrs {
			if !ahead(lr) {
				latest = max(latest, int64(lr.Timestamp()))
			}
		}
		r.send(lrs...)
	}

	verdicts := map[oracle.Verdict]int{}
	ticks := 0
	got := r.finish(latest + int64(time.Hour))
	for _, e := range oracle.Judge(got, Rules) {
		verdicts[e.Verdict]++
	}
	for _, rec := range got {
		if rec.Tick && rec.Time != 0 && rec.Partition == silent {
			ticks++
		}
	}
	require.Positive(t, verdicts[oracle.Late])
	require.Positive(t, verdicts[oracle.Future])
	require.Positive(t, ticks)
	require.Positive(t, r.int("SELECT sum(length(absorbed_ids)) FROM nexmark_sessions"), "events out of order have joined sessions")
	t.Logf("%d records, %v, %d ticks of the silent partition", len(got), verdicts, ticks)
}

func ahead(lr plog.LogRecord) bool {
	return int64(lr.Timestamp()) > DefaultStart.Add(24*time.Hour).UnixNano()
}

// position is how many records the partition has.
func (r *rig) position(partition int) uint64 {
	r.t.Helper()
	n, err := lag.Records(r.t.Context(), r.c.Admin)
	require.NoError(r.t, err)
	return n[partition]
}

func TestEveryVariableOfTheConfigurationsIsExplained(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "configs", "nexmark", "*.yaml"))
	require.NoError(t, err)
	require.Len(t, files, len(Queries)+1)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		comment, body, _ := strings.Cut(string(b), "\n\n")
		for rest := body; ; {
			_, after, more := strings.Cut(rest, "${env:")
			if !more {
				break
			}
			name, tail, _ := strings.Cut(after, ":-")
			otherwise, _, _ := strings.Cut(tail, "}")
			require.Regexp(t, `(?m)^#   `+name+` +`+otherwise+`( |$)`, comment, file)
			rest = tail
		}
	}
}
