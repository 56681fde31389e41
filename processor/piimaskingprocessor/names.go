// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/detector"
)

// Classes that are found by schema and by name only.
const (
	classPers = "name"
	classAddr = "address"
	classPost = "postal_code"
)

// builtin are the keys whose values are personal wherever they stand, in the form that normalKey gives them. The last words of a
// key count: "customer_email" and "customer.email" are "email". A key that has other things too, such as "name" or "title",
// is not among them.
var builtin = map[string]string{
	"email": email, "e_mail": email, "mail": email, "email_address": email, "mail_address": email, "emailaddress": email, "correo": email,
	"courriel": email, "emails": email,
	"phone": phone, "phone_number": phone, "phonenumber": phone, "telephone": phone, "tel": phone, "mobile": phone, "mobile_number": phone,
	"mobile_phone": phone, "cell_phone": phone, "cellphone": phone, "fax": phone, "fax_number": phone, "msisdn": phone, "telefon": phone,
	"telefono": phone, "telefonnummer": phone, "handy": phone, "whatsapp": phone, "phones": phone,
	"first_name": classPers, "firstname": classPers, "last_name": classPers, "lastname": classPers, "full_name": classPers, "fullname": classPers,
	"surname": classPers, "family_name": classPers, "given_name": classPers, "givenname": classPers, "middle_name": classPers,
	"maiden_name": classPers, "customer_name": classPers, "user_name": classPers, "username": classPers, "contact_name": classPers,
	"cardholder": classPers, "cardholder_name": classPers, "card_holder": classPers, "account_holder": classPers, "recipient_name": classPers,
	"vorname": classPers, "nachname": classPers, "prenom": classPers, "apellido": classPers, "apellidos": classPers, "cognome": classPers,
	"street": classAddr, "street_address": classAddr, "address_line_1": classAddr, "address_line_2": classAddr, "address_line1": classAddr,
	"address_line2": classAddr, "postal_address": classAddr, "home_address": classAddr, "billing_address": classAddr,
	"shipping_address": classAddr, "delivery_address": classAddr, "house_number": classAddr, "strasse": classAddr, "street_line": classAddr,
	"postal_code": classPost, "postalcode": classPost, "zip": classPost, "zip_code": classPost, "zipcode": classPost, "postcode": classPost, "plz": classPost,
	"birth_date": birth, "birthdate": birth, "date_of_birth": birth, "dob": birth, "birthday": birth, "geburtsdatum": birth,
	"fecha_nacimiento": birth, "date_naissance": birth,
	"ssn": nationalID, "social_security_number": nationalID, "national_id": nationalID, "tax_id": nationalID, "tin": nationalID,
	"passport": nationalID, "passport_number": nationalID, "passport_no": nationalID, "driver_license": nationalID,
	"drivers_license": nationalID, "driving_licence": nationalID, "id_card_number": nationalID, "personnummer": nationalID, "cpf": nationalID,
	"dni": nationalID, "codice_fiscale": nationalID, "steuer_id": nationalID, "nino": nationalID, "aadhaar": nationalID,
	"card_number": card, "cardnumber": card, "credit_card": card, "credit_card_number": card, "creditcard": card, "cc_number": card, "pan": card,
	"cvv": card, "cvc": card, "cvv2": card,
	"iban": iban, "bank_account": iban, "bank_account_number": iban, "account_number": iban,
	"ip": ip, "ip_address": ip, "ipaddress": ip, "client_ip": ip, "remote_ip": ip, "remote_addr": ip, "user_ip": ip, "x_forwarded_for": ip,
	"client_address": ip, "source_address": ip, "peer_ip": ip,
	"mac": mac, "mac_address": mac,
	"password": password, "passwd": password, "pwd": password, "passphrase": password, "passwort": password, "contrasena": password,
	"new_password": password, "old_password": password,
	"secret": secret, "client_secret": secret, "token": secret, "access_token": secret, "refresh_token": secret, "id_token": secret,
	"auth_token": secret, "session_token": secret, "api_key": secret, "apikey": secret, "api_token": secret, "authorization": secret,
	"private_key": secret, "secret_key": secret, "cookie": secret, "set_cookie": secret, "otp": secret, "pin": secret, "bearer": secret,
	// Tokens of lists and forms, which are nobody's.
	"page_token": "", "next_token": "", "next_page_token": "", "continuation_token": "", "sync_token": "", "token_type": "",
	"latitude": geo, "longitude": geo, "lat": geo, "lng": geo, "lon": geo, "lat_lng": geo, "latlng": geo, "coordinates": geo, "geolocation": geo,
}

