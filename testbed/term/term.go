// SPDX-License-Identifier: Apache-2.0

// Package term writes what people read: numbers, aligned tables and one live line, with colour on a terminal only.
package term

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Out is a place to write to. Not safe for concurrent use.
type Out struct {
	f      *os.File
	tty    bool
	colour bool
	live   bool // the cursor stands in a live line
	err    error
}

// New looks at what f is. Colour needs a terminal, and NO_COLOR unset or empty, and TERM other than dumb.
func New(f *os.File) *Out {
	tty := width(f) > 0
	return &Out{f: f, tty: tty, colour: tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// TTY says whether it is a terminal.
func (o *Out) TTY() bool { return o.tty }

// Err returns the first error of writing.
func (o *Out) Err() error { return o.err }

// Printf writes below a live line, if there is one.
func (o *Out) Printf(format string, args ...any) {
	if o.live {
		o.write("\n")
		o.live = false
	}
	o.write(fmt.Sprintf(format, args...))
}

// Live replaces the live line; on what is no terminal it writes a line.
func (o *Out) Live(line string) {
	if !o.tty {
		o.write(line + "\n")
		return
	}
	o.live = true
	o.write("\r" + line + "\x1b[K")
}

// ClearLive takes the live line away.
func (o *Out) ClearLive() {
	if o.live {
		o.write("\r\x1b[K")
		o.live = false
	}
}

func (o *Out) write(s string) {
	if _, err := o.f.WriteString(s); err != nil && o.err == nil {
		o.err = err
	}
}

// Width is how many columns there are; 100 where it is no terminal.
func (o *Out) Width() int {
	if w := width(o.f); w > 0 {
		return w
	}
	return 100
}

func (o *Out) sgr(code, s string) string {
	if !o.colour || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Bold, Dim, Good, Bad and Accent dress a text where there is colour.

// Bold is for headings.
func (o *Out) Bold(s string) string { return o.sgr("1", s) }

// Dim is for what may be read past.
func (o *Out) Dim(s string) string { return o.sgr("2", s) }

// Good is for what went well.
func (o *Out) Good(s string) string { return o.sgr("32", s) }

// Bad is for what did not.
func (o *Out) Bad(s string) string { return o.sgr("31", s) }

// Accent is for what to look at.
func (o *Out) Accent(s string) string { return o.sgr("36", s) }

// Number writes an integer with thousands separators.
func Number(n int64) string { return group(strconv.FormatInt(n, 10)) }

// group separates the thousands of a decimal number's text.
func group(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	whole, frac, dot := strings.Cut(s, ".")
	var b strings.Builder
	b.WriteString(sign)
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	if dot {
		b.WriteString("." + frac)
	}
	return b.String()
}

// Clock writes a duration as minutes and seconds.
func Clock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// Bytes writes a size in decimal units.
func Bytes(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// Bar draws how much of 1 is done, in n columns.
func (o *Out) Bar(part float64, n int) string {
	part = min(max(part, 0), 1)
	eighths := int(part*float64(n)*8 + 0.5)
	full := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		full += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return o.Accent(full) + o.Dim(strings.Repeat("·", n-utf8.RuneCountInString(full)))
}

// Column is one of a table's.
type Column struct {
	Name  string
	Right bool // aligned to the right, and grouped by thousands
}

// Table writes rows of text under their headings, as wide as they need.
func (o *Out) Table(indent string, columns []Column, rows [][]string) {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = columnsOf(c.Name)
	}
	cells := make([][]string, len(rows))
	for r, row := range rows {
		cells[r] = make([]string, len(columns))
		for i := range columns {
			if i < len(row) {
				cells[r][i] = row[i]
				if columns[i].Right && decimal(row[i]) {
					cells[r][i] = group(row[i])
				}
			}
			widths[i] = max(widths[i], columnsOf(cells[r][i]))
		}
	}
	line := func(cells []string, dress func(string) string) {
		o.Printf("%s", indent)
		for i, s := range cells {
			pad := strings.Repeat(" ", widths[i]-columnsOf(s))
			switch {
			case columns[i].Right:
				o.Printf("%s%s", pad, dress(s))
			case i == len(cells)-1:
				o.Printf("%s", dress(s))
			default:
				o.Printf("%s%s", dress(s), pad)
			}
			if i < len(cells)-1 {
				o.Printf("   ")
			}
		}
		o.Printf("\n")
	}
	names := make([]string, len(columns))
	rules := make([]string, len(columns))
	for i, c := range columns {
		names[i], rules[i] = c.Name, strings.Repeat("─", widths[i])
	}
	line(names, o.Bold)
	line(rules, o.Dim)
	for _, row := range cells {
		line(row, func(s string) string { return s })
	}
}

// decimal says whether it is a plain decimal number; its thousands may be separated.
func decimal(s string) bool {
	s = strings.TrimPrefix(s, "-")
	digits := 0
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && i > 0:
		default:
			return false
		}
	}
	return digits > 0 && strings.Count(s, ".") <= 1
}

// columnsOf is how many columns the text takes: two for East Asian letters.
func columnsOf(s string) (n int) {
	for _, r := range s {
		n++
		if r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff || r >= 0xff00 && r <= 0xff60) {
			n++
		}
	}
	return n
}
