// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// describe writes the event's properties, as the schemas in configs/schemas declare them.
func (g *Generator) describe(e *simEvent, s *session) {
	c := &countries[s.country]
	switch e.name {
	case pageViewed:
		p := &pages[g.rng.IntN(len(pages))]
		e.put(keyPageURL, strVal(p.url))
		e.put(keyPageTitle, strVal(p.title))
		e.put(keyLoadMS, doubleVal(math.Round(200+g.rng.ExpFloat64()*4000)/10))
		e.put(keyScreenWidth, intVal(userAgents[s.agent].width))
	case productsSearched:
		g.describeSearch(e)
	case productViewed:
		p := &g.products[s.last]
		e.put(keyPageURL, strVal(p.url))
		g.putProduct(e, c, p)
		e.put(keyImageURL, strVal(p.image))
		e.put(keyPosition, intVal(int64(g.rng.IntN(48))))
		e.put(keyInStock, boolVal(g.rng.IntN(20) > 0))
		e.put(keyRating, doubleVal(p.rating))
		if p.tagged {
			e.put(keyTags, p.tags)
		}
	case productAdded:
		it := s.cart[len(s.cart)-1]
		p := &g.products[it.product]
		e.put(keyPageURL, strVal(p.url))
		e.put(keyCart, strVal(s.cartID))
		g.putProduct(e, c, p)
		e.put(keyImageURL, strVal(p.image))
		e.put(keyQuantity, intVal(it.quantity))
	case productRemoved:
		p := &g.products[s.removed.product]
		e.put(keyPageURL, strVal("https://shop.example/cart?step=review&from=product-page"))
		e.put(keyCart, strVal(s.cartID))
		g.putProduct(e, c, p)
		e.put(keyQuantity, intVal(s.removed.quantity))
	case cartViewed, checkoutStarted:
		g.describeCart(e, s, c)
	case orderCompleted:
		g.describeOrder(e, s, c)
	case orderRefunded:
		g.describeRefund(e, s, c)
		return // from the back office: no page, no device
	case signedUp:
		g.describeSignUp(e, s, c)
	case productReviewed:
		p := &g.products[s.last]
		e.put(keyPageURL, strVal(p.url))
		e.put(keyReview, strVal(uuid(g.cfg.Seed, saltReview, uint64(g.made)).String()))
		e.put(keyProduct, strVal(p.id))
		e.put(keyName, strVal(p.name))
		e.put(keyBrand, strVal(p.brand))
		e.put(keyCategory, strVal(p.category))
		text := g.rng.IntN(len(reviews))
		e.put(keyStars, intVal(int64(5-2*text+g.rng.IntN(2)*text%2)))
		e.put(keyReviewText, strVal(reviews[text]))
		e.put(keyVerified, boolVal(s.orderID != ""))
	}
	g.putVisit(e, s, c)
}

// putVisit adds what all events of a visit have in common.
func (g *Generator) putVisit(e *simEvent, s *session, c *country) {
	agent, campaign := &userAgents[s.agent], &campaigns[s.campaign]
	if campaign.referrer != "" {
		e.put(keyReferrer, strVal(campaign.referrer))
	}
	if campaign.source != "" {
		e.put(keyUTMSource, strVal(campaign.source))
		e.put(keyUTMMedium, strVal(campaign.medium))
		e.put(keyUTMCampaign, strVal(campaign.campaign))
	}
	e.put(keyUserAgent, strVal(agent.text))
	e.put(keyDevice, strVal(agent.device))
	e.put(keyOS, strVal(agent.os))
	e.put(keyLocale, strVal(c.locale))
	e.put(keyCountry, strVal(c.code))
	if s.experiment != "" {
		e.put(keyExperiment, strVal(s.experiment))
		e.put(keyAppBuild, strVal(builds[s.number%uint64(len(builds))]))
	}
}

func (g *Generator) putProduct(e *simEvent, c *country, p *product) {
	e.put(keyProduct, strVal(p.id))
	e.put(keySKU, strVal(p.sku))
	e.put(keyName, strVal(p.name))
	e.put(keyBrand, strVal(p.brand))
	e.put(keyCategory, strVal(p.category))
	e.put(keyPrice, moneyVal(c.price(p.cents)))
	e.put(keyCurrency, strVal(c.currency))
}

