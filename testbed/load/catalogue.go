// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// What the simulated shop has to sell, and to whom. All of it follows from the seed.

const numProducts = 2000

type product struct {
	id, sku, name, brand, category, url, image string
	cents                                      int64 // in euro; other currencies by factor
	rating                                     float64
	tags                                       value // a list, where tagged
	tagged                                     bool
}

type country struct {
	code, currency, locale string
	weight                 int
	factor                 float64 // of the price in euro
	cities                 []string
	postal                 string // # is a digit, A a letter
	dial                   string
}

var countries = []country{
	{"DE", "EUR", "de-DE", 27, 1, []string{"Berlin", "Hamburg", "München", "Köln", "Leipzig"}, "#####", "+49"},
	{"US", "USD", "en-US", 22, 1.1, []string{"Portland", "Austin", "Chicago", "Boston"}, "#####", "+1"},
	{"GB", "GBP", "en-GB", 14, 0.85, []string{"London", "Leeds", "Bristol", "Glasgow"}, "AA# #AA", "+44"},
	{"FR", "EUR", "fr-FR", 11, 1, []string{"Paris", "Lyon", "Nantes", "Lille"}, "#####", "+33"},
	{"JP", "JPY", "ja-JP", 7, 160, []string{"東京", "大阪", "福岡"}, "###-####", "+81"},
	{"NL", "EUR", "nl-NL", 6, 1, []string{"Utrecht", "Rotterdam", "Groningen"}, "#### AA", "+31"},
	{"SE", "SEK", "sv-SE", 4, 11.4, []string{"Stockholm", "Göteborg", "Malmö"}, "### ##", "+46"},
	{"PL", "PLN", "pl-PL", 4, 4.3, []string{"Kraków", "Łódź", "Gdańsk"}, "##-###", "+48"},
	{"BR", "BRL", "pt-BR", 3, 5.9, []string{"São Paulo", "Curitiba", "Recife"}, "#####-###", "+55"},
	{"AT", "EUR", "de-AT", 2, 1, []string{"Wien", "Graz", "Linz"}, "####", "+43"},
}

// categories are skewed by their number of products.
var categories = []struct {
	name  string
	share int   // of 100 products
	low   int64 // cheapest, in cents
	high  int64 // dearest
	nouns []string
}{
	{"clothing", 30, 1500, 18000, []string{"Crew Sweater", "Rain Jacket", "Work Shirt", "Linen Trousers", "Wool Cardigan"}},
	{"shoes", 18, 4000, 22000, []string{"Trail Runners", "Leather Boots", "Canvas Sneakers", "House Slippers"}},
	{"home", 16, 800, 40000, []string{"Table Lamp", "Storage Basket", "Duvet Cover", "Wall Clock"}},
	{"kitchen", 12, 600, 35000, []string{"Cast Iron Pan", "Chef's Knife", "Pour-Over Set", "Mixing Bowl"}},
	{"electronics", 10, 1900, 129900, []string{"Noise-Cancelling Headphones", "Bicycle Light", "Desk Speaker", "Charging Dock"}},
	{"outdoor", 8, 1200, 69900, []string{"Two-Person Tent", "Sleeping Bag", "Trekking Poles", "Camp Stove"}},
	{"books", 4, 900, 6000, []string{"Field Guide", "Cookbook", "Travel Journal", "Atlas"}},
	{"toys", 2, 700, 9900, []string{"Wooden Train", "Building Blocks", "Puzzle of 1,000 Pieces"}},
}

