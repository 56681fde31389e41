// SPDX-License-Identifier: Apache-2.0

// Package masking carries out what becomes of a personal value: the actions.
//
// What an action makes is told from what it was made of by its form: pseudonyms begin with "pn_", tokens with "tk_", erasable tokens
// with "er_", followed by the ID of the key. So that what was masked at an agent is not masked again at a gateway, such a text is left
// as it is (see Masked).
package masking

import (
	"errors"

	"github.com/millrace/millrace/internal/subjectkey"
)

// Kind names an action.
type Kind string

// The actions.
const (
	Keep      Kind = "keep"      // the value stays
	Redact    Kind = "redact"    // a fixed text, "[CLASS]" by default
	Partial   Kind = "partial"   // some characters stay, the rest is '*'; separators stay
	Truncate  Kind = "truncate"  // less exact: an IP address's prefix, fewer decimals, a date's year or month, a text's beginning
	Pseudonym Kind = "pseudonym" // HMAC-SHA-256: the same value gives the same text, whatever the table
	FPE       Kind = "fpe"       // NIST FF1: of the same form and length, reversible by the key
	Token     Kind = "token"     // AES-SIV: the same value gives the same text within a tenant, reversible by the key
	Erasable  Kind = "erasable"  // encrypted by the key of the event's subject, and gone with it
	Bucket    Kind = "bucket"    // the range that a number lies in
	Drop      Kind = "drop"      // no value
)

// Spec is an action as it is configured. A field that its Kind does not use must be empty.
type Spec struct {
	Action      Kind   `mapstructure:"action"`
	Replacement string `mapstructure:"replacement"` // redact
	KeepFirst   int    `mapstructure:"keep_first"`  // partial, truncate: characters (letters and digits) that stay
	KeepLast    int    `mapstructure:"keep_last"`   // partial
	IPv4Prefix  int    `mapstructure:"ipv4_prefix"` // truncate: bits; 24 by default
	IPv6Prefix  int    `mapstructure:"ipv6_prefix"` // truncate: bits; 48 by default
	Decimals    *int   `mapstructure:"decimals"`    // truncate: of coordinates and numbers; 1 by default
	Date        string `mapstructure:"date"`        // truncate: year (the default) or month
	PerTenant   bool   `mapstructure:"per_tenant"`  // pseudonym: the same value is another one in another tenant
	// Bounds are a bucket's, rising; Width is the width of equal ones. One of them is given.
	Bounds []float64 `mapstructure:"bounds"`
	Width  float64   `mapstructure:"width"`
}

// Form is what the result must be, since a column of that type is to hold it.
type Form uint8

// The forms. Where an action cannot make the one that is asked for, it answers ErrDrop.
const (
	Any          Form = iota // of an undeclared value, or a piece of a text
	Text                     // text without a format of its own
	EmailAddress             // text that must be an e-mail address
	Date                     // "2006-01-02"
	DateTime                 // RFC 3339
	UUID                     // a pseudonym is a UUID of version 8; the key's ID has no room in it
	Digits                   // text of a decimal number
	Integer
	Number
	Other // bool, bytes, arrays…: nothing but ErrDrop and Keep
)

// ValueKind is the type of a Value.
type ValueKind uint8

// The kinds of values.
const (
	TextValue ValueKind = iota
	IntValue
	DoubleValue
)

// Value is a value before or after an action.
type Value struct {
	Kind   ValueKind
	Text   string
	Int    int64
	Double float64
}

// Target says of what and where the value is.
type Target struct {
	Tenant string
	Class  string // of personal data: a detector.Class, or what x-pii says
	Form   Form
	// Limit is the largest magnitude of an integer that the column can hold; 0 is an int64's.
	Limit uint64
	// Subject is the key of the person whose event it is; nil where the event names nobody: then Erasable redacts.
	Subject *subjectkey.Key
}

// Action masks values. Callable by any goroutine.
type Action interface {
	Kind() Kind
	// Mask returns what is to stand in place of v. ErrDrop says that the value is to be removed. After any other error, which
	// wraps ErrCannotMask and never holds the value, the event must not pass with the value.
	Mask(v Value, t *Target) (Value, error)
}

// Errors of Mask.
var (
	ErrDrop       = errors.New("the value is to be removed")
	ErrCannotMask = errors.New("the value cannot be masked")
)
