// SPDX-License-Identifier: Apache-2.0

package sessionizationprocessor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/delivery/deliverytest"
	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/processor/sessionizationprocessor/internal/metadata"
	"github.com/millrace/millrace/testbed/oracle"
)

// visits are events of one visitor in seconds since the epoch.
type visit struct {
	at    int64
	name  string
	attrs map[string]any
}

func appendVisits(p *deliverytest.Pipeline, from int, visits ...visit) {
	for i, v := range visits {
		attrs := map[string]any{"user.id": "u"}
		for k, a := range v.attrs {
			attrs[k] = a
		}
		p.Append(0, epoch+v.at*second, logs([]oracle.Record{{Time: epoch + v.at*second, Name: v.name, ID: fmt.Sprint("e", from+i), Attributes: attrs}}))
	}
}

// closeAll lets everything close.
func closeAll(p *deliverytest.Pipeline) {
	p.Log.Tick(0, epoch+1_000_000*second, epoch+900_000*second)
	p.Settle(0)
}

// summaries are what the sink has of sessions, in order, by these attributes.
func summaries(p *deliverytest.Pipeline, attributes ...string) (out []string) {
	p.Sink.Each(func(b *deliverytest.Batch, lr plog.LogRecord) {
		if b.ID.Stage == "" {
			return
		}
		m, line := lr.Attributes().AsRaw(), ""
		for _, a := range attributes {
			switch v := m[a].(type) {
			case int64:
				if v > epoch/2 {
					v = (v - epoch) / second
				}
				line += fmt.Sprint(v, " ")
			default:
				line += fmt.Sprint(v, " ")
			}
		}
		out = append(out, line[:len(line)-1])
	})
	return out
}

func TestWhatCutsASession(t *testing.T) {
	f := func(change func(*Config), visits []visit, want ...string) {
		t.Helper()
		cfg := testConfig()
		change(cfg)
		p := pipeline(t, 1, cfg)
		appendVisits(p, 0, visits...)
		closeAll(p)
		require.Equal(t, want, summaries(p, "session.start", "session.end", "session.events"))
	}
	at := func(times ...int64) (out []visit) {
		for _, s := range times {
			out = append(out, visit{at: s, name: "page"})
		}
		return out
	}
	nothing := func(*Config) {}
	f(nothing, at(0, 60, 121), "0 60 2", "121 121 1")
	f(nothing, at(0, 70, 50), "0 70 3")
	f(func(c *Config) { c.MaxDuration = 100 * time.Second }, at(0, 50, 99, 100, 150), "0 99 3", "100 150 2")
	f(func(c *Config) { c.MaxDuration = 100 * time.Second }, at(0, 65, 115, 120), "0 0 1", "65 120 3")
	// Joined they would be too long, so the event between belongs to the first.
	f(func(c *Config) { c.MaxDuration, c.MaxOutOfOrderness = 100*time.Second, 90*time.Second }, at(0, 65, 115, 40), "0 40 2", "65 115 2")
	f(func(c *Config) { c.CutAt.Events = []string{"login"} }, []visit{{0, "page", nil}, {10, "login", nil}, {20, "page", nil}}, "0 0 1", "10 20 2")
	// What comes after a cut does not join what was before, though it is older than the cut.
	f(func(c *Config) { c.CutAt.Events = []string{"login"} }, []visit{{0, "page", nil}, {10, "login", nil}, {5, "page", nil}}, "0 5 2", "10 10 1")
	campaign := func(at int64, c string) visit { return visit{at, "page", map[string]any{"utm_campaign": c}} }
	f(func(c *Config) { c.CutAt.Fields = []string{"utm_campaign"} },
		[]visit{{0, "page", nil}, campaign(1, "a"), campaign(2, "a"), {3, "page", nil}, campaign(4, "b"), {5, "page", nil}, campaign(6, "")},
		"0 3 4", "4 6 3")
	// 23:59:50 and 00:00:10 in Berlin.
	midnight := int64(1_790_028_000)*second - epoch // 2026-09-21T22:00:00Z
	require.Equal(t, 22, time.Unix(0, epoch+midnight).UTC().Hour())
	f(func(c *Config) { c.CutAt.MidnightIn = "Europe/Berlin" }, at(midnight/second-10, midnight/second+10),
		fmt.Sprintf("%d %[1]d 1", midnight/second-10), fmt.Sprintf("%d %[1]d 1", midnight/second+10))
}

