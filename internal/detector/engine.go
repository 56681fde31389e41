// SPDX-License-Identifier: Apache-2.0

package detector

// Detector finds what its configuration names. It is safe for concurrent use: nothing of it changes after New.
type Detector struct {
	on     Hint // the classes that are looked for
	skip   func(text string) int
	custom []custom

	// count gathers the scanners' steps; of tests only.
	count *int
}

// Find appends what it finds in text to dst, by place, never overlapping: where two overlap, the longer or the more certain one
// stands. Text may be any bytes. The time it takes is linear in their number, and it allocates nothing where it finds nothing, unless a
// custom detector's pattern is tried.
func (d *Detector) Find(dst []Finding, text string, hint Hint) []Finding {
	base := len(dst)
	if i := next(text, 0); i < len(text) {
		dst = d.findFrom(dst, i, text, hint)
	}
	if len(d.custom) > 0 {
		dst = d.findCustom(dst, base, text, hint)
	}
	return dst
}

// findFrom is Find without custom detectors, where nothing stands before i. It is apart so that a text without anything does not pay for the
// scanner's place on the stack.
//
//go:noinline
func (d *Detector) findFrom(dst []Finding, i int, text string, hint Hint) []Finding {
	s := scanner{d: d, text: text, hint: hint & hintMeaning, out: dst, base: len(dst)}
	s.scan(i)
	if d.count != nil {
		*d.count += s.steps
	}
	return s.out
}
