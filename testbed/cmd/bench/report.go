// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/testbed/term"
)

// section is what one part of the run found, for the terminal and for the page alike.
type section struct {
	name   string // as -only has it
	title  string
	intro  string // one line of Markdown: what was run
	tables []table
	notes  []string // one line of Markdown each
	image  string   // path relative to the page; "" is none
}

type table struct {
	caption string // may be empty
	columns []term.Column
	rows    [][]string
}

// goal is a figure to reach.
type goal struct {
	what  string
	want  string
	value float64
	met   bool
}

func goalTable(goals []goal) table {
	t := table{caption: "Goals", columns: []term.Column{{Name: "goal"}, {Name: "to reach"}, {Name: "measured", Right: true}, {Name: ""}}}
	for _, g := range goals {
		verdict := "**missed**"
		if g.met {
			verdict = "met"
		}
		t.rows = append(t.rows, []string{g.what, g.want, fixed(g.value, 2), verdict})
	}
	return t
}

// atMost and atLeast judge a ratio as it is, not as it is rounded.
func atMost(what string, value, limit float64) goal {
	return goal{what, fmt.Sprintf("at most %.2f", limit), value, value <= limit}
}

func atLeast(what string, value, limit float64) goal {
	return goal{what, fmt.Sprintf("at least %.2f", limit), value, value >= limit}
}

var markup = strings.NewReplacer("**", "", "`", "")

// print writes the section to the terminal.
func (s *section) print(o *term.Out) {
	o.Printf("\n%s\n", o.Bold(s.title))
	o.Printf("%s\n", o.Dim(markup.Replace(s.intro)))
	for _, t := range s.tables {
		o.Printf("\n")
		if t.caption != "" {
			o.Printf("  %s\n", t.caption)
		}
		rows := make([][]string, len(t.rows))
		for i, row := range t.rows {
			for _, cell := range row {
				rows[i] = append(rows[i], markup.Replace(cell))
			}
		}
		o.Table("  ", t.columns, rows)
	}
	for _, n := range s.notes {
		o.Printf("\n  %s\n", markup.Replace(n))
	}
}

// markdown returns the section as it stands in the page.
func (s *section) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s\n", s.title, s.intro)
	for _, t := range s.tables {
		b.WriteString("\n")
		if t.caption != "" {
			fmt.Fprintf(&b, "%s:\n\n", t.caption)
		}
		b.WriteString(t.markdown())
	}
	if s.image != "" {
		fmt.Fprintf(&b, "\n![%s](%s)\n", s.title, s.image)
	}
	for _, n := range s.notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	return b.String()
}

func (t *table) markdown() string {
	var b strings.Builder
	line := func(cells []string) {
		b.WriteString("|")
		for _, c := range cells {
			if c = strings.ReplaceAll(c, "|", `\|`); c == "" {
				c = " "
			} else {
				c = " " + c + " "
			}
			b.WriteString(c + "|")
		}
		b.WriteString("\n")
	}
	names, rules := make([]string, len(t.columns)), make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i], rules[i] = c.Name, "---"
		if c.Right {
			rules[i] = "---:"
		}
	}
	line(names)
	line(rules)
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

const (
	measuredBegin = "<!-- measured: begin -->"
	measuredEnd   = "<!-- measured: end -->"
)

var errNoMarkers = errors.New("the page has no line " + measuredBegin + " with a later line " + measuredEnd)

var sectionMark = regexp.MustCompile(`(?m)^<!-- section: ([a-z]+) -->\n`)

// replaceMeasured puts the sections in the place of those of the same names between the page's two marks. What was
// not measured this time stays; the order is that of sectionNames.
func replaceMeasured(page string, sections []section) (string, error) {
	before, rest, ok := strings.Cut(page, measuredBegin+"\n")
	if !ok {
		return "", errNoMarkers
	}
	measured, after, ok := strings.Cut(rest, measuredEnd)
	if !ok {
		return "", errNoMarkers
	}
	parts := map[string]string{}
	marks := sectionMark.FindAllStringSubmatchIndex(measured, -1)
	for i, m := range marks {
		end := len(measured)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		parts[measured[m[2]:m[3]]] = strings.TrimSpace(measured[m[1]:end]) + "\n"
	}
	for i := range sections {
		parts[sections[i].name] = sections[i].markdown()
	}
	var b strings.Builder
	b.WriteString(before + measuredBegin + "\n")
	for _, name := range sectionNames {
		if text, ok := parts[name]; ok {
			fmt.Fprintf(&b, "\n<!-- section: %s -->\n%s", name, text)
		}
	}
	b.WriteString("\n" + measuredEnd + after)
	return b.String(), nil
}

// writePage replaces the file as a whole or not at all.
func writePage(path string, sections []section) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	page, err := replaceMeasured(string(old), sections)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeWhole(path, []byte(page))
}

func writeWhole(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, content, 0o644); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// sectionNames are the sections in the order of the page; the first is always written.
var sectionNames = []string{"machine", "exporter", "process", "log", "lake", "pii", "memory", "build", "profile"}

// chosen reads -only.
func chosen(only string) ([]string, error) {
	var out []string
	for name := range strings.SplitSeq(only, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(sectionNames[1:], name) {
			return nil, fmt.Errorf("-only: %q is no section: give some of %s", name, strings.Join(sectionNames[1:], ","))
		}
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int { return slices.Index(sectionNames, a) - slices.Index(sectionNames, b) })
	return slices.Compact(out), nil
}