func (g *Generator) describeSearch(e *simEvent) {
	q := g.rng.IntN(len(queries))
	e.put(keyPageURL, strVal(searchURLs[q]))
	e.put(keyQuery, strVal(queries[q]))
	e.put(keyResults, intVal(int64(g.rng.IntN(180))))
	e.put(keySort, strVal(sortOrders[g.rng.IntN(len(sortOrders))]))
	if g.rng.IntN(3) == 0 {
		e.put(keyFilters, filterVals[g.rng.IntN(len(filterVals))])
	}
	e.put(keyTookMS, doubleVal(math.Round(30+g.rng.ExpFloat64()*400)/10))
}

func (g *Generator) describeCart(e *simEvent, s *session, c *country) {
	products, count, worth := g.cartContents(s, c, false)
	url := "https://shop.example/cart?step=review&from=mini-cart"
	if e.name == checkoutStarted {
		url = "https://shop.example/checkout?step=address&guest=1"
	}
	e.put(keyPageURL, strVal(url))
	e.put(keyCart, strVal(s.cartID))
	e.put(keyProducts, products)
	e.put(keyItemCount, intVal(count))
	e.put(keyCartValue, moneyVal(worth))
	e.put(keyCurrency, strVal(c.currency))
	if e.name == checkoutStarted {
		if s.coupon == "" && g.rng.IntN(5) == 0 {
			s.coupon = pick(g.rng, coupons)
		}
		if s.coupon != "" {
			e.put(keyCoupon, strVal(s.coupon))
		}
		e.put(keyShippingMethod, strVal(shippingMethods[g.rng.IntN(len(shippingMethods))]))
	}
}

// cartContents lists the cart, named in full where an order is made of it.
func (g *Generator) cartContents(s *session, c *country, named bool) (products value, count, worth int64) {
	elems := make([]value, len(s.cart))
	for i, it := range s.cart {
		p := &g.products[it.product]
		price := c.price(p.cents)
		// Sorted by name: see HashProperties.
		props := make([]prop, 0, 5)
		if named {
			props = append(props, prop{keyCategory, strVal(p.category)}, prop{keyName, strVal(p.name)})
		}
		elems[i] = objectVal(append(props, prop{keyPrice, moneyVal(price)},
			prop{keyProduct, strVal(p.id)}, prop{keyQuantity, intVal(it.quantity)}))
		count += it.quantity
		worth += price * it.quantity
	}
	return listVal(elems), count, worth
}

func (g *Generator) describeOrder(e *simEvent, s *session, c *country) {
	r := g.rng
	products, count, worth := g.cartContents(s, c, true)
	percent := int64(0)
	if s.coupon != "" {
		percent, _ = strconv.ParseInt(s.coupon[len(s.coupon)-2:], 10, 64)
	}
	shipping := int64(0)
	if worth < c.price(6000) {
		shipping = c.price(495)
	}
	total := worth - worth*percent/100 + shipping
	if c.currency == "JPY" {
		total = total / 100 * 100
	}
	s.total, e.total = total, total

	e.put(keyPageURL, strVal("https://shop.example/checkout/done?step=thank-you"))
	e.put(keyOrder, strVal(s.orderID))
	e.put(keyCart, strVal(s.cartID))
	e.put(keyProducts, products)
	e.put(keyItemCount, intVal(count))
	e.put(keyTotal, moneyVal(total))
	e.put(keyTax, moneyVal(total*19/119))
	e.put(keyShipping, moneyVal(shipping))
	e.put(keyCurrency, strVal(c.currency))
	if s.coupon != "" {
		e.put(keyCoupon, strVal(s.coupon))
		e.put(keyDiscountRate, doubleVal(float64(percent)/100))
	}
	e.put(keyPayment, strVal(payments[r.IntN(len(payments))]))
	e.put(keyShippingMethod, strVal(shippingMethods[r.IntN(len(shippingMethods))]))
	at := time.Unix(0, e.time).UTC()
	e.put(keyDeliveryDate, strVal(at.AddDate(0, 0, 2+r.IntN(4)).Format(time.DateOnly)))
	e.put(keyPlacedAt, strVal(at.Format(time.RFC3339Nano)))
	e.put(keyGift, boolVal(r.IntN(12) == 0))
	e.put(keyEmail, strVal(email(s.user)))
	e.put(keyShippingAddress, objectVal([]prop{
		{keyCity, strVal(pick(r, c.cities))}, {keyCountry, strVal(c.code)}, {keyName, strVal(g.personName(s.user))},
		{keyPhone, strVal(phone(c, s.user))}, {keyPostalCode, strVal(postalCode(r, c.postal))},
		{keyStreet, strVal(fmt.Sprintf("%s %d", pick(r, streets), 1+r.IntN(180)))},
	}))
	if s.loggedIn {
		e.put(keyLoyaltyPoints, intVal(total/1000))
	}
	s.cart, s.cartID, s.coupon = s.cart[:0], "", ""
}

