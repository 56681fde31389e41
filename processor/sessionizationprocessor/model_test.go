// SPDX-License-Identifier: Apache-2.0

package sessionizationprocessor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/delivery/deliverytest"
	"github.com/millrace/millrace/processor/sessionizationprocessor/internal/metadata"
	"github.com/millrace/millrace/testbed/oracle"
)

const (
	second = int64(time.Second)
	epoch  = 1_790_000_000 * second
)

// stream is what was appended to a log, in order.
type stream []oracle.Record

// logs of the events of one append.
func logs(records []oracle.Record) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("tenant.id", "acme")
	lrs := rl.ScopeLogs().AppendEmpty().LogRecords()
	for _, r := range records {
		lr := lrs.AppendEmpty()
		lr.SetEventName(r.Name)
		lr.SetTimestamp(pcommon.Timestamp(r.Time))
		lr.Attributes().PutStr("log.record.uid", r.ID)
		for _, k := range slices.Sorted(maps.Keys(r.Attributes)) {
			switch v := r.Attributes[k].(type) {
			case string:
				lr.Attributes().PutStr(k, v)
			case int64:
				lr.Attributes().PutInt(k, v)
			}
		}
	}
	return ld
}

// pipeline of one sessionization processor.
func pipeline(t testing.TB, partitions int, cfg *Config) *deliverytest.Pipeline {
	t.Helper()
	return pipelineBehind(t, partitions, cfg, func(next consumer.Logs) consumer.Logs { return next })
}

// pipelineBehind a processor.
func pipelineBehind(t testing.TB, partitions int, cfg *Config, before func(next consumer.Logs) consumer.Logs) *deliverytest.Pipeline {
	t.Helper()
	require.NoError(t, cfg.Validate())
	return deliverytest.New(t, partitions, func(next consumer.Logs) (consumer.Logs, []component.Component) {
		set := processortest.NewNopSettings(metadata.Type)
		p, err := newProcessor(set, cfg, next)
		require.NoError(t, err)
		return before(p), []component.Component{p}
	})
}

// fill appends the stream: records in a row of one partition and append time are one append, and learn where they are in it.
func fill(p *deliverytest.Pipeline, s stream) {
	for i := 0; i < len(s); {
		j := i + 1
		for j < len(s) && s[j].Partition == s[i].Partition && s[j].Appended == s[i].Appended && s[j].Tick == s[i].Tick && !s[i].Tick {
			s[j].Offset = s[j-1].Offset + 1
			j++
		}
		if s[i].Tick {
			p.Log.Tick(s[i].Partition, s[i].Appended, s[i].Time)
		} else {
			p.Append(s[i].Partition, s[i].Appended, logs(s[i:j]))
		}
		i = j
	}
}

// outcome is all that a pipeline made of a log.
type outcome struct {
	annotations map[string]string // by event ID
	sessions    []string
}

func outcomeOf(t testing.TB, p *deliverytest.Pipeline) outcome {
	t.Helper()
	out := outcome{annotations: map[string]string{}}
	p.Sink.Each(func(b *deliverytest.Batch, lr plog.LogRecord) {
		m := lr.Attributes().AsRaw()
		if b.ID.Stage != "" {
			out.sessions = append(out.sessions, fmt.Sprint(lr.EventName(), " ", int64(lr.Timestamp()), " ", m))
			return
		}
		id := fmt.Sprint(m["log.record.uid"])
		require.NotContains(t, out.annotations, id, "an event passes once")
		out.annotations[id] = fmt.Sprint(m)
	})
	slices.Sort(out.sessions)
	return out
}

