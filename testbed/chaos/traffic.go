// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/millrace/millrace/testbed/load"
)

// senderTimeout is short, so that senders also repeat what is still under way.
const senderTimeout = 2 * time.Second

// traffic is the load of a World: generated events over all doors, and now and then one that ClickHouse refuses.
type traffic struct {
	w      *World
	run    *load.Run
	done   chan error // the run's end
	poison sync.WaitGroup
	stop   chan struct{} // ends the poison
	seed   uint64
	// poisoned counts events that were acknowledged and that ClickHouse refuses; the sender's to write.
	poisoned atomic.Int64
	cancel   context.CancelFunc
}

// maxDisorder is how far apart in event time senders get: some twenty seconds of it pass in one. Half of what sessions and windows allow,
// so that what comes too late is what the generator holds back, and what waited for a long outage.
const maxDisorder = time.Minute

// poisonName is what the table is told to refuse.
const poisonName = "chaos_poison"

// poisonUser begins the IDs of the users of such events.
const poisonUser = "poison-"

// startTraffic begins to send. The collector must have made its tables.
func startTraffic(ctx context.Context, w *World, seed uint64) (*traffic, error) {
	constraint := "ALTER TABLE analytics.events ADD CONSTRAINT no_poison CHECK event_name != '" + poisonName + "'"
	if err := w.ch.Exec(ctx, constraint); err != nil {
		return nil, err
	}
	run, err := load.NewRun(load.RunConfig{
		Generator: load.GeneratorConfig{
			// Days ago: however long it goes on, no event is of the future.
			Seed: seed, End: time.Now().AddDate(0, 0, -10).Truncate(time.Minute), Span: w.o.millionEvents(), Users: 5000,
			Paths: [3]float64{load.OTLPGRPC: 4, load.OTLPHTTP: 3, load.Segment: 3}, Late: 0.02, Duplicates: 0.02, Bad: 0.02,
		},
		Targets: load.Targets{
			OTLPGRPC: w.env[otlpGRPC], OTLPHTTP: "http://" + w.env[otlpHTTP], Segment: "http://" + w.env[segmentAPI],
			SegmentKeys: load.QuickstartSegmentKeys(), Timeout: senderTimeout,
		},
		Rate: w.o.Rate, Duration: 24 * time.Hour, Batch: 100, SegmentBatch: 50, MaxDisorder: maxDisorder, Record: true,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{w: w, run: run, done: make(chan error, 1), stop: make(chan struct{}), seed: seed, cancel: cancel}
	go func() { t.done <- run.Do(ctx) }()
	t.poison.Go(func() { t.sendPoison(ctx) })
	return t, nil
}

func (t *traffic) poisonID(n int64) string { return fmt.Sprintf("poison-%d-%d", t.seed, n) }

func (t *traffic) sendPoison(ctx context.Context) {
	client := &http.Client{Timeout: senderTimeout}
	for n := int64(0); ; {
		if at := t.run.Stats().EventTime; !at.IsZero() { // among the others: what is as of now would make all of them late
			if t.send(ctx, client, poisonName, at, [][2]string{{t.poisonID(n), fmt.Sprint(poisonUser, n%2)}}) != nil {
				return
			}
			n++
			t.poisoned.Add(1)
		}
		select {
		case <-t.stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(t.w.o.poisonInterval()):
		}
	}
}

// send sends events, each an ID and a user, until they are acknowledged.
func (t *traffic) send(ctx context.Context, client *http.Client, name string, at time.Time, events [][2]string) error {
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, e := range events {
		lr := records.AppendEmpty()
		lr.SetEventName(name)
		lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
		lr.Attributes().PutStr("log.record.uid", e[0])
		lr.Attributes().PutStr("user.id", e[1])
	}
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	for !t.post(ctx, client, body) {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (t *traffic) post(ctx context.Context, client *http.Client, body []byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+t.w.env[otlpHTTP]+"/v1/logs", bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

// Outcome of holding ClickHouse against what was sent. Events are unique ones.
type Outcome struct {
	Events     int64 // sent at least once
	Copies     int64 // acknowledged, those that were sent twice on purpose among them
	Retries    int64
	Poison     int64 // events that ClickHouse refuses
	Lost       int64
	Duplicated int64
	Altered    int64 // with the misplaced and the unexpected
	Samples    []string
	Lake       LakeOutcome
}

// OK says that nothing is wrong.
func (o Outcome) OK() bool { return o.Lost == 0 && o.Duplicated == 0 && o.Altered == 0 && o.Lake.OK() }

// finish lets the senders come to their end, waits until everything is delivered, and compares.
func (t *traffic) finish(ctx context.Context) (Outcome, error) {
	defer t.cancel()
	t.run.Finish()
	close(t.stop)
	var err error
	select {
	case err = <-t.done:
	case <-time.After(patience):
		return Outcome{}, fmt.Errorf("the senders are not done after %s: %+v", patience, t.run.Stats())
	case <-t.w.child.Exited():
		return Outcome{}, t.w.child.Died()
	}
	t.poison.Wait()
	if err == nil {
		err = t.w.AwaitDelivered(ctx)
	}
	if err != nil {
		return Outcome{}, err
	}
	s := t.run.Stats()
	if s.Refused > 0 {
		return Outcome{}, fmt.Errorf("%d events were refused for good: %w", s.Refused, s.LastError)
	}
	if err := t.w.AwaitFiles(ctx); err != nil {
		return Outcome{}, err
	}
	t.w.stopWatching()
	c, err := load.Compare(t.run.Manifest(), load.ClickHouseRows(ctx, t.w.ch, load.Tables{Where: "event_name != '" + poisonName + "'"}),
		load.CompareOptions{Deduplicated: true})
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{
		Events: c.Expected, Copies: s.Acked, Retries: s.Retries, Lost: c.Lost, Duplicated: c.Duplicated,
		Altered: c.Altered + c.Misplaced + c.Unexpected, Poison: t.poisoned.Load(),
	}
	c.PrintSamples(func(format string, args ...any) { out.Samples = append(out.Samples, fmt.Sprintf(format, args...)) })
	if err := t.comparePoison(ctx, &out); err != nil {
		return out, err
	}
	return out, t.compareLake(ctx, &out)
}

// comparePoison holds the refused events to one row each, in failed_events, with the server's words.
func (t *traffic) comparePoison(ctx context.Context, out *Outcome) error {
	ask := func(sql string) int64 {
		n, err := t.w.ch.Int(ctx, sql)
		if err != nil && out.Samples != nil {
			out.Samples = append(out.Samples, err.Error())
		}
		return n
	}
	where := " WHERE event_name = '" + poisonName + "'"
	rows, err := t.w.ch.Int(ctx, "SELECT count() FROM analytics.failed_events"+where)
	if err != nil {
		return err
	}
	unique := ask("SELECT uniqExact(event_id) FROM analytics.failed_events" + where + " AND stage = 'export'")
	inEvents := ask("SELECT count() FROM analytics.events" + where)
	if missing := out.Poison - unique; missing > 0 {
		out.Lost += missing
		out.Samples = append(out.Samples, fmt.Sprintf("of %d events that ClickHouse refuses, %d are not in failed_events", out.Poison, missing))
	}
	if more := rows - unique; more > 0 {
		out.Duplicated += more
		out.Samples = append(out.Samples, fmt.Sprintf("%d events that ClickHouse refuses have %d rows in failed_events", unique, rows))
	}
	out.Altered += inEvents
	out.Events += out.Poison
	return nil
}

// abandon ends the senders where they are.
func (t *traffic) abandon() error {
	t.cancel()
	t.poison.Wait()
	err := <-t.done
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