var (
	brands   = []string{"Northwind", "Harbor & Pine", "Kestrel", "Fjordlys", "Oakline", "Atelier Brun", "Tamarack", "Ines Vidal", "Solstice", "Papaya Works"}
	adverbs  = []string{"Merino Wool", "Recycled Fibre", "Classic", "Lightweight", "Handmade", "Everyday", "Heavyweight", "Foldable"}
	colours  = []string{"Charcoal", "Forest Green", "Off White", "Rust", "Midnight Blue", "Sand"}
	sizes    = []string{"Small", "Medium", "Large", "One Size"}
	tagLists = [][]string{{"new"}, {"sale", "last-pieces"}, {"organic", "fair-trade"}, {"bestseller"}, {"sale", "bestseller", "gift-idea"}}

	userAgents = []struct {
		text, device, os string
		width            int64
		weight           int
	}{
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15", "mobile", "iOS", 393, 33},
		{"Mozilla/5.0 (Linux; Android 16; Pixel 10) Chrome/142.0.0.0 Mobile", "mobile", "Android", 412, 27},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0", "desktop", "Windows", 1920, 19},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15", "desktop", "macOS", 1512, 12},
		{"Mozilla/5.0 (iPad; CPU OS 19_1 like Mac OS X) AppleWebKit/605.1.15", "tablet", "iOS", 820, 6},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "desktop", "Linux", 2560, 3},
	}
	// campaigns: the first is the direct visit, the second one through a search engine.
	campaigns = []struct {
		source, medium, campaign, referrer string
		weight                             int
	}{
		{"", "", "", "", 28},
		{"", "", "", "https://www.google.example/search?q=wool+sweater+charcoal", 26},
		{"google", "cpc", "brand-search-autumn", "https://www.google.example/search?q=northwind+shop+online", 14},
		{"instagram", "social", "autumn-lookbook", "https://l.instagram.example/?u=shop.example%2Flookbook", 13},
		{"newsletter", "email", "weekly-2026-47", "https://mail.example/read/weekly-2026-47?position=3", 12},
		{"idealo", "affiliate", "price-comparison", "https://www.idealo.example/preisvergleich/outdoor/list", 7},
	}
	pages = []struct{ title, url string }{
		{"Everyday things, made to last · The Shop", "https://shop.example/start?utm_content=hero-banner-a"},
		{"New arrivals of this week · The Shop", "https://shop.example/new-arrivals?sort=newest&page=1"},
		{"Sale: up to 40% off outdoor things · The Shop", "https://shop.example/sale/outdoor?sort=discount&page=1"},
		{"Delivery, returns and your rights · The Shop", "https://shop.example/help/delivery-and-returns#returns"},
		{"Our makers and where they work · The Shop", "https://shop.example/about/our-makers-and-where-they-work"},
	}
	queries = []string{"wool sweater", "rain jacket men", "boots size 43", "cast iron", "gift for dad", "tent 2 person", "headphones", "linen trousers", "desk lamp", "ürün", "blue \"midnight\" shirt"}
	firsts  = []string{"Anna", "Ben", "Chiara", "David", "Emma", "Finn", "Grace", "Haruto", "Inès", "Jakub", "Klara", "Luís"}
	lasts   = []string{"Smith", "Müller", "Dubois", "Tanaka", "Kowalska", "Silva", "Jansen", "Lindqvist", "O'Brien", "Rossi"}
	streets = []string{"Mill Lane", "Hauptstraße", "Rue des Lilas", "Kungsgatan", "Harbour Road", "Rua das Flores"}
	reviews = []string{
		"Fits as described and arrived two days early. Would buy it again without thinking twice.",
		"Good quality for the price, though the colour is a little darker than in the pictures.",
		"Broke after three weeks of careful use; the shop replaced it without asking questions.",
	}
	notes   = []string{"Parcel was damaged by the carrier, photos are attached to the ticket.", "Customer changed their mind within the period, item is back in stock.", "Wrong size was packed; apology and voucher sent with the replacement."}
	filters = [][]string{{"category:shoes", "size:43"}, {"brand:kestrel"}, {"in_stock:true", "price:0-50", "colour:blue"}}
	coupons = []string{"WELCOME10", "AUTUMN15", "FRIENDS20"}
	builds  = []string{"2026.11.3+b4711", "2026.11.2+b4698"}
)

func makeProducts(r *rand.Rand) []product {
	ps := make([]product, numProducts)
	for i := range ps {
		at := r.IntN(100)
		c := 0
		for at >= categories[c].share {
			at -= categories[c].share
			c++
		}
		cat := &categories[c]
		brand, noun := pick(r, brands), pick(r, cat.nouns)
		colour, size := pick(r, colours), pick(r, sizes)
		p := product{
			id:       fmt.Sprintf("P-%05d", i+1),
			sku:      fmt.Sprintf("%s-%05d-%s-%s", strings.ToUpper(cat.name[:3]), i+1, strings.ToUpper(colour[:3]), size[:1]),
			name:     fmt.Sprintf("%s %s %s, %s, %s", brand, pick(r, adverbs), noun, colour, size),
			brand:    brand,
			category: cat.name,
			// Low prices are the more frequent ones; all end in 90 or 95.
			cents:  int64(float64(cat.low)*math.Pow(float64(cat.high)/float64(cat.low), r.Float64()*r.Float64()))/100*100 + 90 + 5*int64(r.IntN(2)),
			rating: float64(25+r.IntN(26)) / 10,
		}
		slug := strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(noun, " ", "-"), "'", ""), ",", ""))
		p.url = fmt.Sprintf("https://shop.example/p/%s/%s-%05d", cat.name, slug, i+1)
		p.image = fmt.Sprintf("https://img.shop.example/p/%05d/main.webp", i+1)
		if r.IntN(3) == 0 {
			var vals []value
			for _, t := range pick(r, tagLists) {
				vals = append(vals, strVal(t))
			}
			p.tags, p.tagged = listVal(vals), true
		}
		ps[i] = p
	}
	return ps
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// weighted draws an index by weight, from a table made once.
type weighted []uint8

func newWeighted(n int, weight func(int) int) weighted {
	var w weighted
	for i := range n {
		for range weight(i) {
			w = append(w, uint8(i))
		}
	}
	return w
}

func (w weighted) draw(r *rand.Rand) int { return int(w[r.IntN(len(w))]) }

// price converts euro cents into the country's currency, yen to whole ones.
func (c *country) price(cents int64) int64 {
	p := int64(float64(cents)*c.factor + 0.5)
	if c.currency == "JPY" {
		p = p / 1000 * 1000 // whole tens of yen, as shops there mark them
		return max(p, 1000)
	}
	return p
}

func postalCode(r *rand.Rand, form string) string {
	b := []byte(form)
	for i, c := range b {
		switch c {
		case '#':
			b[i] = '0' + byte(r.IntN(10))
		case 'A':
			b[i] = 'A' + byte(r.IntN(26))
		}
	}
	return string(b)
}
