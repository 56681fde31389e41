// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// attributed is what a day's sessions of a campaign brought.
type attributed struct {
	sessions, converted, orders int
	revenue                     float64
}

type dayOfCampaign struct{ day, campaign string }

func (a *attributed) add(v *visit) {
	a.sessions++
	a.orders += v.orders
	a.revenue += v.revenue
	if v.orders > 0 {
		a.converted++
	}
}

func none(campaign string) string {
	if campaign == "" {
		return "(none)"
	}
	return campaign
}

func TestRevenueIsAttributedToTheCampaignsOfItsSession(t *testing.T) {
	t.Parallel()
	s := startScenario(t, "attribution")
	today := time.Now().UTC().Add(-2 * time.Hour).Truncate(24 * time.Hour) // what was before is over now
	from := today.AddDate(0, 0, -4)
	var all []happened
	for _, h := range shopping(rand.New(rand.NewPCG(6, 9)), from, 1, 150) {
		if h.at.Before(today) {
			all = append(all, h)
		}
	}
	s.tell(t, all)
	s.over(t, time.Now())

	live, final := map[dayOfCampaign]*attributed{}, map[dayOfCampaign]*attributed{}
	visits := visitsOf(all, 30*time.Minute, true)
	for _, v := range visits {
		day := v.start.UTC().Format(time.DateOnly)
		for of, campaign := range map[*map[dayOfCampaign]*attributed]string{&live: v.campaign, &final: v.last} {
			k := dayOfCampaign{day, none(campaign)}
			if (*of)[k] == nil {
				(*of)[k] = &attributed{}
			}
			(*of)[k].add(v)
		}
	}
	rows := func(of map[dayOfCampaign]*attributed) (out []string) {
		for k, a := range of {
			out = append(out, fmt.Sprintf("%s|%s|%d|%d|%d|%s", k.day, k.campaign, a.sessions, a.converted, a.orders, number(float64(int(a.revenue*100+0.5))/100)))
		}
		return out
	}
	before := "WHERE window_start < toDate('" + today.Format(time.DateOnly) + "') GROUP BY" // today's is of what says that they are over
	s.becomes(t, rows(live), s.query(t, "live", "GROUP BY", before))
	s.becomes(t, rows(final), s.query(t, "sessions"))
	s.becomes(t, []string{"0"}, "SELECT count() FROM campaign_revenue WHERE pane_timing != 'on_time' AND window_start < toDate('"+today.Format(time.DateOnly)+"')")

	// Each campaign of a session gets its share.
	shares := map[string]float64{}
	for _, v := range visits {
		campaigns := map[string]bool{}
		for _, h := range v.of {
			if campaign, ok := h.is["utm_campaign"].(string); ok {
				campaigns[campaign] = true
			}
		}
		for campaign := range campaigns {
			shares[campaign] += v.revenue / float64(len(campaigns))
		}
	}
	var split []string
	for campaign, revenue := range shares {
		split = append(split, campaign+"|"+number(revenue))
	}
	s.becomes(t, split, s.query(t, "shares", "round(", "(", ", 2)", ")"))

	// By the order: the campaign that the visitor came by last.
	type sale struct {
		orders  int
		revenue float64
	}
	last := map[string]happened{}
	sales := map[dayOfCampaign]*sale{}
	for _, h := range all {
		if _, ok := h.is["utm_campaign"]; ok {
			last[h.user] = h
		}
		if h.name != "order_completed" {
			continue
		}
		k := dayOfCampaign{h.at.UTC().Format(time.DateOnly), "(none)"}
		if touch, ok := last[h.user]; ok && h.at.Sub(touch.at) < 7*24*time.Hour {
			k.campaign = touch.is["utm_campaign"].(string)
		}
		if sales[k] == nil {
			sales[k] = &sale{}
		}
		sales[k].orders++
		sales[k].revenue += h.is["total"].(float64)
	}
	var want []string
	for k, v := range sales {
		want = append(want, fmt.Sprintf("%s|%s|%d|%s", k.day, k.campaign, v.orders, number(v.revenue)))
	}
	s.becomes(t, want, s.query(t, "orders", "event_time, total\n", "event_time, toFloat64(properties.total) AS total\n",
		"utm_campaign AS campaign", "toString(properties.utm_campaign) AS campaign", "utm_campaign IS NOT NULL", "properties.utm_campaign IS NOT NULL"))
}

func TestAnOrderIsAttributedBeforeItsSessionIsOver(t *testing.T) {
	t.Parallel()
	s := startScenario(t, "attribution")
	now := time.Now()
	day := now.UTC().Truncate(24 * time.Hour)
	at := func(n int) time.Time {
		if v := now.Add(time.Duration(n-3) * time.Second); !v.Before(day) {
			return v
		}
		return day
	}
	s.tell(t, []happened{
		{at: at(0), name: "page_viewed", user: "u-1", is: map[string]any{"utm_campaign": "autumn"}},
		{at: at(1), name: "page_viewed", user: "u-1", is: map[string]any{"utm_campaign": "mail"}},
		{at: at(2), name: "order_completed", user: "u-1", is: map[string]any{"total": 12.5}},
	})
	sent := time.Now()
	s.becomes(t, []string{"autumn|mail|1|1|12.5|early"}, "SELECT first_campaign, last_campaign, sessions, orders, revenue, pane_timing FROM campaign_revenue")
	t.Logf("from sending an order to its campaign's revenue: %s", time.Since(sent).Round(10*time.Millisecond))
	require.Equal(t, []string{"0"}, s.ask(t, "SELECT count() FROM sessions"))
}
