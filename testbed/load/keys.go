// SPDX-License-Identifier: Apache-2.0

package load

import "github.com/millrace/millrace/internal/event"

// key is a property's name with its encodings, made once.
type key struct {
	name string
	otlp []byte // KeyValue's field 1
	json []byte // with the colon
}

func newKey(name string) *key {
	return &key{
		name: name,
		otlp: appendBytesField(nil, 1, name),
		json: append(event.AppendJSONString(nil, name), ':'),
	}
}

// What can be spoilt in a bad event, by key: see bad.go.
var (
	enumKeys   = map[*key]bool{keyDevice: true, keyCurrency: true, keyPayment: true, keySort: true, keyShippingMethod: true, keyRefundReason: true, keySignupMethod: true}
	formatKeys = map[*key]bool{keyCart: true, keyOrder: true, keyRefund: true, keyReview: true, keyEmail: true, keyDeliveryDate: true, keyPlacedAt: true, keyRequestedAt: true, keyBirthDate: true}
)

// Properties, as configs/schemas declares them.
var (
	keyPageURL     = newKey("page_url")
	keyReferrer    = newKey("referrer_url")
	keyUserAgent   = newKey("user_agent")
	keyDevice      = newKey("device_type")
	keyOS          = newKey("os")
	keyLocale      = newKey("locale")
	keyCountry     = newKey("country")
	keyUTMSource   = newKey("utm_source")
	keyUTMMedium   = newKey("utm_medium")
	keyUTMCampaign = newKey("utm_campaign")

	keyPageTitle   = newKey("page_title")
	keyLoadMS      = newKey("load_ms")
	keyScreenWidth = newKey("screen_width")

	keyQuery   = newKey("query")
	keyResults = newKey("results")
	keySort    = newKey("sort")
	keyFilters = newKey("filters")
	keyTookMS  = newKey("took_ms")

	keyProduct  = newKey("product_id")
	keySKU      = newKey("sku")
	keyName     = newKey("name")
	keyBrand    = newKey("brand")
	keyCategory = newKey("category")
	keyPrice    = newKey("price")
	keyCurrency = newKey("currency")
	keyImageURL = newKey("image_url")
	keyPosition = newKey("position")
	keyInStock  = newKey("in_stock")
	keyRating   = newKey("rating")
	keyTags     = newKey("tags")
	keyQuantity = newKey("quantity")

	keyCart           = newKey("cart_id")
	keyProducts       = newKey("products")
	keyItemCount      = newKey("item_count")
	keyCartValue      = newKey("cart_value")
	keyCoupon         = newKey("coupon")
	keyShippingMethod = newKey("shipping_method")

	keyOrder           = newKey("order_id")
	keyTotal           = newKey("total")
	keyTax             = newKey("tax")
	keyShipping        = newKey("shipping")
	keyDiscountRate    = newKey("discount_rate")
	keyPayment         = newKey("payment_method")
	keyDeliveryDate    = newKey("delivery_date")
	keyPlacedAt        = newKey("placed_at")
	keyGift            = newKey("gift")
	keyEmail           = newKey("email")
	keyShippingAddress = newKey("shipping_address")
	keyCity            = newKey("city")
	keyPhone           = newKey("phone")
	keyPostalCode      = newKey("postal_code")
	keyStreet          = newKey("street")
	keyLoyaltyPoints   = newKey("loyalty_points")

	keyRefund       = newKey("refund_id")
	keyRefundAmount = newKey("refund_amount")
	keyRefundReason = newKey("refund_reason")
	keyFullRefund   = newKey("full_refund")
	keyRequestedAt  = newKey("requested_at")
	keyAgentNote    = newKey("agent_note")

	keySignupMethod   = newKey("signup_method")
	keyFullName       = newKey("full_name")
	keyBirthDate      = newKey("birth_date")
	keyMarketingOptIn = newKey("marketing_opt_in")

	keyReview     = newKey("review_id")
	keyStars      = newKey("stars")
	keyReviewText = newKey("review_text")
	keyVerified   = newKey("verified_purchase")

	// Declared by no schema: they go to the properties column.
	keyExperiment = newKey("experiment")
	keyAppBuild   = newKey("app_build")
)

// name is an event's name: an index, so that an entry of the manifest stays small.
type name uint8

const (
	pageViewed name = iota
	productsSearched
	productViewed
	productAdded
	productRemoved
	cartViewed
	checkoutStarted
	orderCompleted
	orderRefunded
	signedUp
	productReviewed
	numNames
)

// eventNames holds the names; behind the declared ones stand those that no schema knows (see bad.go).
var eventNames = []string{
	"page_viewed", "products_searched", "product_viewed", "product_added", "product_removed", "cart_viewed",
	"checkout_started", "order_completed", "order_refunded", "signed_up", "product_reviewed",
	"product_veiwed", "newsletter_opened", "wishlist_shared",
}

// required lists what each event's schema requires; a test holds it against the schemas.
var required = [numNames][]*key{
	pageViewed:       {keyPageURL, keyDevice, keyCountry},
	productsSearched: {keyQuery, keyResults, keyDevice, keyCountry},
	productViewed:    {keyProduct, keyName, keyPrice, keyCurrency, keyDevice, keyCountry},
	productAdded:     {keyCart, keyProduct, keyPrice, keyCurrency, keyQuantity, keyDevice, keyCountry},
	productRemoved:   {keyCart, keyProduct, keyQuantity, keyDevice, keyCountry},
	cartViewed:       {keyCart, keyProducts, keyCartValue, keyCurrency, keyDevice, keyCountry},
	checkoutStarted:  {keyCart, keyProducts, keyCartValue, keyCurrency, keyDevice, keyCountry},
	orderCompleted:   {keyOrder, keyProducts, keyTotal, keyCurrency, keyPayment, keyDevice, keyCountry},
	orderRefunded:    {keyOrder, keyRefund, keyRefundAmount, keyCurrency, keyRefundReason, keyCountry},
	signedUp:         {keySignupMethod, keyEmail, keyDevice, keyCountry},
	productReviewed:  {keyReview, keyProduct, keyStars, keyDevice, keyCountry},
}