func TestWhetherTheSessionBeforeWasClosedDoesNotCountForACut(t *testing.T) {
	var outcomes []outcome
	for _, deliveries := range [][]int{{4}, {2, 2}} {
		cfg := testConfig()
		cfg.CutAt.Fields = []string{"utm_campaign"}
		p := pipeline(t, 1, cfg)
		appendVisits(p, 0,
			visit{0, "page", map[string]any{"utm_campaign": "a"}},
			visit{150, "page", map[string]any{"user.id": "another"}}, // by now the first session is over
			visit{200, "page", map[string]any{"utm_campaign": "b"}},  // begins one after the gap, whatever its campaign
			visit{180, "page", nil},                                  // and so joins it
		)
		for _, n := range deliveries {
			p.Deliver(0, n)
			p.Checkpoint()
		}
		closeAll(p)
		require.Equal(t, []string{"0 0 1", "150 150 1", "180 200 2"}, summaries(p, "session.start", "session.end", "session.events"))
		outcomes = append(outcomes, outcomeOf(t, p))
	}
	require.Equal(t, outcomes[0], outcomes[1])
}

func TestASummarySaysWhatTheVisitorDid(t *testing.T) {
	cfg := testConfig()
	p := pipeline(t, 1, cfg)
	appendVisits(p, 0,
		visit{10, "page", map[string]any{"page_path": "/pricing", "enduser.pseudo.id": "cookie"}},
		visit{0, "page", map[string]any{"page_path": "/", "utm_campaign": "spring"}},
		visit{20, "buy", map[string]any{"amount": int64(7), "utm_campaign": "other"}},
	)
	closeAll(p)
	require.Equal(t, []string{"acme"}, tenants(p))
	require.Equal(t, []string{"u cookie 20000 3 map[buy:1 page:2] / /pricing spring 7"}, summaries(p, "user.id", "enduser.pseudo.id",
		"session.duration_ms", "session.events", "session.event_counts", "session.entry_page", "session.exit_page", "session.campaign", "session.revenue"))
	require.Len(t, p.Sink.Outside, 1, "the table is announced at the start")
}

func tenants(p *deliverytest.Pipeline) (out []string) {
	for _, b := range p.Sink.Batches {
		for _, rl := range b.Logs.ResourceLogs().All() {
			if v, ok := rl.Resource().Attributes().Get("tenant.id"); ok && b.ID.Stage != "" {
				out = append(out, v.Str())
			}
		}
	}
	return out
}

// passed are the annotations of events, by ID.
func passed(p *deliverytest.Pipeline, attribute string) map[string]any {
	out := map[string]any{}
	p.Sink.Each(func(b *deliverytest.Batch, lr plog.LogRecord) {
		if m := lr.Attributes().AsRaw(); b.ID.Stage == "" {
			out[m["log.record.uid"].(string)] = m[attribute]
		}
	})
	return out
}

func TestAnEventThatClosesAGapJoinsTwoSessionsAndOneAbsorbsTheOther(t *testing.T) {
	p := pipeline(t, 1, testConfig())
	appendVisits(p, 0, visit{0, "page", nil}, visit{80, "page", nil}, visit{50, "page", nil}, visit{90, "page", nil})
	closeAll(p)
	ids := passed(p, "session.id")
	require.Equal(t, ids["e0"], ids["e2"])
	require.Equal(t, ids["e0"], ids["e3"])
	require.NotEqual(t, ids["e0"], ids["e1"])
	require.Equal(t, []string{fmt.Sprintf("%v [%v] 4", ids["e0"], ids["e1"])}, summaries(p, "session.id", "session.absorbed_ids", "session.events"))
	require.Equal(t, map[string]any{"e0": int64(1), "e1": int64(1), "e2": int64(3), "e3": int64(4)}, passed(p, "session.ordinal"))
}

