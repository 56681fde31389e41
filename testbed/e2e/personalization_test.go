// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/load"
)

// TestFeaturesOfAUserAreWhatTheyDid compares the rows of some users with what they did, through a crash.
func TestFeaturesOfAUserAreWhatTheyDid(t *testing.T) {
	t.Parallel()
	s := startScenario(t, "personalization")
	rng := rand.New(rand.NewPCG(6, 4))
	now := time.Now()
	names := []string{"product_viewed", "product_viewed", "product_viewed", "product_added", "products_searched", "order_completed", "page_viewed"}
	var all []happened
	for _, window := range []struct {
		n    int
		back time.Duration
	}{{800, 20 * 24 * time.Hour}, {600, 20 * time.Hour}, {600, 50 * time.Minute}} {
		for range window.n {
			h := happened{at: now.Add(-time.Duration(rng.Int64N(int64(window.back)))), name: names[rng.IntN(len(names))], user: fmt.Sprint("u-", rng.IntN(12))}
			category := []string{"shoes", "shoes", "shoes", "socks", "socks", "hats"}[rng.IntN(6)]
			h.is = map[string]any{
				"product_id": fmt.Sprint("p-", rng.IntN(8)), "category": category, "brand": []string{"Fell", "Tarn", "Beck"}[rng.IntN(3)],
				"price": float64(rng.IntN(20000)) / 100,
			}
			switch h.name {
			case "products_searched":
				h.is = map[string]any{"query": fmt.Sprint("q", rng.IntN(9))}
			case "order_completed":
				h.is = map[string]any{"total": float64(rng.IntN(20000)) / 100}
			case "page_viewed":
				h.is = map[string]any{}
			}
			all = append(all, h)
		}
	}
	// What is at a window's edge leaves it with the clock.
	all = slices.DeleteFunc(all, func(h happened) bool {
		age := now.Sub(h.at)
		return (age-time.Hour).Abs() < 5*time.Minute || (age-24*time.Hour).Abs() < time.Hour
	})
	slices.SortStableFunc(all, func(a, b happened) int { return a.at.Compare(b.at) })
	// Events that come late count as the others do, while they are in the window.
	late := all[len(all)-300 : len(all)-200]
	early := slices.Concat(all[:len(all)-300], all[len(all)-200:])
	s.tell(t, early[:1000])
	s.awaitDelivered(t)
	s.end(t, 9)
	s.start(t)
	s.tell(t, early[1000:])
	s.tell(t, late)

	for n := range 12 {
		user := fmt.Sprint("u-", n)
		oldnew := []string{"'u-1'", "'" + user + "'", "'dev'", "''"}
		hour, day, month := featuresOf(all, user, now.Add(-time.Hour)), featuresOf(all, user, now.Add(-24*time.Hour)), featuresOf(all, user, now.Add(-30*24*time.Hour))
		s.becomes(t, []string{strings.Join([]string{
			strconv.Itoa(hour.events), strconv.Itoa(hour.of["product_viewed"]), strconv.Itoa(hour.of["product_added"]), clickhouseTime(hour.lastSeen),
			lately(hour.products, 10), lately(hour.lastCategories, 3), null(hour.lastSearch), ranked(hour.categories, 3),
		}, "|")}, s.query(t, "hour", append(oldnew, " last_products", " arrayStringConcat(last_products, ',')", "last_categories", "arrayStringConcat(last_categories, ',')",
			"top_categories.value AS", "arrayStringConcat(top_categories.value, ',') AS")...))
		s.becomes(t, []string{strings.Join([]string{
			strconv.Itoa(hour.events), strconv.Itoa(hour.of["product_viewed"]), lately(hour.products, 10),
			strconv.Itoa(day.of["order_completed"]), number(day.spent), number(day.viewedPrice / float64(day.of["product_viewed"])), ranked(day.categories, 5),
			strconv.Itoa(month.of["order_completed"]), number(month.spent), clickhouseTime(month.lastSeen), clickhouseTime(month.lastOrder), ranked(month.brands, 5),
		}, "|")}, s.query(t, "all", append(oldnew, "h.last_products", "arrayStringConcat(h.last_products, ',')", "d.top_categories.value AS", "arrayStringConcat(d.top_categories.value, ',') AS", "m.top_brands.value AS", "arrayStringConcat(m.top_brands.value, ',') AS")...))
	}
	require.Equal(t, []string{"12|12"}, s.ask(t, "SELECT count(), uniqExact(user_id) FROM user_last_month"), "one row for each user")
	require.Equal(t, []string{"0"}, s.ask(t, "SELECT count() FROM events GROUP BY event_id HAVING count() > 1 UNION ALL SELECT 0"))
}

// features are what a user's events add up to.
type features struct {
	events                   int
	of, categories, brands   map[string]int
	products, lastCategories []string // by time
	lastSeen, lastOrder      time.Time
	lastSearch               string
	spent, viewedPrice       float64
}

