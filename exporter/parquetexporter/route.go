// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/objectstore"
)

// noPartition stands for a value that is empty or has no file of its own, as in Hive.
const noPartition = "__HIVE_DEFAULT_PARTITION__"

// template is the folders of a file: texts and placeholders in turn.
type template struct {
	texts  []string // one more than fields
	fields []field
}

type field uint8

const (
	fieldEventName field = iota
	fieldSchema
	fieldTenant
	fieldDate
	fieldHour
	fieldYear
	fieldMonth
	fieldDay
)

var fields = map[string]field{
	"event_name": fieldEventName, "schema": fieldSchema, "tenant": fieldTenant,
	"date": fieldDate, "hour": fieldHour, "year": fieldYear, "month": fieldMonth, "day": fieldDay,
}

var errPlaceholder = errors.New("has an unknown placeholder: use {event_name}, {schema}, {tenant}, {date}, {hour}, {year}, {month} or {day}")

func parseTemplate(s string) (*template, error) {
	t := &template{}
	rest := s
	for {
		text, more, found := strings.Cut(rest, "{")
		t.texts = append(t.texts, text)
		if !found {
			break
		}
		name, after, closed := strings.Cut(more, "}")
		f, known := fields[name]
		if !closed || !known {
			return nil, errPlaceholder
		}
		t.fields = append(t.fields, f)
		rest = after
	}
	if s == "" {
		return t, nil // all files in one folder
	}
	if err := objectstore.CheckKey(t.expand(&partition{}, false)); err != nil {
		return nil, fmt.Errorf("is no path of folders: %w: use one such as event_name={event_name}/date={date}/hour={hour}", err)
	}
	for folder := range strings.SplitSeq(s, "/") {
		if strings.HasPrefix(folder, "_") || strings.HasPrefix(folder, ".") {
			return nil, errors.New("has a folder that begins with _ or ., which readers pass over: rename it")
		}
	}
	return t, nil
}

func (t *template) has(f field) bool {
	for _, x := range t.fields {
		if x == f {
			return true
		}
	}
	return false
}

// partition is what a template is filled from. It is the key of a cache: what the template does not name stays zero.
type partition struct {
	name, schema, tenant string
	hour                 int64 // hours since the epoch
}

// of returns the event's partition, as far as the template distinguishes it.
func (t *template) of(e *event.Event, at int64) partition {
	var p partition
	for _, f := range t.fields {
		switch f {
		case fieldEventName:
			p.name = e.Name
		case fieldSchema:
			p.schema = e.Schema
		case fieldTenant:
			p.tenant = e.Tenant
		default:
			p.hour = floor(at, int64(time.Hour))
			if f != fieldHour && !t.has(fieldHour) {
				p.hour = floor(at, int64(24*time.Hour)) * 24
			}
		}
	}
	return p
}

func floor(n, unit int64) int64 {
	q := n / unit
	if n%unit < 0 {
		q--
	}
	return q
}

// maxFolders is how long the folders may be together: keys have 1024 bytes, with the store's prefix and the file's name.
const maxFolders = 768

// expand returns the folders. Of one that overflowed, every value is noPartition, and so where they are longer than a store
// takes: no event may make a file that cannot be stored.
func (t *template) expand(p *partition, overflow bool) string {
	folders := t.fill(p, overflow)
	if !overflow && (len(folders) > maxFolders || objectstore.CheckKey(folders) != nil && len(folders) > 0) {
		return t.fill(p, true)
	}
	return folders
}

func (t *template) fill(p *partition, overflow bool) string {
	var b strings.Builder
	at := time.Unix(p.hour*3600, 0).UTC()
	for i, f := range t.fields {
		b.WriteString(t.texts[i])
		if overflow {
			writeNone(&b)
			continue
		}
		switch f {
		case fieldEventName:
			escape(&b, p.name)
		case fieldSchema:
			escape(&b, p.schema)
		case fieldTenant:
			escape(&b, p.tenant)
		case fieldDate:
			b.WriteString(at.Format(time.DateOnly))
		case fieldHour:
			fmt.Fprintf(&b, "%02d", at.Hour())
		case fieldYear:
			fmt.Fprintf(&b, "%04d", at.Year())
		case fieldMonth:
			fmt.Fprintf(&b, "%02d", int(at.Month()))
		case fieldDay:
			fmt.Fprintf(&b, "%02d", at.Day())
		}
	}
	b.WriteString(t.texts[len(t.fields)])
	return b.String()
}

// maxValue is how long a value may be in a path: file systems take 255 bytes for a folder, with its name.
const maxValue = 200

// escape writes a value as Hive does: what a path cannot have is %XX.
func escape(b *strings.Builder, s string) {
	var v strings.Builder
	valid := utf8.ValidString(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20, c == 0x7f, c > 0x7f && !valid, strings.IndexByte("\"#%'*/:=?\\{}[]^<>|&;$!`~", c) >= 0,
			i == 0 && (c == '.' || c == '_' || c == ' '), i == len(s)-1 && (c == ' ' || c == '.'):
			fmt.Fprintf(&v, "%%%02X", c)
		default:
			v.WriteByte(c)
		}
	}
	if v.Len() == 0 || v.Len() > maxValue {
		writeNone(b)
		return
	}
	b.WriteString(v.String())
}

// writeNone writes noPartition. At the beginning of a folder it is escaped, as any value is that begins with _: readers would
// pass the folder over.
func writeNone(b *strings.Builder) {
	if s := b.String(); s == "" || strings.HasSuffix(s, "/") {
		b.WriteString("%5F" + noPartition[1:])
		return
	}
	b.WriteString(noPartition)
}

// unescape undoes escape.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