// random makes a stream with disorder, duplicates of times, late and future events, events without a key, and ticks.
func random(rng *rand.Rand, partitions int, spread int64) stream {
	var s stream
	position := make([]uint64, partitions)
	now := epoch
	users := 1 + rng.IntN(12)
	for i := range 200 + rng.IntN(300) {
		now += int64(max(0, rng.IntN(25)-5)) * second
		user := rng.IntN(users)
		r := oracle.Record{
			Partition: uint32(user % partitions), Appended: now, Time: now - int64(rng.IntN(int(spread/second)+1))*second,
			Name: []string{"page", "click", "buy"}[rng.IntN(3)], ID: fmt.Sprint("e", i),
			Attributes: map[string]any{"user.id": fmt.Sprint("u", user), "amount": int64(rng.IntN(100))},
		}
		switch rng.IntN(40) {
		case 0:
			r.Time -= 10 * spread
		case 1:
			if spread > 0 {
				r.Time += int64(time.Hour)
			}
		case 2:
			delete(r.Attributes, "user.id")
		case 3:
			r.Tick, r.Time = true, []int64{0, now - spread}[rng.IntN(2)]
		case 4:
			now += int64(rng.IntN(600)) * second
		}
		r.Position = position[r.Partition]
		position[r.Partition]++
		s = append(s, r)
	}
	// All partitions come so far that all but what is of the future closes.
	for p := range partitions {
		s = append(s, oracle.Record{Partition: uint32(p), Position: position[p], Appended: now + int64(24*time.Hour), Tick: true, Time: now + int64(2*time.Hour)})
	}
	return s
}

func testConfig() *Config {
	cfg := createDefaultConfig().(*Config)
	cfg.Gap, cfg.MaxOutOfOrderness, cfg.MaxDuration = 60*time.Second, 30*time.Second, 0
	cfg.Aggregates = []AggregateConfig{{Name: "revenue", Function: "sum", Field: "amount", Type: "integer", Events: []string{"buy"}}}
	return cfg
}

// want is the sessions by the batch oracle, as text.
func want(s stream, partitions int, cfg *Config, rules oracle.SessionRules) []string {
	judging := oracle.Rules{MaxOutOfOrderness: cfg.MaxOutOfOrderness, AllowedLateness: cfg.AllowedLateness, MaxFutureSkew: cfg.MaxFutureSkew}
	var keyed []oracle.Event
	for _, e := range oracle.Counted(oracle.Judge(s, judging)) {
		if e.Text("user.id") != "" {
			keyed = append(keyed, e)
		}
	}
	mark := oracle.Watermark(s, partitions, judging) - int64(cfg.AllowedLateness)
	var out []string
	for _, one := range oracle.Sessions(keyed, rules, func(e *oracle.Event) string { return e.Text("user.id") }) {
		if !one.Closed(mark, cfg.Gap) {
			continue
		}
		counts, revenue := map[string]any{}, int64(0)
		for _, e := range one.Events {
			n, _ := counts[e.Name].(int64)
			counts[e.Name] = n + 1
			if e.Name == "buy" {
				revenue += e.Int("amount")
			}
		}
		sum := fmt.Sprint(revenue)
		if counts["buy"] == nil {
			sum = "<nil>"
		}
		out = append(out, fmt.Sprint(one.Key, " ", one.Start, " ", one.End, " ", len(one.Events), " ", counts, " ", sum))
	}
	slices.Sort(out)
	return out
}

func got(p *deliverytest.Pipeline) []string {
	var out []string
	p.Sink.Each(func(b *deliverytest.Batch, lr plog.LogRecord) {
		if b.ID.Stage == "" {
			return
		}
		m := lr.Attributes().AsRaw()
		out = append(out, fmt.Sprint(m["user.id"], " ", m["session.start"], " ", m["session.end"], " ", m["session.events"], " ", m["session.event_counts"], " ", m["session.revenue"]))
	})
	slices.Sort(out)
	return out
}

