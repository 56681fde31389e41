// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/millrace/millrace/internal/checkdigit"
)

// valueGroup is the group of a custom pattern that is what it finds.
const valueGroup = "value"

// New makes a Detector of cfg. Its errors name the field, the value and the mend.
func New(cfg Config) (*Detector, error) {
	d := &Detector{skip: cfg.Skip}
	if cfg.Classes == nil {
		d.on = hintClasses
	}
	for i, c := range cfg.Classes {
		bit := classBit(c)
		if bit == 0 {
			return nil, fmt.Errorf("classes[%d]: %q is not found by value: use %s", i, c, classNames())
		}
		d.on |= bit
	}
	known := map[string]bool{}
	for _, rule := range builtIn {
		known[rule.name] = true
	}
	for _, id := range checkdigit.NationalIDs {
		known[id.Rule] = true
	}
	keyed := 0
	for i, c := range cfg.Custom {
		field := fmt.Sprintf("custom[%d]", i)
		switch {
		case c.Name == "":
			return nil, fmt.Errorf("%s.name: is empty: give the detector a name, its findings are counted by it", field)
		case known[c.Name]:
			return nil, fmt.Errorf("%s.name: %q is taken by another detector: give it one of its own", field, c.Name)
		case c.Class == "":
			return nil, fmt.Errorf("%s.class: is empty: name a class, which the actions are chosen by", field)
		case c.Pattern == "":
			return nil, fmt.Errorf("%s.pattern: is empty: give a regular expression (RE2)", field)
		}
		known[c.Name] = true
		pattern, err := regexp.Compile(c.Pattern)
		if err != nil {
			return nil, fmt.Errorf("%s.pattern: %q does not compile: mend it by RE2's syntax: %w", field, c.Pattern, err)
		}
		if pattern.MatchString("") {
			return nil, fmt.Errorf("%s.pattern: %q matches the empty text: make it ask for one character at least", field, c.Pattern)
		}
		added := custom{name: c.Name, class: c.Class, pattern: pattern, group: max(0, pattern.SubexpIndex(valueGroup))}
		for j, k := range c.Keywords {
			if k == "" {
				return nil, fmt.Errorf("%s.keywords[%d]: is empty, and stands in every text: leave it out", field, j)
			}
			added.keywords = append(added.keywords, strings.ToLower(k))
		}
		if len(c.Keywords) > 0 {
			if keyed == maxKeyed {
				return nil, fmt.Errorf("%s.keywords: is the keyword list of more than %d custom detectors: put patterns together with '|'", field, maxKeyed)
			}
			added.bit = 1 << (customShift + keyed)
			keyed++
		}
		d.custom = append(d.custom, added)
	}
	return d, nil
}

// classBit is the Hint's bit of class, or 0 where it is not found by value.
func classBit(class Class) Hint {
	for i, c := range Classes {
		if c == class {
			return 1 << i
		}
	}
	return 0
}

func classNames() string {
	names := make([]string, len(Classes))
	for i, c := range Classes {
		names[i] = string(c)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
