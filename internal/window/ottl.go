// SPDX-License-Identifier: Apache-2.0

package window

import (
	"errors"

	"github.com/millrace/millrace/internal/event"
)

// expression is an OTTL value expression.
type expression struct{ text string }

// filter is an OTTL condition.
type filter struct{ text string }

var errNoOTTL = errors.New("OTTL is not there yet")

// condition compiles an OTTL condition and returns its number.
func (p *Plan) condition(string) (int, error) { return 0, errNoOTTL }

// expression compiles an OTTL value expression and returns its number.
func (p *Plan) expression(string) (int, error) { return 0, errNoOTTL }

// evaluation is all filters and expressions over one batch.
type evaluation struct{}

func (p *Plan) evaluate(event.Batch) (*evaluation, error) { return nil, nil }

func (v *evaluation) row(i int, values []event.Scalar) []event.Scalar { return values }
func (v *evaluation) holds(int) bool                                  { return true }