func featuresOf(all []happened, user string, since time.Time) *features {
	f := &features{of: map[string]int{}, categories: map[string]int{}, brands: map[string]int{}}
	for _, h := range all { // by time
		if h.user != user || h.at.Before(since) {
			continue
		}
		f.events++
		f.of[h.name]++
		f.lastSeen = h.at
		if v, ok := h.is["product_id"].(string); ok {
			f.products = append(f.products, v)
		}
		if v, ok := h.is["category"].(string); ok {
			f.lastCategories = append(f.lastCategories, v)
			f.categories[v]++
		}
		if v, ok := h.is["brand"].(string); ok {
			f.brands[v]++
		}
		if v, ok := h.is["query"].(string); ok {
			f.lastSearch = v
		}
		switch h.name {
		case "order_completed":
			f.spent += h.is["total"].(float64)
			f.lastOrder = h.at
		case "product_viewed":
			f.viewedPrice += h.is["price"].(float64)
		}
	}
	return f
}

// lately are the last k values that differ, the last one first.
func lately(byTime []string, k int) string {
	var out []string
	for _, v := range slices.Backward(byTime) {
		if len(out) < k && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return strings.Join(out, ",")
}

func null(s string) string {
	if s == "" {
		return "<nil>"
	}
	return s
}

// clickhouseTime is a time as ClickHouse writes one, NULL for none.
func clickhouseTime(t time.Time) string {
	if t.IsZero() {
		return "<nil>"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000000")
}

// freshnessProbes are events of users of their own whose rows are looked for.
const freshnessProbes = 60

// TestFeaturesAreReadableSoonAfterTheEvent prints how long that takes, and what a point read reads. How long is a matter of the machine, and no
// condition of the test. MILLRACE_TEST_RATE is how many other events come in a second.
func TestFeaturesAreReadableSoonAfterTheEvent(t *testing.T) {
	s := startScenario(t, "personalization")
	rate := 1000.0
	if text := os.Getenv("MILLRACE_TEST_RATE"); text != "" {
		var err error
		rate, err = strconv.ParseFloat(text, 64)
		require.NoError(t, err)
	}
	const spacing = 90 * time.Millisecond
	lasts := freshnessProbes*spacing + 2*time.Second
	run, err := load.NewRun(load.RunConfig{
		Generator: load.GeneratorConfig{Seed: 4, Events: int64(rate * lasts.Seconds()), Users: 20_000, End: time.Now().Add(lasts), Span: lasts},
		Targets:   s.targets(), Rate: rate, Batch: 100, Duration: lasts,
	})
	require.NoError(t, err)
	background := make(chan error, 1)
	go func() { background <- run.Do(t.Context()) }()

	await(t, "other users to have rows", func() bool { return s.ask(t, "SELECT count() > 100 FROM user_last_hour")[0] == "1" })
	sent := map[string]time.Time{}
	var fresh, reads []time.Duration
	next := time.Now()
	for n := 0; n < freshnessProbes || len(sent) > 0; {
		if n < freshnessProbes && !time.Now().Before(next) {
			user := fmt.Sprint("probe-", n)
			sent[user] = time.Now()
			s.tell(t, []happened{{at: sent[user], name: "product_viewed", user: user, is: map[string]any{"product_id": "p"}}})
			next = next.Add(spacing)
			n++
		}
		began := time.Now()
		for _, user := range s.ask(t, "SELECT user_id FROM user_last_hour WHERE user_id IN ("+usersList(sent)+") AND views = 1") {
			fresh = append(fresh, time.Since(sent[user]))
			delete(sent, user)
		}
		reads = append(reads, time.Since(began))
		for user, at := range sent {
			require.Less(t, time.Since(at), patience, "%s has no row", user)
		}
	}
	require.NoError(t, <-background)
	t.Logf("from sending an event to reading it in its user's row, beside %.0f events a second: p50 %s, p99 %s, most %s", rate,
		quantile(fresh, 0.5), quantile(fresh, 0.99), quantile(fresh, 1))
	t.Logf("a read of some users' rows over HTTP, each on a connection of its own: p50 %s, p99 %s", quantile(reads, 0.5), quantile(reads, 0.99))

	explain := strings.Join(s.ask(t, s.query(t, "explain", "'u-1'", "'probe-1'", "'dev'", "''")), "\n")
	t.Log("what a point read reads:\n" + explain)
	counts := regexp.MustCompile(`(?s)user_id in .*Parts: (\d+)/\d+.*Granules: (\d+)/`).FindStringSubmatch(explain)
	require.NotNil(t, counts, "the primary key is not used")
	require.LessOrEqual(t, mustInt(t, counts[2]), 2*mustInt(t, counts[1]), "a user is in one granule of a part, or at the border of two")
}

func usersList(users map[string]time.Time) string {
	list := []string{"''"}
	for user := range users {
		list = append(list, "'"+user+"'")
	}
	return strings.Join(list, ", ")
}

func quantile(of []time.Duration, q float64) time.Duration {
	of = slices.Clone(of)
	slices.Sort(of)
	return of[min(len(of)-1, int(q*float64(len(of))))].Round(time.Millisecond / 10)
}