func TestAMergeWhoseDeliveryFailsIsMadeOnce(t *testing.T) {
	p := pipeline(t, 1, testConfig())
	appendVisits(p, 0, visit{0, "page", nil}, visit{80, "page", nil})
	p.Deliver(0, 2)
	appendVisits(p, 2, visit{50, "page", nil})
	for n := range 3 {
		p.Sink.Fail = failing(n < 2)
		_, err := p.Attempt(0, 1)
		require.Equal(t, n < 2, err != nil)
	}
	closeAll(p)
	require.Equal(t, []string{"0 80 3"}, summaries(p, "session.start", "session.end", "session.events"))
}

func failing(fails bool) func(*delivery.Delivery) (before, after error) {
	return func(*delivery.Delivery) (before, after error) {
		if fails {
			return errNotNow, nil
		}
		return nil, nil
	}
}

func TestASessionNamesTheOneBefore(t *testing.T) {
	cfg := testConfig()
	cfg.PreviousSessionWithin = 1000 * time.Second
	p := pipeline(t, 1, cfg)
	appendVisits(p, 0, visit{0, "page", nil}, visit{500, "page", nil}, visit{2000, "page", nil})
	for range 3 {
		p.Deliver(0, 1)
		p.Checkpoint()
		p.Crash()
	}
	closeAll(p)
	ids := passed(p, "session.id")
	require.Equal(t, []string{"<nil>", fmt.Sprint(ids["e0"]), "<nil>"}, summaries(p, "session.previous_id"))
}

func TestASessionNamesTheOneBeforeHoweverLongItIsOpen(t *testing.T) {
	for _, deliveries := range [][]int{{4}, {2, 1, 1}} {
		cfg := testConfig()
		cfg.PreviousSessionWithin = 100 * time.Second
		p := pipeline(t, 1, cfg)
		// By the third event the first session is over for longer than it is to be named; the second goes on.
		appendVisits(p, 0, visit{0, "page", nil}, visit{90, "page", nil}, visit{140, "page", nil}, visit{190, "page", nil})
		for _, n := range deliveries {
			p.Deliver(0, n)
			p.Checkpoint()
		}
		closeAll(p)
		ids := passed(p, "session.id")
		require.Equal(t, []string{"0 0 <nil>", fmt.Sprint("90 190 ", ids["e0"])}, summaries(p, "session.start", "session.end", "session.previous_id"))
	}
}

func TestAProducersSessionIsKeptOrOverridden(t *testing.T) {
	visits := []visit{
		{0, "page", map[string]any{"session.id": "a"}}, {10, "page", map[string]any{"session.id": "b"}}, {20, "page", nil},
	}
	cfg := testConfig()
	cfg.ProducerSessions = producerOverride
	p := pipeline(t, 1, cfg)
	appendVisits(p, 0, visits...)
	closeAll(p)
	ids := passed(p, "session.id")
	require.Equal(t, ids["e0"], ids["e1"])
	require.Equal(t, map[string]any{"e0": "a", "e1": "b", "e2": nil}, passed(p, "session.original_id"), "what the producer said is not lost")
	cfg.ProducerSessions = producerKeep
	p = pipeline(t, 1, cfg)
	appendVisits(p, 0, visits...)
	closeAll(p)
	ids = passed(p, "session.id")
	require.Equal(t, "a", ids["e0"])
	require.Equal(t, "b", ids["e1"])
	require.Len(t, ids["e2"], 32)
	require.ElementsMatch(t, []string{"a 1", "b 1", fmt.Sprint(ids["e2"], " 1")}, summaries(p, "session.id", "session.events"))
}

func TestSessionsOfOneProducersIDAreResultsOfTheirOwn(t *testing.T) {
	cfg := testConfig()
	cfg.CutAt.Events = []string{"login"}
	p := pipeline(t, 1, cfg)
	same := map[string]any{"session.id": "1"}
	other := map[string]any{"session.id": "1", "user.id": "v"}
	appendVisits(p, 0, visit{0, "page", same}, visit{0, "page", other}, visit{0, "login", same})
	closeAll(p)
	require.ElementsMatch(t, []string{"u 1 0", "v 1 0", "u 1 0"}, summaries(p, "user.id", "session.id", "session.start"))
	ids := map[string]bool{}
	for _, id := range summaries(p, "result.id") {
		ids[id] = true
	}
	require.Len(t, ids, 3, "one would take the place of another, of another tenant even")
}

