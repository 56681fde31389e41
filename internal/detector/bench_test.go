// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"strings"
	"testing"
)

// benchTexts are as the attributes of events are: what the benchmarks run over.
var benchTexts = map[string][]string{
	"free text": {
		"The parcel arrived late and the box was damaged, could you please send me a replacement as soon as possible?",
		"Great shoes, very comfortable and true to size. I would buy them again in a heartbeat!",
		"Kann ich die Bestellung noch ändern? Ich habe leider die falsche Größe ausgewählt und bräuchte sie eine Nummer größer.",
		"Customer asked for a refund because the colour did not match the picture on the site; agent promised to call back.",
	},
	"free text with numbers": {
		"Order #1234567 was delivered on 2024-01-02 at 10:30, but 2 of 3 items were missing: the invoice says $1,234.56.",
		"I have waited for 14 days now, my 3 earlier tickets (the last one on Monday at 9:15) got no answer. Rating: 2/5.",
	},
	"words": {"checkout_started", "eur", "DE", "web", "desktop", "Summer Sale", "add_to_cart", "newsletter", "true", "Berlin", "organic", "Sneakers"},
	"IDs": {
		"550e8400-e29b-41d4-a716-446655440000", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "507f1f77bcf86cd799439011",
		"sku-12345-67890", "1234567", "ch_3NqYvT2eZvKYlo2C1a2b3c4d",
	},
	"URLs": {
		"https://shop.example.com/products/running-shoes?variant=39284756&utm_source=newsletter&utm_campaign=2024_spring",
		"https://cdn.example.com/img/p/39284756/main@2x.png", "/checkout/step-2?cart=8f14e45f",
	},
	"times":       {"2024-01-02T10:20:30.123Z", "2024-01-02", "1700000000", "1700000000123", "10:20:30"},
	"numbers":     {"1234.56", "42", "99.99", "1000000", "0.0025"},
	"user agents": {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"},
	"with hits": {
		"You can reach me at jane.doe@example.com or +49 151 12345678, thanks!",
		"The card 4111 1111 1111 1111 was charged twice, please refund to DE89 3704 0044 0532 0130 00.",
		"Request from 203.0.113.7 failed for user bob@example.net",
	},
}

func BenchmarkFind(b *testing.B) {
	d := testDetector(b)
	for name, texts := range benchTexts {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			total := 0
			for _, text := range texts {
				total += len(text)
			}
			b.SetBytes(int64(total))
			b.ReportAllocs()
			var dst []Finding
			for b.Loop() {
				for _, text := range texts {
					dst = d.Find(dst[:0], text, 0)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(texts)), "ns/text")
		})
	}
}

func BenchmarkFindHostile(b *testing.B) {
	d := testDetector(b)
	for name, text := range hostile {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			text := text(4096)
			b.SetBytes(int64(len(text)))
			var dst []Finding
			for b.Loop() {
				dst = d.Find(dst[:0], text, 0)
			}
		})
	}
}

func BenchmarkHintOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		HintOf("customer.shippingPhoneNumber")
	}
}
