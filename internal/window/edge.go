// SPDX-License-Identifier: Apache-2.0

package window

// LastEnd is the end of the last window of the aggregation that has ended by t, in Unix nanoseconds. Of tumbling and hopping windows only.
func (p *Plan) LastEnd(aggregation int, t int64) int64 {
	a := p.aggs[aggregation].assign
	if a.calendar != nil || a.slide == a.size {
		start, _ := a.slice(t)
		return start // windows lie end to end
	}
	return a.floor(t-a.size) + a.size
}
