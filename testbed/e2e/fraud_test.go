// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// velocity is what a card did in a window.
type velocity struct {
	payments, declined int
	amount, largest    float64
	countries, devices map[string]bool
}

func (v *velocity) add(h *happened) {
	if v.countries == nil {
		v.countries, v.devices = map[string]bool{}, map[string]bool{}
	}
	v.payments++
	if h.is["status"] == "declined" {
		v.declined++
	}
	amount := h.is["amount"].(float64)
	v.amount += amount
	v.largest = max(v.largest, amount)
	v.countries[h.is["country"].(string)] = true
	v.devices[h.is["device_id"].(string)] = true
}

func (v *velocity) breaks() bool {
	return v.payments >= 5 || len(v.countries) >= 3 || v.amount > 2000 || v.declined >= 3
}

func (v *velocity) text() string {
	return fmt.Sprintf("%d|%d|%s|%s|%d|%d", v.payments, v.declined, number(v.amount), number(v.largest), len(v.countries), len(v.devices))
}

// cardNumber makes one that passes the check of its last digit.
func cardNumber(n int) string {
	digits := fmt.Sprintf("4%014d", n)
	sum := 0
	for i, d := range []byte(digits) {
		v := int(d - '0')
		if i%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return digits + fmt.Sprint((10-sum%10)%10)
}

// payments of some cards from a time on, most of them now and then, some in bursts. Half of the cards are known by their number.
func payments(rng *rand.Rand, from time.Time, lasts time.Duration) (all []happened) {
	pay := func(card int, at time.Time, country string, amount float64) {
		is := map[string]any{
			"amount": amount, "country": country, "device_id": fmt.Sprint("d-", card, "-", rng.IntN(2)), "status": []string{"approved", "approved", "approved", "declined"}[rng.IntN(4)],
		}
		if card%2 == 0 {
			is["card_number"] = cardNumber(card)
		} else {
			is["card_fingerprint"] = fmt.Sprint("card-", card)
		}
		all = append(all, happened{at: at, name: "payment_attempted", user: fmt.Sprint("payer-", rng.IntN(50)), is: is})
	}
	countries := []string{"DE", "FR", "BR", "US"}
	some := func() time.Time { return from.Add(time.Duration(rng.Int64N(int64(lasts)))) }
	for range 400 {
		card := rng.IntN(150)
		pay(card, some(), countries[card%4], float64(rng.IntN(400))/4)
	}
	for range 8 {
		card, at := rng.IntN(150), some()
		for range 3 + rng.IntN(6) {
			at = at.Add(time.Duration(rng.Int64N(int64(2 * time.Minute))))
			pay(card, at, countries[rng.IntN(4)], float64(rng.IntN(4000))/4)
		}
	}
	all = slices.DeleteFunc(all, func(h happened) bool { return !h.at.Before(from.Add(lasts)) })
	slices.SortFunc(all, func(a, b happened) int { return a.at.Compare(b.at) })
	return all
}

func cardOf(h *happened) string { return fmt.Sprint(h.is["card_number"], h.is["card_fingerprint"]) }

func TestEachTenMinutesOfACardAreCountedAndABrokenRuleIsAnAlert(t *testing.T) {
	t.Parallel()
	s := startScenario(t, "fraud")
	from := time.Now().Add(-4 * time.Hour).Truncate(time.Hour)
	all := payments(rand.New(rand.NewPCG(6, 5)), from, 2*time.Hour)
	s.tell(t, all)
	s.over(t, from.Add(3*time.Hour))

	type key struct {
		card  string
		start time.Time
	}
	windows := map[key]*velocity{}
	for i := range all {
		for n := range 10 {
			k := key{cardOf(&all[i]), all[i].at.Truncate(time.Minute).Add(-time.Duration(n) * time.Minute)}
			if windows[k] == nil {
				windows[k] = &velocity{}
			}
			windows[k].add(&all[i])
		}
	}
	var rows []string
	worst := map[key]*[4]float64{} // by ten minutes: payments, declined, amount, countries
	for k, v := range windows {
		rows = append(rows, clickhouseTime(k.start)+"|"+v.text())
		if !v.breaks() {
			continue
		}
		k.start = k.start.Add(10*time.Minute - 1).Truncate(10 * time.Minute)
		if worst[k] == nil {
			worst[k] = &[4]float64{}
		}
		for i, f := range []float64{float64(v.payments), float64(v.declined), v.amount, float64(len(v.countries))} {
			worst[k][i] = max(worst[k][i], f)
		}
	}
	require.Greater(t, len(worst), 10)
	s.becomes(t, rows, "SELECT window_start, payments, declined, amount, largest, countries, devices FROM card_velocity WHERE pane_timing = 'on_time'")
	require.Equal(t, []string{fmt.Sprintf("%d|0", len(rows))}, s.ask(t, "SELECT count(), countIf(match(card, '^[0-9]')) FROM card_velocity"), "no number of a card is stored")
	s.awaitDelivered(t)
	require.Equal(t, []string{"0"}, s.ask(t, "SELECT countIf(match(toJSONString(properties), '4[0-9]{15}')) FROM events"))

	// Cards by their token can be told in an alert.
	var alerts []string
	for _, k := range slices.SortedFunc(maps.Keys(worst), func(a, b key) int {
		if c := a.start.Compare(b.start); c != 0 {
			return c
		}
		return strings.Compare(a.card, b.card)
	}) {
		if v := worst[k]; strings.Contains(k.card, "card-") {
			card, _ := strings.CutPrefix(k.card, "<nil>")
			alerts = append(alerts, strings.TrimSpace(card)+"|"+clickhouseTime(k.start)+fmt.Sprintf("|%g|%g|%s|%g", v[0], v[1], number(v[2]), v[3]))
		}
	}
	s.becomes(t, alerts, s.query(t, "alerts", "WHERE", "WHERE card LIKE 'card-%' AND"))
	s.becomes(t, []string{fmt.Sprint(len(worst))}, "SELECT count() FROM fraud_alerts WHERE pane_timing = 'on_time'")

	// The query to try rules, with the rule that there is, finds as many alerts.
	tried := s.ask(t, "SELECT sum(alerts) FROM ("+s.query(t, "try", "payments >= 4 AND devices >= 2", "payments >= 5 OR countries >= 3 OR amount > 2000 OR declined >= 3")+")")
	require.Equal(t, []string{fmt.Sprint(len(worst))}, tried)
}

func TestACardsTenMinutesUpToNowAreReadBeforeItsNextPayment(t *testing.T) {
	t.Parallel()
	s := startScenario(t, "fraud")
	// Early rows are of the window that closes next. So that the payments are in it, they lie within one of its minutes.
	now := time.Now()
	if now.Second() < 6 {
		now = now.Truncate(time.Minute).Add(-time.Second)
	}
	var all []happened
	v := &velocity{}
	for n, country := range []string{"DE", "DE", "FR"} {
		h := happened{at: now.Add(time.Duration(n-8) * time.Minute), name: "payment_attempted", user: "u", is: map[string]any{
			"card_fingerprint": "card-1", "amount": 250.5, "country": country, "device_id": "d", "status": "approved",
		}}
		all = append(all, h)
		v.add(&h)
	}
	s.tell(t, all)
	decide := s.query(t, "decide")
	row := func(refuse int) []string {
		return []string{fmt.Sprintf("%d|%d|%d|%s|%d|%d|%s", refuse, v.payments, v.declined, number(v.amount), len(v.countries), len(v.devices), clickhouseTime(all[len(all)-1].at))}
	}
	s.becomes(t, row(0), decide)
	all = append(all, happened{at: now, name: "payment_attempted", user: "u", is: map[string]any{
		"card_fingerprint": "card-1", "amount": 250.5, "country": "BR", "device_id": "d", "status": "approved",
	}})
	v.add(&all[len(all)-1])
	s.tell(t, all[len(all)-1:])
	s.becomes(t, row(1), decide)
	s.becomes(t, []string{"card-1|3|early"}, "SELECT card, countries, pane_timing FROM fraud_alerts")
}
