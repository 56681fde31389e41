// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"time"
)

// Events are written as OTLP protobuf in place: filling a log for a benchmark should cost less than the benchmark. A test reads the
// bytes with pdata.

const (
	wireVarint = 0
	wireFixed8 = 1
	wireBytes  = 2

	// Field numbers of LogRecord.
	fieldTime       = 1
	fieldAttributes = 6
	fieldEventName  = 12
)

// ClosingName is the EventName of what Closing returns.
const ClosingName = "closing"

// ID is the log.record.uid of an event.
func ID(seed uint64, number int64) string { return string(appendID(nil, seed, number)) }

func appendID(dst []byte, seed uint64, number int64) []byte {
	dst = append(dst, "nexmark-"...)
	dst = strconv.AppendUint(dst, seed, 10)
	dst = append(dst, '-')
	return strconv.AppendInt(dst, number, 10)
}

// Closing is a request of n events at one time, of as many users, so that each partition of a log gets some: windows and
// sessions that are open before that time close. They are no events of the benchmark.
func Closing(seed uint64, at time.Time, n int) []byte {
	var records, r []byte
	for i := range n {
		user := "closing-" + strconv.Itoa(i)
		r = appendTime(r[:0], at.UnixNano())
		r = appendText(r, "log.record.uid", "nexmark-"+strconv.FormatUint(seed, 10)+"-"+strconv.FormatInt(at.UnixNano(), 10)+"-"+user)
		r = appendText(r, "user.id", user)
		r = appendBytes(r, fieldEventName, ClosingName)
		records = appendBytes(records, 2, r)
	}
	return requestOf(records)
}

// resource and scope of all events: fields of ResourceLogs and of ScopeLogs.
var (
	resource = appendBytes(nil, 1, appendKeyValue(nil, 1, "service.name", "auctions"))
	scope    = appendBytes(nil, 1, appendBytes(nil, 1, "nexmark"))
)

// requestOf makes a request of records, each with its tag and length.
func requestOf(records []byte) []byte {
	scopeLogs := len(scope) + len(records)
	resourceLogs := len(resource) + sizeBytes(scopeLogs)
	dst := make([]byte, 0, sizeBytes(resourceLogs))
	dst = appendHead(dst, 1, resourceLogs)
	dst = append(dst, resource...)
	dst = appendHead(dst, 2, scopeLogs)
	dst = append(dst, scope...)
	return append(dst, records...)
}

// appendRecord appends the event as a LogRecord.
func appendRecord(dst []byte, seed uint64, e *Event) []byte {
	var buf [64]byte
	dst = appendTime(dst, e.Time)
	dst = appendText(dst, "log.record.uid", appendID(buf[:0], seed, e.Number))
	dst = appendText(dst, "user.id", strconv.AppendInt(buf[:0], e.User(), 10))
	switch e.Kind {
	case Person:
		dst = appendInt(dst, "id", e.ID)
		dst = appendText(dst, "name", e.Name)
		dst = appendText(dst, "email_address", e.EmailAddress)
		dst = appendText(dst, "credit_card", e.CreditCard)
		dst = appendText(dst, "city", e.City)
		dst = appendText(dst, "state", e.State)
	case Auction:
		dst = appendInt(dst, "id", e.ID)
		dst = appendText(dst, "item_name", e.ItemName)
		dst = appendText(dst, "description", e.Description)
		dst = appendInt(dst, "initial_bid", e.InitialBid)
		dst = appendInt(dst, "reserve", e.Reserve)
		dst = appendInt(dst, "expires", e.Expires)
		dst = appendInt(dst, "seller", e.Seller)
		dst = appendInt(dst, "category", e.Category)
	default:
		dst = appendInt(dst, "auction", e.Auction)
		dst = appendInt(dst, "bidder", e.Bidder)
		dst = appendInt(dst, "price", e.Price)
		dst = appendText(dst, "channel", e.Channel)
		dst = appendText(dst, "url", e.URL)
	}
	if e.Extra != "" {
		dst = appendText(dst, "extra", e.Extra)
	}
	return appendBytes(dst, fieldEventName, e.Kind.String())
}

func sizeVarint(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

// sizeBytes is the size of a length-delimited field with n bytes.
func sizeBytes(n int) int { return 1 + sizeVarint(uint64(n)) + n }

// appendHead appends a length-delimited field's tag and length. Fields are below 16.
func appendHead(dst []byte, field byte, n int) []byte {
	return binary.AppendUvarint(append(dst, field<<3|wireBytes), uint64(n))
}

func appendBytes[T string | []byte](dst []byte, field byte, b T) []byte {
	return append(appendHead(dst, field, len(b)), b...)
}

func appendTime(dst []byte, t int64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, fieldTime<<3|wireFixed8), uint64(t))
}

// appendKeyValue appends a KeyValue with a text.
func appendKeyValue[T string | []byte](dst []byte, field byte, key string, text T) []byte {
	value := sizeBytes(len(text))
	dst = appendHead(dst, field, sizeBytes(len(key))+sizeBytes(value))
	dst = appendBytes(dst, 1, key)
	dst = appendHead(dst, 2, value)
	return appendBytes(dst, 1, text)
}

func appendText[T string | []byte](dst []byte, key string, text T) []byte {
	return appendKeyValue(dst, fieldAttributes, key, text)
}

func appendInt(dst []byte, key string, n int64) []byte {
	value := 1 + sizeVarint(uint64(n))
	dst = appendHead(dst, fieldAttributes, sizeBytes(len(key))+sizeBytes(value))
	dst = appendBytes(dst, 1, key)
	dst = appendHead(dst, 2, value)
	return binary.AppendUvarint(append(dst, 3<<3|wireVarint), uint64(n))
}
