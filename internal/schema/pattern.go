// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"regexp/syntax"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// newPattern returns a function equal to the library's pattern. Patterns that stand for a whole text and can
// be read from left to right without going back, such as ^[A-Z]{3}$, need no regexp machine.
func newPattern(re jsonschema.Regexp) func(string) bool {
	if p := newLinearPattern(re.String()); p != nil {
		return p.matches
	}
	return re.MatchString
}

// linearPattern is a sequence of steps that must consume the whole text. After a step of variable length
// comes none that could begin with the same character, so taking as much as there is is always right.
type linearPattern []linearStep

type linearStep struct {
	ascii    [128]bool
	beyond   []rune // ranges from 128 up, as in syntax.Regexp.Rune
	min, max int    // max -1 where there is none
}

// maxSteps bounds what a counted repetition or a literal unfolds to.
const maxSteps = 256

func newLinearPattern(expression string) linearPattern {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil || parsed.Op != syntax.OpConcat || len(parsed.Sub) < 2 ||
		parsed.Sub[0].Op != syntax.OpBeginText || parsed.Sub[len(parsed.Sub)-1].Op != syntax.OpEndText {
		return nil
	}
	var p linearPattern
	for _, sub := range parsed.Sub[1 : len(parsed.Sub)-1] {
		lo, hi := 1, 1
		switch sub.Op {
		case syntax.OpStar:
			lo, hi = 0, -1
		case syntax.OpPlus:
			lo, hi = 1, -1
		case syntax.OpQuest:
			lo, hi = 0, 1
		case syntax.OpRepeat:
			lo, hi = sub.Min, sub.Max
		}
		if sub.Op == syntax.OpStar || sub.Op == syntax.OpPlus || sub.Op == syntax.OpQuest || sub.Op == syntax.OpRepeat {
			if sub.Flags&syntax.NonGreedy != 0 {
				return nil
			}
			sub = sub.Sub[0]
		}
		switch {
		case sub.Op == syntax.OpCharClass:
			p = append(p, newLinearStep(sub.Rune, lo, hi))
		case sub.Op == syntax.OpLiteral && sub.Flags&syntax.FoldCase == 0 && (len(sub.Rune) == 1 || lo == 1 && hi == 1):
			for _, r := range sub.Rune {
				p = append(p, newLinearStep([]rune{r, r}, lo, hi))
			}
		default:
			return nil
		}
		if len(p) > maxSteps {
			return nil
		}
	}
	for i := range p {
		if p[i].min == p[i].max {
			continue
		}
		for j := i + 1; j < len(p); j++ {
			if p[i].overlaps(&p[j]) {
				return nil
			}
			if p[j].min > 0 {
				break // what comes behind cannot begin here
			}
		}
	}
	return p
}

func newLinearStep(ranges []rune, lo, hi int) linearStep {
	s := linearStep{min: lo, max: hi}
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1] && r < utf8.RuneSelf; r++ {
			s.ascii[r] = true
		}
		if ranges[i+1] >= utf8.RuneSelf {
			s.beyond = append(s.beyond, max(ranges[i], utf8.RuneSelf), ranges[i+1])
		}
	}
	return s
}

func (s *linearStep) overlaps(other *linearStep) bool {
	for r := range s.ascii {
		if s.ascii[r] && other.ascii[r] {
			return true
		}
	}
	for i := 0; i < len(s.beyond); i += 2 {
		for j := 0; j < len(other.beyond); j += 2 {
			if s.beyond[i] <= other.beyond[j+1] && other.beyond[j] <= s.beyond[i+1] {
				return true
			}
		}
	}
	return false
}

func (s *linearStep) has(r rune) bool {
	if r < utf8.RuneSelf {
		return s.ascii[r]
	}
	for i := 0; i < len(s.beyond); i += 2 {
		if s.beyond[i] <= r && r <= s.beyond[i+1] {
			return true
		}
	}
	return false
}

func (p linearPattern) matches(text string) bool {
	for i := range p {
		s := &p[i]
		n := 0
		for len(text) > 0 && n != s.max {
			r, size := rune(text[0]), 1
			if r >= utf8.RuneSelf {
				r, size = utf8.DecodeRuneInString(text) // as regexp does: what is no UTF-8 is U+FFFD
			}
			if !s.has(r) {
				break
			}
			text = text[size:]
			n++
		}
		if n < s.min {
			return false
		}
	}
	return text == ""
}
