// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/detector"
)

// values are the personal ones. A name before '.' is the class, one after it the form.
var values = map[string]func(*maker) Value{
	"email": func(m *maker) Value {
		if m.chance(12) {
			return m.rareEmail()
		}
		return personal(detector.Email, "plain", m.login()+"@"+m.domain())
	},
	"email.percent": func(m *maker) Value {
		return open(detector.Email, "percent-encoded", m.login()+"%40"+m.domain())
	},

	"ipv4": func(m *maker) Value { return personal(detector.IPAddress, "v4", m.ipv4()) },
	"ipv4.port": func(m *maker) Value {
		return join(personal(detector.IPAddress, "v4 and port", m.ipv4()), ":", lookalikes["port"](m))
	},
	"ipv4.net": func(m *maker) Value {
		return join(personal(detector.IPAddress, "v4 and length", m.ipv4()), pick(m, "/24", "/32", "/16", "/29"))
	},
	"ipv4.nobody": func(m *maker) Value {
		return open(detector.IPAddress, "nobody's", pick(m, "127.0.0.1", "0.0.0.0", "255.255.255.0", "255.255.255.255", "::1", "::"))
	},
	"ipv6": func(m *maker) Value {
		a := m.ipv6()
		switch m.n(8) {
		case 0:
			return personal(detector.IPAddress, "v6 in full", a.StringExpanded())
		case 1:
			return personal(detector.IPAddress, "v6 in upper case", strings.ToUpper(a.String()))
		case 2:
			return personal(detector.IPAddress, "v6 with v4", "::ffff:"+m.ipv4())
		case 3:
			return join("[", personal(detector.IPAddress, "v6 and port", a.String()), "]:", lookalikes["port"](m))
		case 4:
			return join(personal(detector.IPAddress, "v6 and zone", "fe80::"+strings.TrimLeft(a.String()[len(a.String())-4:], ":")), "%eth0")
		}
		return personal(detector.IPAddress, "v6", a.String())
	},
	"mac": func(m *maker) Value {
		h := m.hex(12)
		sep := pick(m, ":", ":", "-")
		text := strings.Join([]string{h[:2], h[2:4], h[4:6], h[6:8], h[8:10], h[10:]}, sep)
		if m.chance(3) {
			text = strings.ToUpper(text)
		}
		if m.chance(8) {
			return personal(detector.MACAddress, "dots", h[:4]+"."+h[4:8]+"."+h[8:])
		}
		return personal(detector.MACAddress, "pairs", text)
	},

	"card":   func(m *maker) Value { return m.card() },
	"iban":   func(m *maker) Value { return m.iban() },
	"wallet": func(m *maker) Value { return m.wallet() },
	"natid":  func(m *maker) Value { return m.nationalID(true) },
	"natid.bare": func(m *maker) Value {
		return m.nationalID(false)
	},

	"phone.intl": func(m *maker) Value { return m.phone(true, false) },
	"phone.nat":  func(m *maker) Value { return m.phone(false, false) },
	"phone.open": func(m *maker) Value { return m.phone(false, true) },

	"jwt":    func(m *maker) Value { return m.jwt() },
	"apikey": func(m *maker) Value { return m.apiKey() },
	"passwordurl": func(m *maker) Value {
		return join(pick(m, "postgres", "https", "amqp", "redis", "mongodb+srv", "ftp", "mysql"), "://", m.login(), ":",
			personal(detector.Password, "userinfo", m.word(m.between(6, 16), lettersDigits+"-_.!$~")), "@", lookalikes["host"](m),
			pick(m, "", ":5432/shop", "/", "/0?timeout=5s"))
	},

	"coords": func(m *maker) Value {
		lat, lon := m.place()
		d := m.between(4, 7)
		return personal(detector.Coordinates, "decimal pair", fmt.Sprintf("%.*f%s%.*f", d, lat, pick(m, ", ", ","), d, lon))
	},
	"coords.dms": func(m *maker) Value {
		lat, lon := m.place()
		return personal(detector.Coordinates, "degrees, minutes, seconds", dms(lat, "N", "S")+pick(m, " ", ", ")+dms(lon, "E", "W"))
	},
	"coords.hemisphere": func(m *maker) Value {
		lat, lon := m.place()
		return personal(detector.Coordinates, "degrees and hemisphere", fmt.Sprintf("%.4f° %s, %.4f° %s", abs(lat), sign(lat, "N", "S"), abs(lon), sign(lon, "E", "W")))
	},
	"coords.geo": func(m *maker) Value {
		lat, lon := m.place()
		return join("geo:", personal(detector.Coordinates, "geo URI", fmt.Sprintf("%.5f,%.5f", lat, lon)))
	},
	"lat": func(m *maker) Value {
		lat, _ := m.place()
		return personal(detector.Coordinates, "one number under its name", fmt.Sprintf("%.6f", lat))
	},
	"lon": func(m *maker) Value {
		_, lon := m.place()
		return personal(detector.Coordinates, "one number under its name", fmt.Sprintf("%.6f", lon))
	},

	// A date of birth in a language's own way. The template has the word.
	"dob": func(m *maker) Value {
		form := pick(m, time.DateOnly, map[string]string{
			"en": pick(m, "01/02/2006", "02/01/2006", "January 2, 2006", "2 Jan 2006"), "de": "02.01.2006", "fr": "02/01/2006", "es": "02/01/2006", "it": "02/01/2006",
			"pt": "02/01/2006", "nl": "02-01-2006", "pl": "02.01.2006", "tr": "02.01.2006", "ja": "2006年1月2日", "sv": "2006-01-02", "cs": "2. 1. 2006",
		}[m.language])
		return personal(detector.BirthDate, "after its word", m.time(1940, 2008).Format(form))
	},
	"dob.iso": func(m *maker) Value {
		return personal(detector.BirthDate, "under its key", m.time(1940, 2008).Format(time.DateOnly))
	},
}

