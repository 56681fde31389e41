// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/publicsuffix"

	"github.com/millrace/millrace/internal/detector"
)

// Right says of something that was found in text, at [start, end), whether it is what it is held for: by parsers of the standard library
// and others' libraries, and by what stands around it. It knows nothing of the detectors. In doubt it is wrong.
func Right(class detector.Class, text string, start, end int) bool {
	value := text[start:end]
	before, after := text[max(0, start-60):start], text[end:min(len(text), end+60)]
	switch class {
	case detector.Email:
		return rightEmail(value, before, after)
	case detector.Phone:
		return rightPhone(value, before)
	case detector.IPAddress:
		return rightIP(value, before, after)
	case detector.MACAddress:
		_, err := net.ParseMAC(value)
		return err == nil && !moreHex.MatchString(after) && !strings.HasSuffix(before, ":")
	case detector.PaymentCard:
		return testCards[onlyDigits(value)] || cardWords.MatchString(before)
	case detector.IBAN:
		return strings.Contains(strings.ToLower(before+after), "iban")
	case detector.NationalID:
		return idWords.MatchString(before)
	case detector.Secret:
		return rightSecret(value, before)
	case detector.Password:
		return rightPassword(value, text, start, end)
	case detector.Coordinates:
		return placeWords.MatchString(before) || placeWords.MatchString(value)
	case detector.BirthDate:
		return birthWords.MatchString(before) || birthWords.MatchString(after)
	case detector.CryptoWallet:
		return rightWallet(value, before)
	}
	return false
}

var (
	cardWords     = regexp.MustCompile(`(?i)\b(credit ?card|card ?(number|no)|visa|mastercard|\bpan)\b`)
	idWords       = regexp.MustCompile(`(?i)(\bssn\b|social security|national id|passport|tax id|\bcpf\b|\bnif\b|\bdni\b|\bbsn\b|personnummer|pesel|\bsin\b)`)
	placeWords    = regexp.MustCompile(`(?i)(\blat|\blon|geo|gps|coord|location|°)`)
	birthWords    = regexp.MustCompile(`(?i)(born|birth|\bdob\b|\(b\. )`)
	phoneWords    = regexp.MustCompile(`(?i)(phone|\btel\b|tel:|\bfax|mobile|\bsms\b|\bcall\b|\bdial)`)
	versions      = regexp.MustCompile(`(?i)((version|release|windows( nt)?|macos|build|kernel|linux|oid|asn\.?1)\s*[:=]?\s*["'(\[]?|[a-z]/|\bv|[.\d_-])$`)
	sections      = regexp.MustCompile(`(?i)((^|\s)(//|;|#|§|\*)|\brfc ?\d+,?|\bsection(\s*//)?|\bchapter|\bsec\.)\s*$`)
	wallets       = regexp.MustCompile(`(?i)(wallet|bitcoin|\bbtc\b|ethereum|\beth\b|litecoin|address)`)
	tokens        = regexp.MustCompile(`^((AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,}|glpat-[\w-]{20}|xox[abprs]-[\w-]{10,}|[sr]k_(live|test)_\w{16,}|AIza[\w-]{35}|SG\.[\w-]{22}\.[\w-]{43}|npm_\w{36}|hf_\w{30,})$`)
	userinfo      = regexp.MustCompile(`://[^\s/]*$`) // what follows is the rest of a URL's userinfo
	moduleVersion = regexp.MustCompile(`^v\d+\.\d`)
	scheme        = regexp.MustCompile(`(?i)(bearer|basic)\s+$`)
	secretName    = regexp.MustCompile(`(?i)(secret|token|api_?-?key|access_?key|private_?key)\w*\\?["']?\s*[:=]\s*\\?["'\x60]?$`)
	passwordName  = regexp.MustCompile(`(?i)(password|passwd|passphrase)\w*(\\?["']\s*:|\s*=|:)\s*\\?["'\x60]$|(password|passwd)=$`)
	moreHex       = regexp.MustCompile(`^[:-][0-9a-fA-F]`)
	pemKey        = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)
)

// testCards are numbers that payment services document for tests.
var testCards = map[string]bool{
	"4111111111111111": true, "4242424242424242": true, "4012888888881881": true, "5555555555554444": true, "5105105105105100": true,
	"378282246310005": true, "371449635398431": true, "6011111111111117": true, "30569309025904": true, "3530111333300000": true,
}

