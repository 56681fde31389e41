// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// subject is a user of an experiment.
type subject struct {
	variant string
	orders  int
	revenue float64
}

// arm is a variant's numbers.
type arm struct {
	users, converted, orders int
	revenue, squares         float64
}

func TestAnExperimentsSumsAreAllThatItsTestsNeed(t *testing.T) {
	t.Parallel()
	s := startScenario(t, "experiment")
	const length = 336 * time.Hour
	from := time.Unix(0, time.Now().UnixNano()/int64(length)*int64(length)).Add(-2 * length) // a window that is over
	rng := rand.New(rand.NewPCG(6, 8))
	var all []happened
	some := func() time.Time { return from.Add(time.Duration(rng.Int64N(int64(length - time.Hour)))) }
	users := map[string]*subject{}
	for n := range 600 {
		user := fmt.Sprint("u-", n)
		u := &subject{}
		users[user] = u
		if n%10 > 0 { // the others see no experiment
			first := some()
			for k := range 1 + rng.IntN(3) { // again, and in another variant by mistake: the first counts
				h := happened{at: first.Add(time.Duration(k) * time.Minute), name: "experiment_exposed", user: user, is: map[string]any{
					"experiment": "checkout", "variant": []string{"control", "one_page"}[(n+min(k, 1))%2],
				}}
				all = append(all, h)
			}
			u.variant = []string{"control", "one_page"}[n%2]
		}
		if rng.IntN(4) == 0 {
			all = append(all, happened{at: some(), name: "experiment_exposed", user: user, is: map[string]any{"experiment": "search", "variant": "fuzzy"}})
		}
		for range max(0, rng.IntN(5)-3+n%2) {
			total := float64(rng.IntN(800)) / 4
			u.orders, u.revenue = u.orders+1, u.revenue+total
			all = append(all, happened{at: some(), name: "order_completed", user: user, is: map[string]any{"total": total}})
		}
	}
	slices.SortFunc(all, func(a, b happened) int { return a.at.Compare(b.at) })
	s.tell(t, all)
	s.over(t, time.Now())

	arms := map[string]*arm{"control": {}, "one_page": {}}
	for _, u := range users {
		if a := arms[u.variant]; a != nil {
			a.users++
			a.orders += u.orders
			a.revenue += u.revenue
			a.squares += u.revenue * u.revenue
			if u.orders > 0 {
				a.converted++
			}
		}
	}
	var rows []string
	for _, variant := range []string{"control", "one_page"} {
		a := arms[variant]
		rows = append(rows, fmt.Sprintf("%s|checkout|%s|%d|%d|%s|%d|%s|%s|on_time", clickhouseTime(from), variant, a.users, a.converted,
			number(math.Round(1e4*float64(a.converted)/float64(a.users))/100), a.orders, number(a.revenue), number(a.revenue/float64(a.users))))
	}
	s.becomes(t, rows, s.query(t, "numbers"))

	// The tests' figures by their definitions, from each user.
	control, other := arms["control"], arms["one_page"]
	n1, n2 := float64(control.users), float64(other.users)
	p1, p2 := float64(control.converted)/n1, float64(other.converted)/n2
	pooled := float64(control.converted+other.converted) / (n1 + n2)
	z := (p2 - p1) / math.Sqrt(pooled*(1-pooled)*(1/n1+1/n2))
	require.Equal(t, []string{fmt.Sprintf("one_page|%s|%s|%s|%s", number(p2-p1), number(pooled), number(z), number(math.Erfc(math.Abs(z)/math.Sqrt2)))},
		s.ask(t, s.query(t, "conversion")))
	variance := func(variant string, a *arm) (v float64) {
		mean := a.revenue / float64(a.users)
		for _, u := range users {
			if u.variant == variant {
				v += (u.revenue - mean) * (u.revenue - mean)
			}
		}
		return v / float64(a.users-1)
	}
	v1, v2 := variance("control", control), variance("one_page", other)
	difference := other.revenue/n2 - control.revenue/n1
	tee := difference / math.Sqrt(v1/n1+v2/n2)
	require.Equal(t, []string{fmt.Sprintf("one_page|%s|%s|%s|%s|%s", number(difference), number(v1), number(v2), number(tee), number(math.Erfc(math.Abs(tee)/math.Sqrt2)))},
		s.ask(t, s.query(t, "revenue")))

	// ClickHouse's own test over the users says the same.
	seen := map[string]bool{}
	for _, h := range all {
		seen[h.user] = true
	}
	require.Equal(t, []string{fmt.Sprintf("%d|%d", len(seen), control.users+other.users)}, s.ask(t, "SELECT count(), countIf(variant IS NOT NULL) FROM experiment_users"))
	theirs, p, _ := strings.Cut(s.ask(t, s.query(t, "exact"))[0], "|")
	require.Equal(t, number(tee), theirs)
	exact, err := strconv.ParseFloat(p, 64)
	require.NoError(t, err)
	require.InDelta(t, math.Erfc(math.Abs(tee)/math.Sqrt2), exact, 0.01)
}
