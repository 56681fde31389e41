// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// Kind of an event.
type Kind uint8

// The kinds.
const (
	Person Kind = iota
	Auction
	Bid
)

// String is the EventName.
func (k Kind) String() string { return [...]string{"person", "auction", "bid"}[k] }

// The published proportions: of 50 events, in this order.
const (
	persons  = 1
	auctions = 3
	cycle    = 50
	stride   = 953 // of the permutation within a group
)

// The published numbers.
const (
	firstID         = 1000 // of persons and of auctions
	firstCategory   = 10
	numCategories   = 5
	lead            = 10  // how far ahead of what exists an ID may be
	hotEvery        = 100 // one auction, one seller and one bidder in so many are hot
	hotChannels     = 4
	numChannels     = 10_000
	avgPersonBytes  = 200
	avgAuctionBytes = 500
	avgBidBytes     = 100
)

// Event is one of an auction house. Which fields it has depends on its Kind.
type Event struct {
	Number int64 // from 0; content follows from it and the seed
	Kind   Kind
	Time   int64 // Unix nanoseconds, in whole milliseconds

	ID int64 // of the person or the auction

	// A person's.
	Name, EmailAddress, CreditCard, City, State string

	// An auction's.
	ItemName, Description        string
	InitialBid, Reserve, Expires int64 // Expires in Unix milliseconds
	Seller, Category             int64

	// A bid's.
	Auction, Bidder, Price int64
	Channel, URL           string

	Extra string // fills the event up to the published size
}

// User is who did it: the bidder, the seller or the person.
func (e *Event) User() int64 {
	switch e.Kind {
	case Bid:
		return e.Bidder
	case Auction:
		return e.Seller
	default:
		return e.ID
	}
}

// lastPerson is the number, from 0, of the youngest person at an event.
func lastPerson(number int64) int64 { return number / cycle }

// lastAuction is the number, from 0, of the youngest auction at an event: -1 before the first.
func lastAuction(number int64) int64 {
	of := number % cycle
	return number/cycle*auctions + min(of-persons, auctions-1)
}

func kindOf(number int64) Kind {
	switch of := number % cycle; {
	case of < persons:
		return Person
	case of < persons+auctions:
		return Auction
	default:
		return Bid
	}
}

// maker makes events by their number. One goroutine.
type maker struct {
	cfg   Config
	step  float64 // between two events, in nanoseconds
	start int64   // Unix nanoseconds
	pcg   *rand.PCG
	rng   *rand.Rand
	text  []byte
	event Event
}

func newMaker(cfg Config) *maker {
	m := &maker{cfg: cfg, step: 1e9 / cfg.Rate, start: cfg.Start.UnixNano(), pcg: rand.NewPCG(0, 0)}
	m.rng = rand.New(m.pcg)
	return m
}

const millisecond = 1_000_000

// timeOf is when an event happens that keeps its place in the order of time.
func (m *maker) timeOf(number int64) int64 {
	return m.start + int64(float64(number)*m.step)/millisecond*millisecond
}

// shuffled is the event whose time this one takes.
func (m *maker) shuffled(number int64) int64 {
	n := m.cfg.OutOfOrderGroup
	return number/n*n + number*stride%n
}

// of returns the event, which is valid until the next call.
func (m *maker) of(number int64) *Event {
	m.pcg.Seed(m.cfg.Seed, mix(uint64(number)))
	m.event = Event{Number: number, Kind: kindOf(number), Time: m.timeOf(m.shuffled(number))}
	e := &m.event
	switch e.Kind {
	case Person:
		m.person(e)
	case Auction:
		m.auction(e)
	default:
		m.bid(e)
	}
	return e
}

func (m *maker) person(e *Event) {
	e.ID = lastPerson(e.Number) + firstID
	e.Name = pick(m.rng, firstNames) + " " + pick(m.rng, lastNames)
	e.EmailAddress = m.word(7) + "@" + m.word(5) + ".example"
	e.CreditCard = m.digits() + " " + m.digits() + " " + m.digits() + " " + m.digits()
	place := pick(m.rng, places)
	e.City, e.State = place[0], place[1]
	e.Extra = m.fill(8+len(e.Name)+len(e.EmailAddress)+len(e.CreditCard)+len(e.City)+len(e.State), avgPersonBytes)
}