// TestSessionsEqualTheBatchOracle holds whatever the disorder, the delivery sizes, failures and crashes; and what is annotated, and
// each summary, is the same in all runs over one log.
func TestSessionsEqualTheBatchOracle(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for run := range uint64(40) {
		rng := rand.New(rand.NewPCG(run, 7))
		partitions := 1 + rng.IntN(3)
		cfg := testConfig()
		rules := oracle.SessionRules{Gap: cfg.Gap}
		spread := int64(40 * time.Second)
		switch run % 4 {
		case 1:
			cfg.AllowedLateness = 20 * time.Second
		case 2:
			cfg.CutAt.MidnightIn = "Europe/Berlin"
			rules.Midnight = berlin
		case 3: // in order: then a cut by length or by name is the same whoever makes it
			spread = 0
			cfg.MaxDuration, rules.MaxDuration = 150*time.Second, 150*time.Second
			cfg.CutAt.Events = []string{"buy"}
			rules.Cut = func(_, e *oracle.Event) bool { return e.Name == "buy" }
		}
		s := random(rng, partitions, spread)
		whole := pipeline(t, partitions, cfg)
		fill(whole, s)
		whole.Settle(0)
		require.Equal(t, strings.Join(want(s, partitions, cfg, rules), "\n"), strings.Join(got(whole), "\n"), "run %d", run)
		first := outcomeOf(t, whole)
		for range 3 {
			again := pipeline(t, partitions, cfg)
			fill(again, s)
			fails := rng.IntN(2) == 0
			again.Sink.Fail = func(*delivery.Delivery) (before, after error) {
				if fails && rng.IntN(5) == 0 {
					return errNotNow, nil
				}
				if fails && rng.IntN(5) == 0 {
					return nil, errNotNow
				}
				return nil, nil
			}
			for range 30 {
				again.Deliver(uint32(rng.IntN(partitions)), 1+rng.IntN(40))
				switch rng.IntN(5) {
				case 0:
					again.Checkpoint()
				case 1:
					again.Crash()
				case 2:
					again.Restart()
				}
			}
			again.Settle(1 + rng.IntN(50))
			second := outcomeOf(t, again)
			for id, marks := range first.annotations {
				require.Equal(t, marks, second.annotations[id], "run %d, event %s", run, id)
			}
			require.Equal(t, strings.Join(first.sessions, "\n"), strings.Join(second.sessions, "\n"), "run %d", run)
		}
	}
}

var errNotNow = errors.New("not now")

// TestSessionsDoNotDependOnTheOrderOfArrival within the bound.
func TestSessionsDoNotDependOnTheOrderOfArrival(t *testing.T) {
	cfg := testConfig()
	for run := range uint64(30) {
		rng := rand.New(rand.NewPCG(run, 9))
		s := random(rng, 1, 0)
		s = slices.DeleteFunc(s, func(r oracle.Record) bool { return r.Tick && r.Time < epoch+int64(2*time.Hour) })
		for i := range s {
			s[i].Appended = s[len(s)-1].Appended + int64(i)
		}
		sorted := slices.Clone(s)
		slices.SortStableFunc(sorted, func(a, b oracle.Record) int { return int(a.Time - b.Time) })
		var first []string
		for n := range 4 {
			shuffled := slices.Clone(sorted)
			if n > 0 { // by no more than the bound
				at := map[string]int64{}
				for _, r := range shuffled {
					at[r.ID] = r.Time + int64(rng.IntN(30))*second
				}
				slices.SortStableFunc(shuffled, func(a, b oracle.Record) int { return int(at[a.ID] - at[b.ID]) })
			}
			for i := range shuffled {
				shuffled[i].Appended = s[i].Appended
			}
			p := pipeline(t, 1, cfg)
			fill(p, shuffled)
			p.Settle(1 + rng.IntN(100))
			if n == 0 {
				first = got(p)
				require.NotEmpty(t, first)
			}
			require.Equal(t, first, got(p), "run %d", run)
		}
	}
}

