// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/detector"
)

// prose is what free texts of events without personal data are made of. There is nothing in it that looks like any, so that whoever is
// measured on it only looks and never writes.
var prose = []string{
	"The parcel came two days late but the box was in good shape.", "Great fit, would buy again in blue.", "The app froze when I opened the cart, version 4.2 on my old tablet.",
	"Please add a filter for sizes, it is hard to find anything.", "Delivery took 3 to 5 days as promised.", "Not worth 49.90 if you ask me.", "Support was friendly and quick.",
	"Der Stoff ist dünner als auf dem Bild, sonst alles gut.", "Sehr zufrieden, gerne wieder!", "La taille est un peu petite, mais la couleur est belle.", "Livraison rapide, merci.",
	"El color no es como en la foto.", "Todo perfecto, llegó en 24 horas.", "La confezione era aperta, ma il prodotto va bene.", "とても良い商品です。", "Super jakość, polecam każdemu.",
	"I returned it after a week because the zip broke.", "My daughter loves it, she wears it every day of the week.", "Checkout asked me twice for the same thing; fix that.", "Room 12 on floor 3, left of the lift.",
}

// Events makes a batch of n events of 20 attributes each: five free texts of 40 to 200 characters, the rest short IDs, numbers, names and URLs.
// Of every `every` events one has personal data in one of its texts, one value of an e-mail address, a phone number, a payment card, an
// IP v4 address or an IBAN; 0 is none.
func Events(seed uint64, n, every int) (plog.Logs, error) {
	m := newMaker(seed, "en")
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "shop")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	records.EnsureCapacity(n)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range n {
		hit := -1
		if every > 0 && i%every == 0 {
			hit = m.n(5)
		}
		r := records.AppendEmpty()
		at = at.Add(time.Duration(m.n(1e6)))
		r.SetTimestamp(pcommon.NewTimestampFromTime(at))
		r.SetEventName(pick(m, "order_placed", "review_written", "ticket_opened"))
		a := r.Attributes()
		a.EnsureCapacity(20)
		a.PutStr("log.record.uid", m.quietID(8)+"-"+m.quietID(4)+"-"+m.quietID(4)+"-"+m.quietID(12))
		a.PutStr("session.id", m.quietID(16))
		a.PutStr("order.id", "ORD-"+m.digits(6))
		a.PutStr("item.sku", lookalikes["sku"](m).Text)
		a.PutInt("item.quantity", int64(m.between(1, 9)))
		a.PutInt("cart.size", int64(m.n(40)))
		a.PutDouble("order.total", float64(m.n(50000))/100)
		a.PutInt("ts", at.UnixMilli())
		a.PutStr("item.name", pick(m, "Wool scarf", "Trail shoes", "Desk lamp", "Espresso cups, set of 4", "Rain jacket"))
		a.PutStr("item.category", pick(m, "clothing", "home", "outdoor", "kitchen"))
		a.PutStr("geo.country", pick(m, "DE", "US", "FR", "JP", "BR"))
		a.PutStr("currency", pick(m, "EUR", "USD", "JPY"))
		a.PutStr("page.url", "https://shop.example.com/"+pick(m, "cart", "checkout", "item")+"/"+m.word(6)+"?ref="+m.word(5)+"&v="+m.digits(2))
		a.PutStr("page.referrer", "https://www.example.org/search?q="+m.word(7)+"+"+m.word(5))
		a.PutStr("page.title", pick(m, "Your cart", "Checkout", "Wool scarf – the shop", "Search results"))
		for field, key := range []string{"review.text", "comment", "ticket.body", "note", "message"} {
			text, err := m.freeText(field == hit)
			if err != nil {
				return ld, err
			}
			a.PutStr(key, text)
		}
	}
	return ld, nil
}

// quietID is hexadecimal and has no two digits in a row: contrib's expressions fire on IDs that have many.
func (m *maker) quietID(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(m.word(1, [...]string{"abcdef", "0123456789"}[i%2]))
	}
	return b.String()
}

// freeText is 40 to 200 characters of prose, by request with something personal in it.
func (m *maker) freeText(hit bool) (string, error) {
	target := m.between(60, 200)
	var b strings.Builder
	insert := ""
	if hit {
		v, err := m.make(pick(m, "email", "phone.intl", "card", "ipv4", "iban"))
		if err != nil {
			return "", err
		}
		insert = map[detector.Class]string{
			detector.Email: "Write to %s please.", detector.Phone: "Call me on %s please.", detector.PaymentCard: "My card is %s by the way.",
			detector.IPAddress: "It says my address is %s now.", detector.IBAN: "Send it to %s instead.",
		}[v.Spans[0].Class]
		insert = fmt.Sprintf(insert, v.Text)
	}
	for chars := len([]rune(insert)); ; {
		s := pick(m, prose...)
		n := len([]rune(s)) + 1
		if chars+n > target && chars >= 40 {
			break
		}
		if chars+n > 200 {
			continue
		}
		b.WriteString(s + " ")
		chars += n
		if insert != "" && m.chance(2) {
			b.WriteString(insert + " ")
			insert = ""
		}
	}
	b.WriteString(insert)
	return strings.TrimSpace(b.String()), nil
}