func rightEmail(value, before, after string) bool {
	a, err := mail.ParseAddress(value)
	if err != nil || a.Address != value && value[0] != '"' { // a quoted name loses its quotes
		return false
	}
	if strings.HasPrefix(after, ":") && strings.HasPrefix(value, "git@") { // git@host:path
		return false
	}
	host := value[strings.LastIndexByte(value, '@')+1:]
	labels := strings.Split(host, ".")
	if len(labels) < 2 || userinfo.MatchString(before) || moduleVersion.MatchString(host) {
		return false
	}
	switch strings.ToLower(labels[len(labels)-1]) { // RFC 2606 and what networks use by themselves
	case "example", "test", "invalid", "localhost", "local", "internal", "corp", "lan":
		return true
	}
	_, icann := publicsuffix.PublicSuffix(strings.ToLower(host))
	return icann
}

func rightPhone(value, before string) bool {
	n, err := phonenumbers.Parse(value, "ZZ")
	if err == nil && phonenumbers.IsValidNumber(n) {
		return true
	}
	if !phoneWords.MatchString(before) {
		return false
	}
	for _, region := range []string{"US", "GB", "DE", "FR", "IN", "CN", "JP", "AU", "BR", "ES", "IT", "NL", "SE", "CH"} {
		if n, err := phonenumbers.Parse(value, region); err == nil && phonenumbers.IsPossibleNumber(n) {
			return true
		}
	}
	return false
}

func rightIP(value, before, after string) bool {
	address, _, _ := strings.Cut(value, "/")
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	if a.Is4() {
		if versions.MatchString(before) || len(after) > 1 && after[0] == '.' && after[1] >= '0' && after[1] <= '9' {
			return false
		}
		b := a.As4()
		return !sections.MatchString(before) || slices.Max(b[:]) >= 50 // 3.2.4.2 at the beginning of a comment is a chapter
	}
	return strings.ContainsAny(value, "0123456789") && strings.Count(value, ":") >= 2 || strings.Count(value, ":") >= 5
}

func rightSecret(value, before string) bool {
	if pemKey.MatchString(value) || pemKey.MatchString(before) || tokens.MatchString(value) {
		return true
	}
	if header, _, ok := strings.Cut(value, "."); ok { // a JWT's header is JSON
		raw, err := base64.RawURLEncoding.DecodeString(header)
		var read struct{ Alg string }
		if err == nil && json.Unmarshal(raw, &read) == nil && read.Alg != "" {
			return true
		}
	}
	return scheme.MatchString(before) || secretName.MatchString(before) && len(value) >= 12 && strings.ContainsAny(value, "0123456789")
}

func rightPassword(value, text string, start, end int) bool {
	if passwordName.MatchString(text[max(0, start-60):start]) {
		return true
	}
	from := strings.LastIndexAny(text[:start], " \t\n\"'`(<[,|=") + 1
	to := len(text)
	if i := strings.IndexAny(text[end:], " \t\n\"'`)>],|"); i >= 0 {
		to = end + i
	}
	u, err := url.Parse(text[from:to])
	if err != nil || u.User == nil {
		return false
	}
	password, ok := u.User.Password()
	unescaped, err := url.PathUnescape(value)
	return ok && err == nil && password == unescaped
}

func rightWallet(value, before string) bool {
	if rest, ok := strings.CutPrefix(value, "0x"); ok {
		raw, err := hex.DecodeString(rest)
		return err == nil && (eip55(raw) == value || wallets.MatchString(before))
	}
	if payload := fromBase58(value); len(payload) > 4 {
		return base58Check(payload[:len(payload)-4]) == value
	}
	return wallets.MatchString(before)
}

// fromBase58 is nil where there are other characters in it.
func fromBase58(text string) []byte {
	n := new(big.Int)
	zeros, leading := 0, true
	for _, c := range text {
		d := strings.IndexRune(base58, c)
		if d < 0 {
			return nil
		}
		if leading = leading && d == 0; leading {
			zeros++
		}
		n.Add(n.Mul(n, big.NewInt(58)), big.NewInt(int64(d)))
	}
	return append(make([]byte, zeros), n.Bytes()...)
}

// emails finds addresses with an expression as people write it; for what a detector misses in real texts.
var emails = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b`)

// Emails returns the places of addresses that Right holds for right.
func Emails(text string) [][2]int {
	if !strings.Contains(text, "@") {
		return nil
	}
	var out [][2]int
	for _, m := range emails.FindAllStringIndex(text, -1) {
		if Right(detector.Email, text, m[0], m[1]) {
			out = append(out, [2]int{m[0], m[1]})
		}
	}
	return out
}
