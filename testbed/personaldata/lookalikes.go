// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// lookalikes are values that are nobody's. They are drawn at random and never sorted out: an order number that passes a card's
// check digit by luck stays, as it would in life.
var lookalikes = map[string]func(*maker) Value{
	"order": func(m *maker) Value {
		return plain(pick(m,
			m.digits(6), m.digits(7), m.digits(8), m.digits(9), m.digits(10), m.digits(12), "#"+m.digits(8),
			m.upper(2)+"-"+m.digits(6), m.upper(3)+m.digits(9), fmt.Sprintf("%d-%s", m.between(2019, 2026), m.digits(6)),
			m.digits(3)+"-"+m.digits(7)+"-"+m.digits(7), // a well-known shop's
			"ORD-"+m.digits(4)+"-"+m.digits(4), "R"+m.digits(9), "PO"+m.digits(8)))
	},
	"invoice": func(m *maker) Value {
		return plain(pick(m, "INV-"+m.digits(6), fmt.Sprintf("RE%d/%s", m.between(2019, 2026), m.digits(5)), "F-"+m.digits(4)+"-"+m.digits(3), m.digits(10)))
	},
	"customer": func(m *maker) Value {
		return plain(pick(m, m.digits(5), m.digits(7), m.digits(10), "C"+m.digits(8), "cus_"+m.word(14)))
	},
	"tracking": func(m *maker) Value {
		return plain(pick(m, "1Z"+m.word(16, upperAlnum), m.digits(12), m.digits(14), m.digits(20), m.digits(22), "JD0"+m.digits(17),
			m.upper(2)+m.digits(9)+m.upper(2), "00"+m.digits(18), m.digits(4)+" "+m.digits(4)+" "+m.digits(4)+" "+m.digits(4)+" "+m.digits(4)+" "+m.digits(2)))
	},
	"epoch":   func(m *maker) Value { return plain(strconv.FormatInt(m.time(2015, 2026).Unix(), 10)) },
	"epochms": func(m *maker) Value { return plain(strconv.FormatInt(m.time(2015, 2026).UnixMilli(), 10)) },
	"epochns": func(m *maker) Value { return plain(strconv.FormatInt(m.time(2015, 2026).UnixNano(), 10)) },
	"traceid": func(m *maker) Value { return plain(m.hex(32)) },
	"spanid":  func(m *maker) Value { return plain(m.hex(16)) },
	"uuid": func(m *maker) Value {
		h := m.hex(32)
		return plain(h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:])
	},
	"ulid":   func(m *maker) Value { return plain("01" + m.word(24, "0123456789ABCDEFGHJKMNPQRSTVWXYZ")) },
	"ksuid":  func(m *maker) Value { return plain("2" + m.word(26, lettersDigits)) },
	"nanoid": func(m *maker) Value { return plain(m.word(21, lettersDigits+"_-")) },
	"objectid": func(m *maker) Value {
		return plain(strconv.FormatInt(m.time(2015, 2026).Unix(), 16) + m.hex(16))
	},
	"snowflake": func(m *maker) Value { return plain(strconv.FormatInt(m.int64(1e17, 2e18), 10)) },
	"md5":       func(m *maker) Value { return plain(m.hex(32)) },
	"sha1":      func(m *maker) Value { return plain(m.hex(40)) },
	"sha256":    func(m *maker) Value { return plain(m.hex(64)) },
	"commit":    func(m *maker) Value { return plain(m.hex(m.between(7, 12))) },
	"base64": func(m *maker) Value {
		return plain(m.word(4*m.between(6, 20), lettersDigits+"+/") + pick(m, "", "=", "=="))
	},
	"version": func(m *maker) Value {
		return plain(pick(m,
			fmt.Sprintf("%d.%d.%d", m.n(20), m.n(30), m.n(99)), fmt.Sprintf("v%d.%d.%d-rc.%d", m.n(9), m.n(30), m.n(9), m.n(9)),
			fmt.Sprintf("%d.%d", m.n(20), m.n(30)), fmt.Sprintf("%d.%d.%d+build.%s", m.n(9), m.n(9), m.n(9), m.digits(4)),
			fmt.Sprintf("%d.%d.%d", m.between(2019, 2026), m.between(1, 12), m.n(9)), "go1."+strconv.Itoa(m.between(18, 26))+".3"))
	},
	// Versions of four parts, as of browsers and of Windows: only the word before them tells them from an address.
	"version4": func(m *maker) Value {
		return plain(pick(m,
			fmt.Sprintf("%d.0.%d.%d", m.between(90, 140), m.between(3000, 7000), m.between(10, 250)),
			fmt.Sprintf("10.0.%d.%d", m.between(10000, 26100), m.between(1, 4000)),
			fmt.Sprintf("%d.%d.%d.%d", m.between(1, 25), m.n(20), m.n(40), m.n(99))))
	},
	"oid": func(m *maker) Value {
		return plain(fmt.Sprintf("1.3.6.1.4.1.%d.%d.%d", m.between(1, 60000), m.n(9), m.n(20)))
	},
	"price": func(m *maker) Value {
		return plain(pick(m,
			fmt.Sprintf("%d.%02d €", m.n(2000), m.n(100)), fmt.Sprintf("$%d,%03d.%02d", m.between(1, 99), m.n(1000), m.n(100)),
			fmt.Sprintf("%d.%03d,%02d EUR", m.between(1, 99), m.n(1000), m.n(100)), fmt.Sprintf("£%d.99", m.n(500)),
			fmt.Sprintf("%d,%02d zł", m.n(900), m.n(100)), fmt.Sprintf("¥%d,%03d", m.between(1, 900), m.n(1000)),
			fmt.Sprintf("%d %03d %03d Kč", m.between(1, 9), m.n(1000), m.n(1000)), fmt.Sprintf("%d'%03d.50 CHF", m.between(1, 90), m.n(1000))))
	},
	"number": func(m *maker) Value {
		return plain(pick(m, m.digits(m.between(1, 6)), fmt.Sprintf("%d.%d", m.n(1000), m.n(100000)), fmt.Sprintf("%d,%03d,%03d", m.between(1, 99), m.n(1000), m.n(1000)),
			fmt.Sprintf("-%d.%d", m.n(90), m.n(9999)), strconv.FormatFloat(m.r.NormFloat64()*1e6, 'g', -1, 64), strconv.FormatInt(m.int64(1, 9e18), 10)))
	},
	"percent": func(m *maker) Value { return plain(fmt.Sprintf("%d.%d%%", m.n(100), m.n(10))) },
	"size":    func(m *maker) Value { return plain(fmt.Sprintf("%dx%d", m.n(4000), m.n(3000))) },
	"date": func(m *maker) Value {
		return plain(m.time(2015, 2026).Format(pick(m, time.DateOnly, "02.01.2006", "01/02/2006", "02/01/2006", "2 Jan 2006", "20060102", "2006/01/02", "02-01-06")))
	},
	"datetime": func(m *maker) Value {
		return plain(m.time(2015, 2026).Format(pick(m, time.RFC3339, time.RFC3339Nano, time.DateTime, "02/Jan/2006:15:04:05 -0700", time.RFC1123Z, "20060102T150405Z", "20060102150405", time.StampMicro)))
	},
	"clock": func(m *maker) Value { return plain(m.time(2015, 2026).Format(pick(m, "15:04", "15:04:05", "3:04 PM"))) },
	"duration": func(m *maker) Value {
		return plain(pick(m, fmt.Sprintf("%dms", m.n(9000)), fmt.Sprintf("%d.%ds", m.n(60), m.n(1000)), fmt.Sprintf("%02d:%02d:%02d.%03d", m.n(24), m.n(60), m.n(60), m.n(1000))))
	},
	"isbn": func(m *maker) Value {
		body := pick(m, "978", "979") + m.digits(9)
		full := body + ean(body)
		return plain(pick(m, full, full[:3]+"-"+full[3:4]+"-"+full[4:7]+"-"+full[7:12]+"-"+full[12:]))
	},
	"ean":  func(m *maker) Value { body := m.digits(12); return plain(body + ean(body)) },
	"sku":  func(m *maker) Value { return plain(m.upper(3) + "-" + m.digits(5) + "-" + m.upper(2)) },
	"port": func(m *maker) Value { return plain(strconv.Itoa(m.between(1024, 65535))) },
	"host": func(m *maker) Value {
		return plain(pick(m, "api", "www", "db-"+m.digits(2), "node"+m.digits(3), "eu-west-1") + "." + pick(m, "example", "millpond", "nordwind", "internal") + "." + pick(m, "com", "net", "io", "local", "co.uk"))
	},
	"given":  func(m *maker) Value { return plain(m.given()) },
	"family": func(m *maker) Value { return plain(m.family()) },
	"handle": func(m *maker) Value { return plain("@" + m.login()) },
	"path":   func(m *maker) Value { return plain("/" + m.word(5) + "/" + m.digits(8) + "/" + m.word(7)) },
	"url": func(m *maker) Value {
		return plain("https://" + pick(m, "shop", "www", "cdn") + ".example." + pick(m, "com", "org", "net") + "/" + m.word(6) + "/" + m.digits(m.between(5, 12)) + "?ref=" + m.word(5) + "&v=" + m.digits(3) + "&t=" + m.digits(13))
	},
	"package": func(m *maker) Value {
		return plain("@" + m.word(6) + "/" + m.word(8) + "@" + fmt.Sprintf("%d.%d.%d", m.n(9), m.n(20), m.n(9)))
	},
	"image": func(m *maker) Value { return plain("ghcr.io/" + m.word(5) + "/" + m.word(6) + "@sha256:" + m.hex(64)) },
	"hexcolor": func(m *maker) Value {
		return plain("#" + m.hex(6))
	},
	"useragent": func(m *maker) Value {
		return plain(fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.%d Safari/537.36",
			m.between(90, 140), m.between(3000, 7000), m.between(10, 250)))
	},
	"serial": func(m *maker) Value { return plain("SN" + m.word(10, upperAlnum)) },
	"vin":    func(m *maker) Value { return plain(m.word(17, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789")) },
	"ratio":  func(m *maker) Value { return plain(fmt.Sprintf("%d:%d", m.n(90), m.n(90))) },
	"meter": func(m *maker) Value {
		return plain(m.digits(1) + " " + m.upper(3) + " " + m.digits(4) + " " + m.digits(4) + " " + m.digits(4))
	},
	"contract": func(m *maker) Value {
		return plain(pick(m, m.digits(10), m.digits(13), "V-"+m.digits(9), m.digits(3)+"/"+m.digits(4)+"/"+m.digits(4)))
	},
	"article": func(m *maker) Value {
		return plain(pick(m, m.digits(3)+"."+m.digits(3)+"."+m.digits(2), m.digits(8), m.digits(6)+"-"+m.digits(3)))
	},
	"amount": func(m *maker) Value { return plain(strconv.Itoa(m.between(1, 40))) },
}

// ean returns the check digit of an EAN-13 or ISBN-13 (GS1's General Specifications).
func ean(body string) string {
	sum := 0
	for i, c := range body {
		sum += int(c-'0') * (1 + 2*(i%2))
	}
	return strconv.Itoa((10 - sum%10) % 10)
}

const (
	lower         = "abcdefghijklmnopqrstuvwxyz"
	upperAlnum    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	lettersDigits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

func (m *maker) digits(n int) string {
	return m.word(1, "123456789") + m.word(n-1, "0123456789")
}

func (m *maker) upper(n int) string { return m.word(n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") }

func (m *maker) hex(n int) string {
	raw := make([]byte, (n+1)/2)
	for i := range raw {
		raw[i] = byte(m.r.Uint32())
	}
	return hex.EncodeToString(raw)[:n]
}

// word is n characters of the alphabet, small letters by default.
func (m *maker) word(n int, alphabet ...string) string {
	of := lower
	if len(alphabet) > 0 {
		of = alphabet[0]
	}
	var b strings.Builder
	for range n {
		b.WriteByte(of[m.n(len(of))])
	}
	return b.String()
}

func (m *maker) time(first, last int) time.Time {
	from := time.Date(first, 1, 1, 0, 0, 0, 0, time.UTC)
	span := time.Date(last, 12, 31, 0, 0, 0, 0, time.UTC).Sub(from)
	return from.Add(time.Duration(m.r.Int64N(int64(span))))
}