func (g *Generator) describeRefund(e *simEvent, s *session, c *country) {
	full := g.rng.IntN(3) > 0
	amount := s.total
	if !full {
		amount = amount / 300 * 100
	}
	e.put(keyOrder, strVal(s.orderID))
	e.put(keyRefund, strVal(uuid(g.cfg.Seed, saltRefund, uint64(g.made)).String()))
	e.put(keyRefundAmount, moneyVal(amount))
	e.put(keyCurrency, strVal(c.currency))
	e.put(keyRefundReason, strVal(refundReasons[g.rng.IntN(len(refundReasons))]))
	e.put(keyFullRefund, boolVal(full))
	e.put(keyRequestedAt, strVal(time.Unix(0, e.time).Add(-90*time.Second).UTC().Format(time.RFC3339Nano)))
	e.put(keyAgentNote, strVal(pick(g.rng, notes)))
	e.put(keyCountry, strVal(c.code))
}

func (g *Generator) describeSignUp(e *simEvent, s *session, c *country) {
	e.put(keyPageURL, strVal("https://shop.example/account/new?next=%2Fcheckout"))
	e.put(keySignupMethod, strVal(signupMethods[g.rng.IntN(len(signupMethods))]))
	e.put(keyEmail, strVal(email(s.user)))
	e.put(keyFullName, strVal(g.personName(s.user)))
	e.put(keyPhone, strVal(phone(c, s.user)))
	if g.rng.IntN(2) == 0 {
		born := time.Date(1950+g.rng.IntN(55), time.Month(1+g.rng.IntN(12)), 1+g.rng.IntN(28), 0, 0, 0, 0, time.UTC)
		e.put(keyBirthDate, strVal(born.Format(time.DateOnly)))
	}
	e.put(keyMarketingOptIn, boolVal(g.rng.IntN(3) == 0))
}

// A user's personal data follow from their number.

func email(user uint32) string { return fmt.Sprintf("customer.%07d@mail.example", user) }

func (g *Generator) personName(user uint32) string {
	h := mix(g.cfg.Seed ^ mix(saltPerson+uint64(user)) ^ 1)
	return firsts[h%uint64(len(firsts))] + " " + lasts[h>>8%uint64(len(lasts))]
}

func phone(c *country, user uint32) string { return fmt.Sprintf("%s 555 %07d", c.dial, user) }

// Drawn with repetition, the frequent ones more than once.
var (
	sortOrders      = []string{"relevance", "relevance", "relevance", "price_asc", "price_asc", "price_desc", "newest", "rating"}
	shippingMethods = []string{"standard", "standard", "standard", "express", "pickup"}
	payments        = []string{"card", "card", "card", "card", "paypal", "paypal", "paypal", "invoice", "apple_pay", "apple_pay", "gift_card"}
	refundReasons   = []string{"changed_mind", "changed_mind", "not_as_described", "damaged", "wrong_item", "late"}
	signupMethods   = []string{"email", "email", "google", "apple"}

	searchURLs = func() (urls []string) {
		for _, q := range queries {
			urls = append(urls, "https://shop.example/search?source=header&q="+strings.ReplaceAll(strings.ReplaceAll(q, " ", "+"), `"`, "%22"))
		}
		return urls
	}()
	filterVals = func() (vals []value) {
		for _, f := range filters {
			var elems []value
			for _, s := range f {
				elems = append(elems, strVal(s))
			}
			vals = append(vals, listVal(elems))
		}
		return vals
	}()
)
