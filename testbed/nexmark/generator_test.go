// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
)

var update = flag.Bool("update", false, "write the golden files anew")

func generator(t testing.TB, cfg Config) *Generator {
	t.Helper()
	g, err := New(cfg)
	require.NoError(t, err)
	return g
}

// all returns the events as they arrive.
func all(t *testing.T, cfg Config) []Sent {
	t.Helper()
	g := generator(t, cfg)
	var out []Sent
	for s := g.Next(); s != nil; s = g.Next() {
		out = append(out, *s)
	}
	return out
}

// describe writes a record on one line.
func describe(lr plog.LogRecord) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", lr.Timestamp().AsTime().Format("05.000"), lr.EventName())
	for k, v := range lr.Attributes().All() {
		fmt.Fprintf(&b, " %s=%s", k, strconv.Quote(v.AsString()))
	}
	return b.String()
}

func records(ld plog.Logs) (out []plog.LogRecord) {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				out = append(out, lr)
			}
		}
	}
	return out
}

// The first events as text, and the sums of many: a change of either makes every recorded benchmark another one.
func TestEventsAreTheRecordedOnes(t *testing.T) {
	var got strings.Builder
	ld, err := generator(t, Config{Seed: 1, Events: 60}).Logs(60)
	require.NoError(t, err)
	for _, lr := range records(ld) {
		got.WriteString(describe(lr) + "\n")
	}
	sum := func(what string, cfg Config) {
		h := sha256.New()
		g := generator(t, cfg)
		for {
			b, n := g.Batch(1000)
			if n == 0 {
				break
			}
			h.Write(b)
		}
		fmt.Fprintf(&got, "%s: %s\n", what, hex.EncodeToString(h.Sum(nil)))
	}
	sum("ordered", Config{Seed: 1, Events: 20_000})
	sum("another seed", Config{Seed: 2, Events: 20_000})
	sum("with disorder and faults", Config{Seed: 1, Events: 20_000, OutOfOrderGroup: 1000, Duplicates: 0.02, Late: 0.01, Future: 0.001})
	golden := filepath.Join("testdata", "events.txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

func TestProportionsAreThePublishedOnes(t *testing.T) {
	const n = 100_000
	kinds := map[Kind]int{}
	var hotAuction, hotBidder, hotSeller, hotChannel, cheap, size int
	auctionsByCategory := map[int64]int{}
	for _, s := range all(t, Config{Seed: 3, Events: n}) {
		e := s.Event
		kinds[e.Kind]++
		switch e.Kind {
		case Bid:
			size++
			if e.Auction == lastAuction(e.Number)/100*100+1000 {
				hotAuction++
			}
			if e.Bidder == lastPerson(e.Number)/100*100+1001 {
				hotBidder++
			}
			if !strings.HasPrefix(e.Channel, "channel-") {
				hotChannel++
			}
			if e.Price < 100_000 { // the middle of 100 to 100,000,000 on a logarithmic scale
				cheap++
			}
			require.Contains(t, e.URL, "/item.htm?query=1")
			require.GreaterOrEqual(t, e.Price, int64(100))
			require.LessOrEqual(t, e.Price, int64(100_000_000))
		case Auction:
			auctionsByCategory[e.Category]++
			if e.Seller == lastPerson(e.Number)/100*100+1000 {
				hotSeller++
			}
			require.Greater(t, e.Reserve, e.InitialBid)
			require.Greater(t, e.Expires, e.Time/millisecond)
		default:
			require.NotEmpty(t, e.EmailAddress)
		}
	}
	require.Equal(t, map[Kind]int{Person: n / 50, Auction: n * 3 / 50, Bid: n * 46 / 50}, kinds)
	share := func(want float64, got, of int, what string) {
		t.Helper()
		require.InDelta(t, want, float64(got)/float64(of), 0.02, what)
	}
	// One of the others is the hot one by chance.
	share(0.5+0.5/110, hotAuction, kinds[Bid], "bids for the hot auction")
	share(0.75, hotBidder, kinds[Bid], "bids of the hot bidder")
	share(0.75, hotSeller, kinds[Auction], "auctions of the hot seller")
	share(0.5, hotChannel, kinds[Bid], "bids through a hot channel")
	share(0.5, cheap, kinds[Bid], "prices below the middle")
	require.Len(t, auctionsByCategory, 5)
}

func TestIDsAreConsecutiveAndReferToWhatIsThereOrComesSoon(t *testing.T) {
	person, auction := int64(999), int64(999)
	for _, s := range all(t, Config{Seed: 4, Events: 30_000}) {
		e := s.Event
		switch e.Kind {
		case Person:
			person++
			require.Equal(t, person, e.ID)
		case Auction:
			auction++
			require.Equal(t, auction, e.ID)
			require.LessOrEqual(t, e.Seller, person+lead)
		default:
			require.LessOrEqual(t, e.Auction, auction+lead)
			require.GreaterOrEqual(t, e.Auction, max(auction-199, 1000)) // the hot one can be older than those in flight
			require.LessOrEqual(t, e.Bidder, person+lead)
			require.GreaterOrEqual(t, e.Bidder, int64(1000))
		}
	}
}

func TestTimesFollowTheRate(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	events := all(t, Config{Seed: 1, Events: 5000, Rate: 250, Start: start})
	for i, s := range events {
		require.Equal(t, start.Add(time.Duration(i)*4*time.Millisecond).UnixNano(), s.Time)
	}
}

func TestDisorderPermutesTimesWithinGroupsOnly(t *testing.T) {
	const group = 500
	ordered := all(t, Config{Seed: 5, Events: 10 * group, Rate: 1000})
	shuffled := all(t, Config{Seed: 5, Events: 10 * group, Rate: 1000, OutOfOrderGroup: group})
	moved := 0
	for at := 0; at < len(ordered); at += group {
		var want, got []int64
		for i := at; i < at+group; i++ {
			require.Equal(t, ordered[i].Number, shuffled[i].Number)
			require.Equal(t, ordered[i].Bidder, shuffled[i].Bidder, "content stays")
			want, got = append(want, ordered[i].Time), append(got, shuffled[i].Time)
			if ordered[i].Time != shuffled[i].Time {
				moved++
			}
		}
		slices.Sort(got)
		require.Equal(t, want, got)
	}
	require.Greater(t, moved, 9*group)
}

func TestFaultsComeInTheirSharesAndLeaveContentAlone(t *testing.T) {
	const n = 50_000
	base := Config{Seed: 6, Events: n, Rate: 1000}
	clean := all(t, base)
	with := base
	with.Duplicates, with.RepeatWithin = 0.05, 5*time.Second
	with.Late, with.LateBy = 0.03, 20*time.Second
	with.Future, with.FutureBy = 0.01, time.Hour
	seen := map[int64]bool{}
	var repeats, lates, aheads, behind int
	high := int64(0)
	for _, s := range all(t, with) {
		want := clean[s.Number].Event
		got := s.Event
		if s.Ahead {
			got.Time -= int64(time.Hour)
		} else {
			if s.Time < high-int64(10*time.Second) {
				behind++
			}
			require.GreaterOrEqual(t, s.Time, high-int64(25*time.Second+2*time.Millisecond))
			high = max(high, s.Time)
		}
		require.Equal(t, want, got)
		require.Equal(t, seen[s.Number], s.Repeat, "a copy comes after its original")
		if s.Repeat {
			repeats++
			continue
		}
		seen[s.Number] = true
		if s.Held {
			lates++
		}
		if s.Ahead {
			aheads++
		}
	}
	require.Len(t, seen, n)
	require.InDelta(t, 0.05*n, repeats, 0.005*n)
	require.InDelta(t, 0.03*n, lates, 0.005*n)
	require.InDelta(t, 0.01*n, aheads, 0.003*n)
	require.InDelta(t, 0.015*n, behind, 0.006*n) // half of the late ones, and a few copies of them
}

func TestRecordsAreWhatTheEventsSay(t *testing.T) {
	cfg := Config{Seed: 7, Events: 5000, OutOfOrderGroup: 100}
	events := all(t, cfg)
	g := generator(t, cfg)
	at := 0
	ids := map[string]bool{}
	for {
		ld, err := g.Logs(777)
		require.NoError(t, err)
		if ld.LogRecordCount() == 0 {
			break
		}
		require.Equal(t, map[string]any{"service.name": "auctions"}, ld.ResourceLogs().At(0).Resource().Attributes().AsRaw())
		require.Equal(t, "nexmark", ld.ResourceLogs().At(0).ScopeLogs().At(0).Scope().Name())
		for _, lr := range records(ld) {
			e := events[at].Event
			at++
			want := map[string]any{"log.record.uid": ID(7, e.Number), "user.id": strconv.FormatInt(e.User(), 10)}
			switch e.Kind {
			case Person:
				want["id"], want["name"], want["email_address"], want["credit_card"], want["city"], want["state"] = e.ID, e.Name, e.EmailAddress, e.CreditCard, e.City, e.State
			case Auction:
				want["id"], want["item_name"], want["description"], want["initial_bid"], want["reserve"] = e.ID, e.ItemName, e.Description, e.InitialBid, e.Reserve
				want["expires"], want["seller"], want["category"] = e.Expires, e.Seller, e.Category
			default:
				want["auction"], want["bidder"], want["price"], want["channel"], want["url"] = e.Auction, e.Bidder, e.Price, e.Channel, e.URL
			}
			if e.Extra != "" {
				want["extra"] = e.Extra
			}
			require.Equal(t, want, lr.Attributes().AsRaw())
			require.Equal(t, e.Kind.String(), lr.EventName())
			require.Equal(t, e.Time, int64(lr.Timestamp()))
			ids[ID(7, e.Number)] = true
		}
	}
	require.Equal(t, len(events), at)
	require.Len(t, ids, len(events))
}

func TestClosingEventsAreOfManyUsersAtOneTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(Closing(9, at, 64))
	require.NoError(t, err)
	users, ids := map[string]bool{}, map[string]bool{}
	for _, lr := range records(ld) {
		require.Equal(t, ClosingName, lr.EventName())
		require.Equal(t, at, lr.Timestamp().AsTime())
		user, _ := lr.Attributes().Get("user.id")
		id, _ := lr.Attributes().Get("log.record.uid")
		users[user.Str()], ids[id.Str()] = true, true
	}
	require.Len(t, users, 64)
	require.Len(t, ids, 64)
}

func TestAConfigurationThatCannotBeIsNamed(t *testing.T) {
	f := func(cfg Config, want string) {
		t.Helper()
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
	}
	f(Config{Events: -1}, "Events is -1")
	f(Config{Rate: -5}, "Rate is -5")
	f(Config{OutOfOrderGroup: 1906}, "a multiple of 953")
	f(Config{Duplicates: 1.5}, "Duplicates is 1.5")
	f(Config{LateBy: -time.Second}, "LateBy is")
}

func BenchmarkGenerator(b *testing.B) {
	g := generator(b, Config{Seed: 1})
	size := 0
	for b.Loop() {
		request, _ := g.Batch(1000)
		size = len(request)
	}
	b.ReportMetric(float64(size)/1000, "bytes/event")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
