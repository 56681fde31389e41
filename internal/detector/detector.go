// SPDX-License-Identifier: Apache-2.0

// Package detector finds personal data in text: in one pass, whatever the number of detectors, and without memory where it
// finds none.
//
// A text is cut into words, and each word, while it is read, gathers what bytes it is made of. Only a word that can be
// something (a digit among its letters, an '@' after it, the beginning of a known token) is looked at by the detectors
// that it can concern, and what has check digits is held against them. What is left open by a value alone, such as a bare
// run of ten digits, is decided by what stands around it and by the key of the text (see Hint).
package detector

// Class is a class of personal data. Schemas name them by x-pii too, and there may name any other.
type Class string

// The classes that are found by value.
const (
	Email        Class = "email"
	Phone        Class = "phone"
	PaymentCard  Class = "payment_card"
	IBAN         Class = "iban"
	NationalID   Class = "national_id"
	IPAddress    Class = "ip_address"
	MACAddress   Class = "mac_address"
	Secret       Class = "secret"   // JWTs, API keys and tokens, private keys
	Password     Class = "password" // of a URL's userinfo
	Coordinates  Class = "coordinates"
	BirthDate    Class = "birth_date"
	CryptoWallet Class = "crypto_wallet"
)

// Classes are all that are found by value, in the order of Hint's bits.
var Classes = [...]Class{
	Email, Phone, PaymentCard, IBAN, NationalID, IPAddress, MACAddress, Secret, Password, Coordinates, BirthDate, CryptoWallet,
}

// Finding is a piece of a text.
type Finding struct {
	Start, End int    // bytes [Start, End) of the text; on UTF-8 boundaries where the text is valid UTF-8
	Class      Class  // what it is
	Rule       string // which detector found it, such as "email", "national_id_de", or a custom one's name; of few values
}

// Config says what to look for.
type Config struct {
	// Classes are what to look for; nil is all.
	Classes []Class
	// Custom are the user's own detectors.
	Custom []Custom
	// Skip returns the length of what text begins with and is masked already, or 0: it is passed over. May be nil. It is called
	// at the beginnings of words only that have an '_' among their first three bytes.
	Skip func(text string) int
}

// Custom is a detector of the user's: RE2, matched against the text as a whole. Where the expression has a group
// named "value", that is what is found, else all of the match.
type Custom struct {
	Name    string // the Rule of its findings
	Class   Class
	Pattern string
	// Keywords, where there are any, must one of them stand in the text or its key, whatever its case, for the pattern to be
	// tried. They keep it from being run over every text.
	Keywords []string
}
