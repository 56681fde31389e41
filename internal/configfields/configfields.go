// SPDX-License-Identifier: Apache-2.0

// Package configfields reads a component's configuration and says of what it cannot read which field it is and what
// to write instead, in one line. The collector's core names Go types there, and no mend.
//
//	func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }
package configfields

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

// Unmarshal reads conf into cfg, a pointer to a configuration's struct. It is for that struct's own Unmarshal.
func Unmarshal(conf *confmap.Conf, cfg any) error {
	err := conf.Unmarshal(cfg)
	if err == nil {
		return nil
	}
	return errors.New(mend(err.Error(), conf, reflect.TypeOf(cfg)))
}

var (
	finding = regexp.MustCompile(`^'([^']*)' (.*)$`)
	unknown = regexp.MustCompile(`^has invalid keys: (.*)$`)
	element = regexp.MustCompile(`\[[^\]]*\]`)
	goType  = regexp.MustCompile(`^\w+\.[A-Z]\w*$`) // core's name for the whole of what it read; fields are in snake_case
	heading = "due to the following error(s):"
)

// mend makes a line for each of core's findings, which have one each below headings.
func mend(text string, conf *confmap.Conf, t reflect.Type) string {
	var lines []string
	root := structOf(t).String()
	outer := "" // the field that the last heading named: what follows was read into it on its own
	for line := range strings.SplitSeq(text, "\n") {
		m := finding.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		path := m[1]
		switch first, _, _ := strings.Cut(element.ReplaceAllString(path, ""), "."); {
		case path == "" || path == root:
			outer, path = "", ""
		case goType.MatchString(path):
			path = ""
		case !slices.Contains(fieldsAt(t, element.ReplaceAllString(outer, "")), first):
			outer = "" // what was read on its own is over
		}
		path = strings.Trim(outer+"."+path, ".")
		if strings.HasSuffix(m[2], heading) {
			outer = path
			continue
		}
		keys := unknown.FindStringSubmatch(m[2])
		if keys == nil {
			lines = append(lines, fmt.Sprintf("%s: %s", path, withValue(m[2], conf, path)))
			continue
		}
		fields := fieldsAt(t, element.ReplaceAllString(path, ""))
		for key := range strings.SplitSeq(keys[1], ", ") {
			lines = append(lines, fmt.Sprintf("%s: there is no such field: %s", strings.Trim(path+"."+key, "."), suggest(key, fields)))
		}
	}
	if len(lines) == 0 {
		return text
	}
	return strings.Join(lines, "\n")
}

var (
	wrongType = regexp.MustCompile(`^expected type '(\w+)', got unconvertible type`)
	secret    = regexp.MustCompile(`password|secret|token|key`)
	mends     = map[string]string{"int": "a whole number", "uint": "a whole number from 0", "float": "a number", "bool": "true or false", "string": "a text, in quotes"}
)

// withValue adds the value that could not be read, where it is a scalar, and what to write.
func withValue(message string, conf *confmap.Conf, path string) string {
	if m := wrongType.FindStringSubmatch(message); m != nil {
		if mend := mends[strings.TrimRight(m[1], "0123456789")]; mend != "" {
			message = "write " + mend
		}
	}
	for _, said := range []string{"time: invalid duration", "time: unknown unit", "time: missing unit in duration"} {
		message = strings.ReplaceAll(message, said, "write a time with its unit, such as 30s")
	}
	message = strings.ReplaceAll(message, "expected a map or struct, got", "write its fields, one to a line; this is")
	if secret.MatchString(path) {
		return message
	}
	switch v := conf.Get(strings.ReplaceAll(path, ".", confmap.KeyDelimiter)).(type) {
	case string:
		if !strings.Contains(message, v) && len(v) <= 100 {
			return fmt.Sprintf("%q: %s", v, message)
		}
	case int, float64, bool:
		return fmt.Sprintf("%v: %s", v, message)
	}
	return message
}

func suggest(key string, fields []string) string {
	best, least := "", 1+len(key)/3
	for _, f := range fields {
		if d := distance(key, f); d <= least {
			best, least = f, d-1
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %s?", best)
	case len(fields) == 0:
		return "remove it"
	case len(fields) <= 12:
		return "use one of " + strings.Join(fields, ", ")
	}
	return "remove it, or take a field of the component's README"
}

// fieldsAt returns the names of the fields at the dotted path, sorted.
func fieldsAt(t reflect.Type, path string) []string {
	t = structOf(t)
	if path != "" {
		for step := range strings.SplitSeq(path, ".") {
			var next reflect.Type
			if t != nil {
				each(t, func(name string, field reflect.Type) {
					if name == step {
						next = field
					}
				})
			}
			if next == nil {
				return nil
			}
			t = structOf(next)
		}
	}
	if t == nil {
		return nil
	}
	var names []string
	each(t, func(name string, _ reflect.Type) { names = append(names, name) })
	slices.Sort(names)
	return names
}

// structOf looks through pointers, lists, maps and configoptional's wrapper; nil where there is no struct behind.
func structOf(t reflect.Type) reflect.Type {
	for {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
		case reflect.Struct:
			if get, ok := reflect.PointerTo(t).MethodByName("Get"); ok && t.NumField() > 0 && strings.HasPrefix(t.Name(), "Optional[") {
				t = get.Type.Out(0)
				continue
			}
			return t
		default:
			return nil
		}
	}
}

// each calls f with the fields of a struct, those of squashed ones among them.
func each(t reflect.Type, f func(name string, field reflect.Type)) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		switch {
		case strings.Contains(options, "squash"):
			if inner := structOf(field.Type); inner != nil {
				each(inner, f)
			}
		case name != "" && name != "-" && field.IsExported():
			f(name, field.Type)
		}
	}
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
