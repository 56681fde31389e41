// SPDX-License-Identifier: Apache-2.0

package detector

import "fmt"

type custom struct{}

func (d *Detector) findCustom(dst []Finding, base int, text string, hint Hint) []Finding { return dst }

// New makes a Detector of cfg.
func New(cfg Config) (*Detector, error) {
	d := &Detector{skip: cfg.Skip}
	if cfg.Classes == nil {
		d.on = hintClasses
	}
	for _, c := range cfg.Classes {
		bit := classBit(c)
		if bit == 0 {
			return nil, fmt.Errorf("classes: %q is none that is found by value: use one of %v", c, Classes)
		}
		d.on |= bit
	}
	return d, nil
}

func classBit(class Class) Hint {
	for i, c := range Classes {
		if c == class {
			return 1 << i
		}
	}
	return 0
}