func TestAnEventWithoutAKeyAndAFailedOnePassAsTheyAre(t *testing.T) {
	p := pipeline(t, 1, testConfig())
	appendVisits(p, 0, visit{0, "page", map[string]any{"user.id": ""}}, visit{100_000, "page", map[string]any{"event.failure.reason": "schema_violation"}},
		visit{10, "page", nil})
	closeAll(p)
	ids := passed(p, "session.id")
	require.Nil(t, ids["e0"])
	require.Nil(t, ids["e1"])
	require.NotNil(t, ids["e2"], "the failed one, whose time cannot be trusted, has not made it late")
	require.Equal(t, []string{"1"}, summaries(p, "session.events"))
}

func TestALateEventIsMarkedAndPasses(t *testing.T) {
	p := pipeline(t, 1, testConfig())
	appendVisits(p, 0, visit{1000, "page", nil}, visit{969, "page", nil}, visit{970, "page", nil})
	closeAll(p)
	require.Equal(t, map[string]any{"e0": nil, "e1": true, "e2": nil}, passed(p, "event.late"))
	require.Equal(t, []string{"970 1000 2"}, summaries(p, "session.start", "session.end", "session.events"))
}

func TestAnIdlePartitionIsMovedByItsTicks(t *testing.T) {
	p := pipeline(t, 2, testConfig())
	appendVisits(p, 0, visit{0, "page", nil})
	p.Settle(0)
	require.Empty(t, summaries(p, "session.start"))
	p.Log.Tick(0, epoch+500*second, epoch+89*second)
	p.Settle(0)
	require.Empty(t, summaries(p, "session.start"), "the watermark is at the end of the gap, and an event there would still join")
	p.Log.Tick(0, epoch+505*second, epoch+91*second)
	p.Settle(0)
	require.Equal(t, []string{"0"}, summaries(p, "session.start"))
	appendVisits(p, 1, visit{40, "page", nil})
	p.Settle(0)
	require.Equal(t, true, passed(p, "event.late")["e1"], "what comes after a tick is judged by it")
}

func TestOpenSessionsCloseUnderAnotherConfiguration(t *testing.T) {
	cfg := testConfig()
	p := pipeline(t, 1, cfg)
	appendVisits(p, 0, visit{0, "page", map[string]any{"account": "x"}}, visit{10, "buy", map[string]any{"amount": int64(3), "account": "x"}})
	p.Deliver(0, 2)
	p.Checkpoint()
	// Another gap counts for what is open; another key begins anew, and what was open closes as it was.
	cfg.Key, cfg.Aggregates, cfg.Gap = []string{"account"}, nil, 20*time.Second
	p.Crash()
	appendVisits(p, 2, visit{15, "page", map[string]any{"account": "x"}})
	closeAll(p)
	require.ElementsMatch(t, []string{"u 0 10 2", "u 15 15 1"}, summaries(p, "user.id", "session.start", "session.end", "session.events"))
	require.NotEqual(t, passed(p, "session.id")["e0"], passed(p, "session.id")["e2"])
}

func TestAKeyHasSoManySessionsAtMost(t *testing.T) {
	cfg := testConfig()
	cfg.MaxFutureSkew = 200_000 * time.Second
	p := pipeline(t, 1, cfg)
	var records []oracle.Record
	for i := range 200 { // at once, so that none is over
		records = append(records, oracle.Record{Time: epoch + int64(1+i)*1000*second, Name: "page", ID: fmt.Sprint("e", i), Attributes: map[string]any{"user.id": "u"}})
	}
	p.Append(0, epoch, logs(records))
	p.Deliver(0, 200)
	n := 0
	for _, id := range passed(p, "session.id") {
		if id != nil {
			n++
		}
	}
	require.Equal(t, 64, n)
}

func TestWithoutALogItRefusesEvents(t *testing.T) {
	p, err := newProcessor(processortest.NewNopSettings(metadata.Type), testConfig(), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, p.Start(context.Background(), componenttest.NewNopHost()))
	err = p.ConsumeLogs(context.Background(), logs([]oracle.Record{{Name: "page"}}))
	require.ErrorIs(t, err, errNoLog)
	require.True(t, consumererror.IsPermanent(err))
	require.NoError(t, p.ConsumeLogs(context.Background(), result.Declaration(p.writer.table)), "another stage's announcement passes")
	require.NoError(t, p.Shutdown(context.Background()))
}
