// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var funnelSteps = []string{"product_viewed", "product_added", "checkout_started", "order_completed"}

// shopping is sessions of visitors over some weeks, in the order of their events.
func shopping(rng *rand.Rand, from time.Time, weeks, visitors int) (all []happened) {
	for visitor := range visitors {
		for range 1 + rng.IntN(5) {
			at := from.Add(time.Duration(rng.Int64N(int64(weeks) * int64(7*24*time.Hour))))
			campaign := []string{"", "autumn", "mail"}[rng.IntN(3)]
			for range 1 + rng.IntN(9) {
				h := happened{at: at, name: append([]string{"page_viewed"}, funnelSteps...)[rng.IntN(5)], user: fmt.Sprint("visitor-", visitor), is: map[string]any{}}
				if campaign != "" && rng.IntN(2) == 0 {
					h.is["utm_campaign"] = campaign
				}
				if rng.IntN(6) == 0 {
					campaign = "retargeting"
				}
				if h.name == "order_completed" {
					h.is["total"] = float64(rng.IntN(1000)) / 4
				}
				all = append(all, h)
				at = at.Add(time.Duration(rng.Int64N(int64(25 * time.Minute))))
			}
		}
	}
	slices.SortFunc(all, func(a, b happened) int { return a.at.Compare(b.at) })
	return all
}

// visit is a session as the test finds it.
type visit struct {
	user     string
	of       []happened
	start    time.Time
	end      time.Time
	campaign string
	last     string // campaign
	orders   int
	revenue  float64
}

func (v *visit) has(name string) int {
	if slices.ContainsFunc(v.of, func(h happened) bool { return h.name == name }) {
		return 1
	}
	return 0
}

// visitsOf cuts events, by time, where a visitor did nothing for more than the gap, and at midnight if it is said.
func visitsOf(all []happened, gap time.Duration, midnight bool) (visits []*visit) {
	open := map[string]*visit{}
	for _, h := range all {
		v := open[h.user]
		if v == nil || h.at.Sub(v.end) > gap || midnight && !h.at.UTC().Truncate(24*time.Hour).Equal(v.end.UTC().Truncate(24*time.Hour)) {
			v = &visit{user: h.user, start: h.at}
			open[h.user] = v
			visits = append(visits, v)
		}
		v.of, v.end = append(v.of, h), h.at
		if campaign, ok := h.is["utm_campaign"].(string); ok {
			v.last = campaign
			if v.campaign == "" {
				v.campaign = campaign
			}
		}
		if h.name == "order_completed" {
			v.orders++
			v.revenue += h.is["total"].(float64)
		}
	}
	return visits
}

// level is how many steps of the funnel the visit made in their order, within the time from the first on.
func (v *visit) level(within time.Duration) (most int) {
	for i, h := range v.of {
		if h.name != funnelSteps[0] {
			continue
		}
		level := 1
		for _, next := range v.of[i+1:] {
			if level < len(funnelSteps) && next.name == funnelSteps[level] && next.at.Sub(h.at) <= within {
				level++
			}
		}
		most = max(most, level)
	}
	return most
}

func monday(t time.Time) time.Time {
	day := t.UTC().Truncate(24 * time.Hour)
	return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
}

func TestFunnelsAndRetentionAreThoseOfTheSessions(t *testing.T) {
	t.Parallel()
	s := startScenario(t, "funnel")
	const weeks = 4
	from := monday(time.Now().Add(-2*time.Hour)).AddDate(0, 0, -7*weeks)
	all := shopping(rand.New(rand.NewPCG(6, 7)), from, weeks, 120)
	all = slices.DeleteFunc(all, func(h happened) bool { return !h.at.Before(from.AddDate(0, 0, 7*weeks)) })
	s.tell(t, all)
	s.over(t, time.Now())
	visits := visitsOf(all, 30*time.Minute, false)

	type day struct{ day, campaign string }
	type counts struct {
		sessions int
		steps    [4]int
		revenue  float64
	}
	days := map[day]*counts{}
	var levels [5]int
	weeksOf, ordered := map[string]map[time.Time]bool{}, map[string]map[time.Time]bool{}
	for _, v := range visits {
		d := day{v.end.UTC().Format(time.DateOnly), null(v.campaign)}
		if days[d] == nil {
			days[d] = &counts{}
		}
		days[d].sessions++
		for i, step := range funnelSteps {
			days[d].steps[i] += v.has(step)
		}
		days[d].revenue += v.revenue
		for level := range v.level(30*time.Minute) + 1 {
			levels[level]++
		}
		if weeksOf[v.user] == nil {
			weeksOf[v.user], ordered[v.user] = map[time.Time]bool{}, map[time.Time]bool{}
		}
		weeksOf[v.user][monday(v.start)] = true
		if v.orders > 0 {
			ordered[v.user][monday(v.start)] = true
		}
	}
	s.becomes(t, []string{fmt.Sprint(len(visits))}, "SELECT count() FROM sessions")
	var rows []string
	for d, c := range days {
		percent := number(float64(int(1000*float64(c.steps[3])/float64(c.sessions)+0.5)) / 10)
		rows = append(rows, fmt.Sprintf("%s|%s|%d|%d|%d|%d|%d|%s|%s", d.day, d.campaign, c.sessions, c.steps[0], c.steps[1], c.steps[2], c.steps[3], number(c.revenue), percent))
	}
	s.becomes(t, rows, s.query(t, "hours", "sum(f.revenue)", "ifNull(sum(f.revenue), 0)"))
	s.becomes(t, []string{fmt.Sprintf("%d|%d|%d|%d|%d", levels[1], levels[2], levels[3], levels[4], len(visits))}, s.query(t, "funnel"))

	cohorts := map[time.Time]*[4]int{}
	var named [3]int
	for user, weeks := range weeksOf {
		first := from.AddDate(1, 0, 0)
		for week := range weeks {
			if week.Before(first) {
				first = week
			}
		}
		if cohorts[first] == nil {
			cohorts[first] = &[4]int{}
		}
		for n := range 4 {
			if weeks[first.AddDate(0, 0, 7*n)] {
				cohorts[first][n]++
			}
		}
		if ordered[user][from] {
			named[0]++
			if weeks[from.AddDate(0, 0, 7)] {
				named[1]++
			}
			if ordered[user][from.AddDate(0, 0, 14)] {
				named[2]++
			}
		}
	}
	rows = nil
	for week, c := range cohorts {
		rows = append(rows, fmt.Sprintf("%s|%d|%d|%d|%d", week.Format(time.DateOnly), c[0], c[1], c[2], c[3]))
	}
	s.becomes(t, rows, s.query(t, "retention"))
	date := func(n int) string { return "toDate('" + from.AddDate(0, 0, 7*n).Format(time.DateOnly) + "')" }
	s.becomes(t, []string{fmt.Sprintf("%d|%d|%d", named[0], named[1], named[2])}, s.query(t, "named", "{first}", date(0), "{second}", date(1), "{third}", date(2)))
}