// Short for the table.
const (
	email      = string(detector.Email)
	phone      = string(detector.Phone)
	birth      = string(detector.BirthDate)
	nationalID = string(detector.NationalID)
	card       = string(detector.PaymentCard)
	iban       = string(detector.IBAN)
	ip         = string(detector.IPAddress)
	mac        = string(detector.MACAddress)
	password   = string(detector.Password)
	secret     = string(detector.Secret)
	geo        = string(detector.Coordinates)
)

// people are keys of objects that describe somebody, and ofPeople what is personal in them though it is not elsewhere: a product has a
// name too. Segment's identify describes somebody as a whole.
var (
	people = map[string]bool{
		"user": true, "customer": true, "person": true, "contact": true, "traits": true, "profile": true, "recipient": true, "sender": true, "patient": true,
		"member": true, "employee": true, "passenger": true, "guest": true, "driver": true, "payer": true, "cardholder": true, "beneficiary": true,
	}
	ofPeople = map[string]string{"name": classPers, "address": classAddr, "login": classPers, "nickname": classPers, "avatar": classPers, "born": birth}
)

const identify = "identify"

// coarse are the members of an object under a built-in name that many people share: what is left of an address for counting.
var coarse = map[string]bool{
	"city": true, "town": true, "country": true, "country_code": true, "region": true, "state": true, "province": true, "type": true, "kind": true,
	"label": true, "currency": true, "locale": true, "timezone": true,
}

// alone are built-in names that say something else as the last word of a longer key: "map_pin", "opt_in_mail".
var alone = map[string]bool{
	"pin": true, "pan": true, "tin": true, "otp": true, "mail": true, "tel": true, "handy": true, "secret": true, "cookie": true, "mac": true,
	"mobile": true, "passport": true, "correo": true, "lon": true, "lat": true,
}

// digital are the classes whose values may come as numbers: a number under another built-in name is a count or a flag.
var digital = map[string]bool{
	phone: true, birth: true, nationalID: true, card: true, iban: true, geo: true, password: true, secret: true, classPost: true,
}

// aliases are what schemas call classes by other names.
var aliases = map[string]string{
	"e_mail": email, "mail": email, "email_address": email, "telephone": phone, "mobile": phone, "phone_number": phone, "ip": ip, "ipv4": ip, "ipv6": ip,
	"credit_card": card, "card": card, "card_number": card, "dob": birth, "date_of_birth": birth, "birthdate": birth, "birthday": birth, "ssn": nationalID,
	"tax_id": nationalID, "geo": geo, "location": geo, "coordinate": geo, "zip": classPost, "postcode": classPost, "mac": mac, "token": secret,
	"api_key": secret, "bank_account": iban, "person_name": classPers, "full_name": classPers, "street": classAddr, "wallet": string(detector.CryptoWallet),
}

// classOf is the class that x-pii names.
func classOf(tag string) string {
	normal := normalKey(tag)
	if class, ok := aliases[normal]; ok {
		return class
	}
	if className.MatchString(normal) {
		return normal
	}
	return tag
}

// maxKey bounds how much of a key is compared: what is longer is no name.
const maxKey = 256

