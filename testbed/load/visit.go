// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/hex"
	"time"
)

// session is one visit: who, with what, and how far along.
type session struct {
	number   uint64
	due      float64 // when the next event happens, on the simulated clock
	user     uint32
	tenant   uint8
	path     Path
	traced   bool
	loggedIn bool
	next     name
	id       string
	userID   string
	anonID   string

	country, agent, campaign int
	experiment               string // "" where it is in none

	last    int // product looked at last
	cart    []item
	cartID  string
	orderID string
	total   int64 // of the last order, in hundredths of its currency
	coupon  string
	removed item
}

type item struct {
	product  int
	quantity int64
}

const (
	leave   = numNames
	maxCart = 6
)

// newSession begins a visit by a user drawn by Zipf's law. What belongs to the user follows from their number.
func (g *Generator) newSession() *session {
	var s *session
	if n := len(g.free); n > 0 {
		s = g.free[n-1]
		g.free = g.free[:n-1]
	} else {
		s = new(session)
	}
	r := g.rng
	g.sessions++
	user := uint32(g.users.Uint64())
	person := mix(g.cfg.Seed ^ mix(saltPerson+uint64(user)))
	number := uuid(g.cfg.Seed, saltSession, g.sessions)
	*s = session{
		number: g.sessions, user: user, cart: s.cart[:0],
		tenant:  g.tenantDraw[person%uint64(len(g.tenantDraw))],
		country: int(g.countryDraw[person>>16%uint64(len(g.countryDraw))]),
		agent:   g.agentDraw.draw(r), campaign: g.campaignDraw.draw(r),
		id: "s-" + hex.EncodeToString(number[:8]), anonID: g.anonymousID(user), userID: userID(user),
		traced: r.IntN(100) < 30, loggedIn: r.IntN(100) < 70,
	}
	p := r.Float64()
	for s.path < numPaths-1 && p >= g.pathBelow[s.path] {
		s.path++
	}
	if s.path == Segment {
		s.tenant = g.segment[s.tenant]
	}
	switch d := r.IntN(100); {
	case d < 7:
		s.experiment = "checkout-one-page"
	case d < 14:
		s.experiment = "checkout-control"
	}
	s.last = int(g.popular.Uint64())
	s.next = landing.draw(r.Float64())
	return s
}

func (g *Generator) anonymousID(user uint32) string {
	return uuid(g.cfg.Seed, saltAnonymous, uint64(user)).String()
}

// way is a choice of next steps with cumulated chances; what is left over leaves.
type way []struct {
	to    name
	below float64
}

func (w way) draw(p float64) name {
	for _, c := range w {
		if p < c.below {
			return c.to
		}
	}
	return leave
}

// The funnel: where a visit begins, and where each event leads. Of those who see a product about a fifth put
// one into the cart, and of those about a quarter buy.
var (
	landing = way{{pageViewed, 0.42}, {productsSearched, 0.58}, {productViewed, 1}}
	ways    = [numNames]way{
		pageViewed:       {{productViewed, 0.48}, {pageViewed, 0.62}, {productsSearched, 0.76}},
		productsSearched: {{productViewed, 0.66}, {productsSearched, 0.80}},
		productViewed:    {{productViewed, 0.40}, {productAdded, 0.56}, {productsSearched, 0.66}, {pageViewed, 0.70}, {productReviewed, 0.705}},
		productAdded:     {{cartViewed, 0.42}, {productViewed, 0.74}, {productRemoved, 0.79}},
		productRemoved:   {{cartViewed, 0.30}, {productViewed, 0.65}},
		cartViewed:       {{checkoutStarted, 0.48}, {productViewed, 0.66}, {productRemoved, 0.73}},
		checkoutStarted:  {{orderCompleted, 0.62}, {signedUp, 0.70}, {cartViewed, 0.76}},
		signedUp:         {{orderCompleted, 0.85}},
		orderCompleted:   {{orderRefunded, 0.05}, {pageViewed, 0.20}, {productReviewed, 0.22}},
		orderRefunded:    {},
		productReviewed:  {{productViewed, 0.4}},
	}
	// gaps are the mean times before an event, in nanoseconds; the distribution is exponential.
	gaps = [numNames]float64{
		pageViewed: 25e9, productsSearched: 20e9, productViewed: 35e9, productAdded: 40e9, productRemoved: 15e9,
		cartViewed: 12e9, checkoutStarted: 30e9, orderCompleted: 75e9, orderRefunded: 600e9, signedUp: 45e9,
		productReviewed: 90e9,
	}
)

const maxGap = float64(25 * time.Minute) // below the half hour after which a visit counts as another

func (g *Generator) gap(to name) float64 {
	return min(0.8e9+g.rng.ExpFloat64()*gaps[to], maxGap)
}

// move chooses what the visitor does after the event they just made, and carries out what that means for the
// cart and the account.
func (g *Generator) move(s *session) name {
	next := ways[s.next].draw(g.rng.Float64())
	if next == signedUp && g.signedUp[s.user] {
		next = orderCompleted
	}
	switch next {
	case productAdded:
		if len(s.cart) >= maxCart {
			next = cartViewed
		}
	case productRemoved, cartViewed, checkoutStarted, orderCompleted:
		if len(s.cart) == 0 {
			next = productViewed
		}
	}
	switch next {
	case productViewed:
		s.last = int(g.popular.Uint64())
	case productAdded:
		if s.cartID == "" {
			s.cartID = uuid(g.cfg.Seed, saltCart, uint64(g.made)).String()
		}
		quantity := int64(1)
		if g.rng.IntN(5) == 0 {
			quantity += int64(g.rng.IntN(3))
		}
		s.cart = append(s.cart, item{s.last, quantity})
	case productRemoved:
		s.removed = s.cart[len(s.cart)-1]
		s.cart = s.cart[:len(s.cart)-1]
	case orderCompleted:
		s.orderID = uuid(g.cfg.Seed, saltOrder, uint64(g.made)).String()
	case signedUp:
		g.signedUp[s.user], s.loggedIn = true, true
	}
	return next
}