func (m *maker) auction(e *Event) {
	e.ID = lastAuction(e.Number) + firstID
	if m.rng.IntN(m.cfg.HotSellerRatio) > 0 {
		e.Seller = lastPerson(e.Number)/hotEvery*hotEvery + firstID
	} else {
		e.Seller = m.somePerson(e.Number)
	}
	e.Category = firstCategory + m.rng.Int64N(numCategories)
	e.InitialBid = m.price()
	// As long, on average, as the auctions in flight take to appear.
	horizon := (m.timeOf(m.shuffled(e.Number)+m.cfg.InFlightAuctions*cycle/auctions) - e.Time) / millisecond
	e.Expires = e.Time/millisecond + 1 + m.rng.Int64N(max(2*horizon, 1))
	e.ItemName = m.word(20)
	e.Description = m.word(100)
	e.Reserve = e.InitialBid + m.price()
	e.Extra = m.fill(48+len(e.ItemName)+len(e.Description), avgAuctionBytes)
}

func (m *maker) bid(e *Event) {
	if m.rng.IntN(m.cfg.HotAuctionRatio) > 0 {
		e.Auction = lastAuction(e.Number)/hotEvery*hotEvery + firstID
	} else {
		last := lastAuction(e.Number)
		oldest := max(last-m.cfg.InFlightAuctions, 0)
		e.Auction = oldest + m.rng.Int64N(last-oldest+1+lead) + firstID
	}
	if m.rng.IntN(m.cfg.HotBidderRatio) > 0 {
		// The second of its hundred: the first is the hot seller.
		e.Bidder = lastPerson(e.Number)/hotEvery*hotEvery + 1 + firstID
	} else {
		e.Bidder = m.somePerson(e.Number)
	}
	e.Price = m.price()
	if m.rng.IntN(2) > 0 {
		at := m.rng.IntN(hotChannels)
		e.Channel, e.URL = hotChannelNames[at], pageOf(mix(m.cfg.Seed)+uint64(at))
	} else {
		at := m.rng.IntN(numChannels)
		e.Channel = "channel-" + strconv.Itoa(at)
		e.URL = pageOf(mix(m.cfg.Seed+hotChannels) + uint64(at))
		if at%10 > 0 { // nine of ten have an ID of their own
			e.URL += "&channel_id=" + strconv.FormatUint(mix(uint64(at))>>33, 10)
		}
	}
	e.Extra = m.fill(32+len(e.Channel)+len(e.URL), avgBidBytes)
}

// somePerson is one of the active ones, or of those who register next.
func (m *maker) somePerson(number int64) int64 {
	people := lastPerson(number) + 1
	active := min(people, m.cfg.ActivePeople)
	return people - active + m.rng.Int64N(active+lead) + firstID
}

func (m *maker) price() int64 { return int64(math.Round(math.Pow(10, m.rng.Float64()*6) * 100)) }

func (m *maker) digits() string {
	n := strconv.Itoa(m.rng.IntN(10_000))
	return "0000"[len(n):] + n
}

// word is of three to most-1 small letters.
func (m *maker) word(most int) string { return m.letters(3 + m.rng.IntN(most-3)) }

// fill returns what an event of that size lacks, give or take a fifth.
func (m *maker) fill(size, average int) string {
	if size >= average {
		return ""
	}
	size = average - size
	spread := (size + 2) / 5
	n := size - spread
	if spread > 0 {
		n += m.rng.IntN(2 * spread)
	}
	return m.letters(n)
}

func (m *maker) letters(n int) string {
	m.text = m.text[:0]
	for len(m.text) < n {
		// Twelve letters of one draw: 26^12 is less than 2^57.
		for bits, k := m.rng.Uint64(), 0; k < 12 && len(m.text) < n; k++ {
			m.text = append(m.text, 'a'+byte(bits%26))
			bits /= 26
		}
	}
	return string(m.text)
}

// pageOf is the address of an item; the same for the same number.
func pageOf(number uint64) string {
	var b [64]byte
	out := append(b[:0], "https://auctions.example/"...)
	bits := mix(number)
	for range 3 {
		for range 3 {
			out = append(out, 'a'+byte(bits%26))
			bits /= 26
		}
		out = append(out, '/')
	}
	return string(append(out, "item.htm?query=1"...))
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// mix spreads a number over all bits (the finalizer of SplitMix64, by Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

var (
	firstNames = []string{"Ada", "Bruno", "Carla", "Dev", "Elif", "Femi", "Greta", "Hugo", "Iris", "Jonas", "Keiko"}
	lastNames  = []string{"Abel", "Brandt", "Costa", "Duarte", "Eriksen", "Fischer", "Gupta", "Haddad", "Ito"}
	// Q3 asks for Oregon, Idaho and California.
	places = [][2]string{
		{"Tucson", "AZ"}, {"Oakland", "CA"}, {"San Diego", "CA"}, {"Nampa", "ID"}, {"Eugene", "OR"},
		{"Salem", "OR"}, {"Tacoma", "WA"}, {"Spokane", "WA"}, {"Yakima", "WA"}, {"Laramie", "WY"},
	}
	hotChannelNames = [hotChannels]string{"search", "social", "newsletter", "affiliate"}
)
