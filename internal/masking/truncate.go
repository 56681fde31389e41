// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/detector"
)

// truncateAction makes a value less exact: what it is decides how. What it can make nothing of it redacts.
type truncateAction struct {
	keepFirst  int
	ipv4, ipv6 int
	decimals   int
	month      bool
}

func newTruncate(s *Spec) *truncateAction {
	a := &truncateAction{keepFirst: s.KeepFirst, ipv4: s.IPv4Prefix, ipv6: s.IPv6Prefix, decimals: 1, month: s.Date == dateMonth}
	if a.ipv4 == 0 {
		a.ipv4 = 24
	}
	if a.ipv6 == 0 {
		a.ipv6 = 48
	}
	if s.Decimals != nil {
		a.decimals = *s.Decimals
	}
	return a
}

func (*truncateAction) Kind() Kind { return Truncate }

func (a *truncateAction) Mask(v Value, t *Target) (Value, error) {
	if empty(v, t) || masked(v, t) {
		return v, nil
	}
	if v.Kind != TextValue {
		return a.number(v, t)
	}
	switch t.Form {
	case Date, DateTime:
		if cut, ok := cutISO(v.Text, a.month, t.Form == DateTime); ok {
			return Value{Text: cut}, nil
		}
	case Digits:
		_, ok := decimalNumber(v.Text)
		if ok && !identifies(t.Class) && (a.decimals < 0 || strings.Contains(v.Text, ".")) {
			return Value{Text: cutDecimals(v.Text, a.decimals)}, nil
		}
	case Any, Text:
		return a.text(strings.TrimSpace(v.Text), t)
	}
	return Value{}, ErrDrop
}

func (a *truncateAction) text(s string, t *Target) (Value, error) {
	class := detector.Class(t.Class)
	if gone, err := redacted(t); err == nil && s == gone.Text {
		return gone, nil // of which there is no beginning
	}
	if !identifies(t.Class) {
		if cut, ok := a.address(s); ok {
			return Value{Text: cut}, nil
		}
		if cut, ok := cutDate(s, a.month, class == detector.BirthDate); ok {
			return Value{Text: cut}, nil
		}
	}
	if class == detector.Coordinates {
		if cut, ok := cutCoordinates(s, max(a.decimals, 0)); ok {
			return Value{Text: cut}, nil
		}
	}
	if class == detector.IPAddress || class == detector.BirthDate || class == detector.Coordinates || a.keepFirst == 0 {
		return redacted(t) // its beginning would be the most of it
	}
	end, n := len(s), 0
	for rest := s; rest != ""; n++ {
		size, _ := character(rest)
		if n == a.keepFirst {
			end = len(s) - len(rest)
		}
		rest = rest[size:]
	}
	if n <= a.keepFirst {
		return Value{Text: s}, nil // as what an agent has cut, which a gateway must not cut again
	}
	if n/2 < a.keepFirst {
		end = 0
		for range n / 2 {
			size, _ := character(s[end:])
			end += size
		}
	}
	if end == 0 {
		return redacted(t)
	}
	return Value{Text: s[:end]}, nil
}

// identifies says whether a class's values are numbers or texts that name a person, of which nothing is rounded.
func identifies(class string) bool {
	switch detector.Class(class) {
	case detector.Email, detector.Phone, detector.PaymentCard, detector.IBAN, detector.NationalID, detector.MACAddress,
		detector.Secret, detector.Password, detector.CryptoWallet:
		return true
	}
	return false
}

func (a *truncateAction) number(v Value, t *Target) (Value, error) {
	// A whole number has no decimals to lose. It is as coarse as it is to be where it is one among numbers that have them, or degrees.
	coarse := t.Form == Number || t.Class == string(detector.Coordinates)
	if identifies(t.Class) || v.Kind == IntValue && a.decimals >= 0 && !coarse {
		return redacted(t)
	}
	if v.Kind == IntValue {
		if a.decimals < 0 {
			v.Int -= v.Int % int64(math.Pow10(-a.decimals))
		}
		return inForm(v, t)
	}
	if math.IsNaN(v.Double) || math.IsInf(v.Double, 0) {
		return redacted(t)
	}
	cut, err := strconv.ParseFloat(cutDecimals(strconv.FormatFloat(v.Double, 'f', -1, 64), a.decimals), 64)
	if err != nil {
		return redacted(t)
	}
	v.Double = cut
	return inForm(v, t)
}