// TestWhatIsMadeOfALogIsTheSameInEveryRun for cuts under disorder too, where what is right depends on the order of arrival: the log has one.
func TestWhatIsMadeOfALogIsTheSameInEveryRun(t *testing.T) {
	for run := range uint64(12) {
		rng := rand.New(rand.NewPCG(run, 11))
		partitions := 1 + rng.IntN(2)
		cfg := testConfig()
		cfg.ProducerSessions = []string{producerKeep, producerOverride}[rng.IntN(2)]
		cfg.MaxFutureSkew = []time.Duration{0, 10 * time.Minute}[rng.IntN(2)]
		cfg.AllowedLateness = []time.Duration{0, 20 * time.Second}[rng.IntN(2)]
		cfg.PreviousSessionWithin = []time.Duration{0, time.Minute, time.Hour}[rng.IntN(3)]
		cfg.MaxDuration = []time.Duration{0, 60 * time.Second, 150 * time.Second}[rng.IntN(3)]
		cfg.CutAt.Events = [][]string{nil, {"buy"}}[rng.IntN(2)]
		cfg.CutAt.Fields = [][]string{nil, {"campaign"}}[rng.IntN(2)]
		s := random(rng, partitions, int64(40*time.Second))
		for i := range s {
			a := s[i].Attributes
			if a == nil { // the last ticks
				break
			}
			switch rng.IntN(12) {
			case 0:
				a["session.id"] = fmt.Sprint(rng.IntN(2))
			case 1, 2:
				a["campaign"] = fmt.Sprint(rng.IntN(3))
			case 3:
				a["url.path"] = fmt.Sprint(rng.IntN(3))
			case 4:
				if i > 0 && !s[i].Tick {
					s[i].Time = s[i-1].Time
				}
			case 5:
				if !s[i].Tick {
					s[i].Time = []int64{0, 1<<63 - 1, 1<<63 - 1 - second, epoch + int64(2000*time.Hour)}[rng.IntN(4)]
				}
			}
		}
		var first outcome
		for n := range 4 {
			p := pipeline(t, partitions, cfg)
			fill(p, s)
			for range 40 * min(n, 1) {
				p.Deliver(uint32(rng.IntN(partitions)), 1+rng.IntN(30))
				switch rng.IntN(5) {
				case 0, 1:
					p.Checkpoint()
				case 2:
					p.Crash()
				}
			}
			p.Settle(n * (1 + rng.IntN(20)))
			if n == 0 {
				first = outcomeOf(t, p)
				continue
			}
			again := outcomeOf(t, p)
			for id, marks := range first.annotations {
				require.Equal(t, marks, again.annotations[id], "run %d, event %s", run, id)
			}
			require.Equal(t, strings.Join(first.sessions, "\n"), strings.Join(again.sessions, "\n"), "run %d", run)
		}
	}
}

// TestBehindAFilterItIsTheSameInEveryRun whether a delivery has all of an append, or only what the filter leaves, or what it removes.
func TestBehindAFilterItIsTheSameInEveryRun(t *testing.T) {
	filter := func(next consumer.Logs) consumer.Logs {
		f, err := consumer.NewLogs(func(ctx context.Context, ld plog.Logs) error {
			had := ld.LogRecordCount()
			ld.ResourceLogs().RemoveIf(func(rl plog.ResourceLogs) bool {
				sl := rl.ScopeLogs().At(0)
				sl.LogRecords().RemoveIf(func(lr plog.LogRecord) bool { return lr.EventName() == "click" })
				return sl.LogRecords().Len() == 0
			})
			if had > 0 && ld.LogRecordCount() == 0 { // as contrib's
				return nil
			}
			return next.ConsumeLogs(ctx, ld)
		})
		require.NoError(t, err)
		return f
	}
	for run := range uint64(20) {
		rng := rand.New(rand.NewPCG(run, 13))
		s := random(rng, 1, int64(40*time.Second))
		for i := range s { // appends of several, that span more than events may be out of order by
			if i > 0 && rng.IntN(4) > 0 {
				s[i].Appended = s[i-1].Appended
			}
			if rng.IntN(8) == 0 && !s[i].Tick {
				s[i].Time = []int64{0, s[i].Appended + int64(11*time.Minute)}[rng.IntN(2)]
			}
		}
		var first outcome
		for n := range 4 {
			p := pipelineBehind(t, 1, testConfig(), filter)
			fill(p, s)
			p.Settle([]int{0, 1, 3, 17}[n])
			if n == 0 {
				first = outcomeOf(t, p)
				continue
			}
			require.Equal(t, first, outcomeOf(t, p), "run %d", run)
		}
	}
}
