// SPDX-License-Identifier: Apache-2.0

package window

import (
	"time"
	_ "time/tzdata" // an image may have no zones of its own
)

const day = int64(24 * time.Hour)

// calendar cuts time by a zone's days. Sizes of whole days begin at the offset from a local midnight, counted from
// 1970-01-01, so that a day has 23 or 25 hours where the zone's clock is moved. Shorter sizes are counted from the day's beginning; the last one
// of a day ends with it.
type calendar struct {
	loc    *time.Location
	period int64 // size of whole days
	size   int64 // of windows, within the period
	offset int64
}

func newCalendar(loc *time.Location, size, offset int64) *calendar {
	c := &calendar{loc: loc, period: size, size: size, offset: offset}
	if size < day {
		c.period = day
	}
	return c
}

func (c *calendar) window(t int64) (start, end int64) {
	k := c.guess(t)
	start, end = c.boundary(k), c.boundary(k+1)
	for end <= t {
		k++
		start, end = end, c.boundary(k+1)
	}
	for start > t {
		k--
		start, end = c.boundary(k), start
	}
	if c.size < c.period {
		start += (t - start) / c.size * c.size
		end = min(end, start+c.size)
	}
	return start, end
}

// guess is the number of the period that holds t by its local date, or one beside it.
func (c *calendar) guess(t int64) int64 {
	_, off := time.Unix(0, t).In(c.loc).Zone()
	local := t + int64(off)*int64(time.Second) - c.offset
	k := local / c.period
	if local%c.period < 0 {
		k--
	}
	return k
}

// boundary is the first moment at which the zone's clock shows the beginning of period k, or a later time if it leaps over that.
func (c *calendar) boundary(k int64) int64 {
	local := k*c.period + c.offset // as if the zone were UTC
	at := local - 26*int64(time.Hour)
	for {
		moment := time.Unix(0, at).In(c.loc)
		_, off := moment.Zone()
		u := local - int64(off)*int64(time.Second)
		if u <= at {
			return at // the clock leapt over it, just now
		}
		_, next := moment.ZoneBounds()
		if next.IsZero() || u < next.UnixNano() {
			return u
		}
		at = next.UnixNano()
	}
}