// inForm returns the number v in the form that is asked for.
func inForm(v Value, t *Target) (Value, error) {
	switch t.Form {
	case Any:
		return v, nil
	case Text, Digits:
		return Value{Text: text(v)}, nil
	case Number:
		if v.Kind == IntValue {
			v = Value{Kind: DoubleValue, Double: float64(v.Int)}
		}
		return v, nil
	case Integer:
		if v.Kind == IntValue {
			return v, nil
		}
		if i := int64(v.Double); float64(i) == v.Double && math.Abs(v.Double) < 1<<63 {
			return Value{Kind: IntValue, Int: i}, nil
		}
	}
	return Value{}, ErrDrop
}

// address cuts an IP address, with a port or prefix length or without, to its prefix: "203.0.113.0", "2001:db8:1::".
func (a *truncateAction) address(s string) (string, bool) {
	if len(s) < len("::") || len(s) > 64 || !strings.ContainsAny(s, ".:") {
		return "", false
	}
	ip, err := netip.ParseAddr(s)
	bits := 128
	if err != nil {
		if port, err := netip.ParseAddrPort(s); err == nil {
			ip = port.Addr()
		} else if prefix, err := netip.ParsePrefix(s); err == nil {
			ip, bits = prefix.Addr(), prefix.Bits()
		} else {
			return "", false
		}
	}
	ip = ip.Unmap().WithZone("")
	keep := a.ipv6
	if ip.Is4() {
		keep = a.ipv4
	}
	cut, err := ip.Prefix(min(keep, bits, ip.BitLen()))
	if err != nil {
		return "", false
	}
	return cut.Addr().String(), true
}

// cutDecimals cuts a number without exponent towards zero. Fewer than none makes digits before the point zeros.
func cutDecimals(s string, decimals int) string {
	whole, fraction, _ := strings.Cut(s, ".")
	if decimals > 0 {
		if len(fraction) <= decimals {
			return s
		}
		return s[:len(whole)+1+decimals]
	}
	if decimals == 0 {
		return whole
	}
	b := []byte(whole)
	for i := max(0, len(b)+decimals); i < len(b); i++ {
		if '0' <= b[i] && b[i] <= '9' {
			b[i] = '0'
		}
	}
	return string(b)
}

// cutCoordinates cuts each number of a text of coordinates: digits, signs, points, letters of the compass and what stands between.
// Degrees, minutes and seconds it does not take, nor commas for points: there a cut could be none.
func cutCoordinates(s string, decimals int) (string, bool) {
	out := make([]byte, 0, len(s))
	points, numbers, degrees := false, 0, true
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case '0' <= c && c <= '9' || c == '.':
			end := i
			for end < len(s) && ('0' <= s[end] && s[end] <= '9' || s[end] == '.') {
				end++
			}
			if _, ok := decimalNumber(s[i:end]); !ok {
				return "", false
			}
			points = points || strings.Contains(s[i:end], ".")
			numbers++
			degrees = degrees && end-i <= 3
			out = append(out, cutDecimals(s[i:end], decimals)...)
			i = end
			continue
		case strings.IndexByte("+-,; /()[]", c) >= 0 || strings.IndexByte("NSEWOnsewo", c) >= 0:
			out = append(out, c)
		default:
			return "", false
		}
		i++
	}
	degrees = degrees && decimals == 0 && (numbers == 1 || numbers == 2 && strings.ContainsAny(s, ",;")) // cut before: there is no minute
	return string(out), points || degrees
}