// normalKey writes a key in lower case with one '_' between its words: "customerEmail", "Customer-Email" and "customer email" are
// "customer_email". Dots between levels stay.
func normalKey(key string) string {
	if len(key) > maxKey {
		key = key[len(key)-maxKey:]
	}
	var b strings.Builder
	b.Grow(len(key) + 4)
	gap, lower := false, false // a separator is due; the rune before was a lower-case letter or a digit
	for i, r := range key {
		switch {
		case r == '.':
			b.WriteByte('.')
			gap, lower = false, false
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = b.Len() > 0
			lower = false
			continue
		}
		upper := unicode.IsUpper(r)
		if upper && (lower || i > 0 && b.Len() > 0 && nextIsLower(key[i+utf8.RuneLen(r):]) && !gap && isLetterBefore(key[:i])) {
			gap = true
		}
		if gap && b.Len() > 0 && !strings.HasSuffix(b.String(), ".") {
			b.WriteByte('_')
		}
		gap, lower = false, !upper
		b.WriteRune(foldRune(unicode.ToLower(r)))
	}
	return b.String()
}

func nextIsLower(rest string) bool {
	r, _ := utf8.DecodeRuneInString(rest)
	return unicode.IsLower(r)
}

func isLetterBefore(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsLetter(r)
}

// foldRune takes the accents off the letters of names in the table.
func foldRune(r rune) rune {
	switch r {
	case 'é', 'è', 'ê':
		return 'e'
	case 'ñ':
		return 'n'
	case 'á', 'à', 'ã':
		return 'a'
	case 'ó', 'ô', 'õ':
		return 'o'
	case 'ú', 'ü':
		return 'u'
	case 'í':
		return 'i'
	}
	return r
}

// builtinClass returns the class of a normal key by its last words, "" for none.
func builtinClass(normal string) string {
	if at := strings.LastIndexByte(normal, '.'); at >= 0 {
		// The last level alone; and with the one before it, so that client.address and source.address are found.
		if class := builtinClass(normal[at+1:]); class != "" {
			return class
		}
		before := normal[:at]
		if up := strings.LastIndexByte(before, '.'); up >= 0 {
			before = before[up+1:]
		}
		if people[before] {
			if class := ofPeople[normal[at+1:]]; class != "" {
				return class
			}
		}
		return builtin[before+"_"+normal[at+1:]]
	}
	for rest := normal; ; {
		if class, ok := builtin[rest]; ok && (len(rest) == len(normal) || !alone[rest]) {
			return class
		}
		at := strings.IndexByte(rest, '_')
		if at < 0 {
			return ""
		}
		rest = rest[at+1:]
	}
}

// pattern is a NameRule's key, or one to be ignored.
type pattern struct {
	text  string // as it was configured
	parts []string
	path  bool // has levels: matched against the whole path, else against a key alone
}

func newPattern(text string) pattern {
	p := pattern{text: text, path: strings.Contains(text, ".")}
	for part := range strings.SplitSeq(text, "*") {
		normal := normalKey(part)
		// What normalKey drops at the ends of a part matters beside a '*'.
		if strings.HasPrefix(part, "_") || strings.HasPrefix(part, "-") {
			normal = "_" + strings.TrimPrefix(normal, "_")
		}
		if strings.HasSuffix(part, "_") || strings.HasSuffix(part, "-") {
			normal += "_"
		}
		p.parts = append(p.parts, normal)
	}
	return p
}

// match compares a normal key or path, and what is left of a path without the first levels: a pattern holds at any depth.
func (p *pattern) match(normal string) bool {
	if !p.path {
		return p.glob(normal[strings.LastIndexByte(normal, '.')+1:]) || p.glob(normal)
	}
	for {
		if p.glob(normal) {
			return true
		}
		at := strings.IndexByte(normal, '.')
		if at < 0 {
			return false
		}
		normal = normal[at+1:]
	}
}

func (p *pattern) glob(s string) bool {
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if len(p.parts) == 1 {
		return s == first
	}
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	for _, middle := range p.parts[1 : len(p.parts)-1] {
		at := strings.Index(s, middle)
		if at < 0 {
			return false
		}
		s = s[at+len(middle):]
	}
	return strings.HasSuffix(s, last)
}
