// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// custom is a detector of the user's.
type custom struct {
	name     string
	class    Class
	pattern  *regexp.Regexp
	group    int      // of the pattern, that is found
	keywords []string // in lower case
	bit      Hint     // that a key has one of keywords; 0 without keywords
}

// HintOf is the package's HintOf, and knows the custom detectors' keywords too.
func (d *Detector) HintOf(key string) Hint {
	h := HintOf(key)
	for i := range d.custom {
		c := &d.custom[i]
		if c.bit != 0 && c.named(key) {
			h |= c.bit
		}
	}
	return h
}

// named says whether one of the keywords stands in text, whatever its case.
func (c *custom) named(text string) bool {
	for _, k := range c.keywords {
		if containsFold(text, k) {
			return true
		}
	}
	return false
}

// containsFold says whether lower, in lower case, stands in text in any case of its letters. It takes time in proportion to text's
// length, times that of lower where much of it begins alike.
func containsFold(text, lower string) bool {
	if !ascii(lower) {
		return strings.Contains(strings.ToLower(text), lower)
	}
	n := len(lower)
	first, other := lower[0], lower[0]
	if isLetter(first) {
		other = first &^ 0x20
	}
	for i := 0; i+n <= len(text); i++ {
		if c := text[i]; c != first && c != other {
			continue
		}
		j := 1
		for j < n && lowerByte(text[i+j]) == lower[j] {
			j++
		}
		if j == n {
			return true
		}
	}
	return false
}

func lowerByte(c byte) byte {
	if c-'A' < 26 {
		return c + 'a' - 'A'
	}
	return c
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// findCustom adds what the custom detectors find to dst[base:], which is by place and does not overlap, and leaves it so.
func (d *Detector) findCustom(dst []Finding, base int, text string, hint Hint) []Finding {
	for i := range d.custom {
		c := &d.custom[i]
		if c.bit != 0 && hint&c.bit == 0 && !c.named(text) {
			continue
		}
		for at := 0; at <= len(text); {
			// The match's own beginning is kept by cutting the text: what a pattern says of borders is said of the rest then, as it is
			// for each next match of a search.
			m := c.pattern.FindStringSubmatchIndex(text[at:])
			if m == nil {
				break
			}
			start, end := m[2*c.group], m[2*c.group+1]
			if start >= 0 && end > start && !inSealed(text, at+start) {
				dst = d.insert(dst, base, text, Finding{Start: at + start, End: at + end, Class: c.class, Rule: c.name})
			}
			at += max(m[1], m[0]+1)
		}
	}
	return dst
}

// insert puts f in its place, and takes away what it overlaps unless that is longer.
func (d *Detector) insert(dst []Finding, base int, text string, f Finding) []Finding {
	if d.skip != nil {
		s := scanner{d: d, text: text}
		if s.masked(f.Start) > 0 {
			return dst
		}
	}
	from, _ := slices.BinarySearchFunc(dst[base:], f, func(a, b Finding) int {
		if a.End <= b.Start {
			return -1
		}
		return 1
	})
	from += base
	to := from
	for to < len(dst) && dst[to].Start < f.End {
		if dst[to].End-dst[to].Start > f.End-f.Start {
			return dst
		}
		to++
	}
	return slices.Replace(dst, from, to, f)
}