// rareEmail is an address that people have, although few.
func (m *maker) rareEmail() Value {
	name, domain := m.login(), m.domain()
	switch m.n(8) {
	case 0:
		return personal(detector.Email, "plus", name+"+"+m.word(6)+"@"+domain)
	case 1:
		return personal(detector.Email, "upper case", strings.ToUpper(name+"@"+domain))
	case 2:
		return personal(detector.Email, "subdomains", name+"@mail.eu-1."+domain)
	case 3:
		return personal(detector.Email, "new top level", name+"@"+m.word(6)+"."+pick(m, "photography", "museum", "dev", "berlin", "shop", "xn--p1ai"))
	case 4:
		return personal(detector.Email, "unicode domain", name+"@"+pick(m, "müller.de", "例え.jp", "bücher.example", "пример.рф"))
	case 5:
		return personal(detector.Email, "unicode name", pick(m, "jörg", "søren", "andré", "łukasz", "юлия", "たろう")+"@"+domain)
	case 6:
		return personal(detector.Email, "signs in the name", name+pick(m, "=tag", "'s", "!x", "%y", "{z}", "#1", "&co", "~a", "/b", "*c")+"@"+domain)
	default:
		return personal(detector.Email, "one letter", m.word(1)+"@"+m.word(1)+"."+pick(m, "co", "de", "io"))
	}
}

// ipv4 is a public address, or one of a private network: that too tells one machine of a house from the other.
func (m *maker) ipv4() string {
	for {
		raw := m.r.Uint32()
		a := netip.AddrFrom4([4]byte{byte(raw >> 24), byte(raw >> 16), byte(raw >> 8), byte(raw)})
		switch {
		case m.chance(6):
			return fmt.Sprintf("%s.%d.%d", pick(m, fmt.Sprint("10.", m.n(256)), "192.168", "172.16"), m.n(256), m.between(1, 254))
		case raw>>24 != 0 && raw>>24 != 127 && raw>>24 < 224:
			return a.String()
		}
	}
}

func (m *maker) ipv6() netip.Addr {
	var raw [16]byte
	for i := range raw {
		raw[i] = byte(m.r.Uint32())
	}
	copy(raw[:], pick(m, []byte{0x20, 0x01, 0x0d, 0xb8}, []byte{0x2a, 0x02}, []byte{0x26, 0x00}, []byte{0x24, 0x08}))
	if m.chance(2) { // with a run of zeros, as most have
		clear(raw[m.between(6, 8):m.between(10, 14)])
	}
	return netip.AddrFrom16(raw)
}

func (m *maker) place() (lat, lon float64) {
	return m.r.Float64()*130 - 55, m.r.Float64()*350 - 175
}

func dms(v float64, plus, minus string) string {
	a := abs(v)
	minutes := (a - float64(int(a))) * 60
	return fmt.Sprintf("%d°%02d'%04.1f\"%s", int(a), int(minutes), (minutes-float64(int(minutes)))*60, sign(v, plus, minus))
}

func abs(v float64) float64 { return max(v, -v) }

func sign(v float64, plus, minus string) string {
	if v < 0 {
		return minus
	}
	return plus
}
