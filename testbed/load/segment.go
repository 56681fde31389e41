// SPDX-License-Identifier: Apache-2.0

package load

import (
	"time"

	"github.com/millrace/millrace/internal/event"
)

const (
	segmentHead = `{"batch":[`
	// No sentAt: with it, a receiver may move the events' times by what it takes for the clock's error.
	segmentTail    = `]}`
	segmentContext = `,"context":{"library":{"name":"analytics.js","version":"4.2.0"},"channel":"browser"}`
	segmentTime    = "2006-01-02T15:04:05.000Z"
)

// appendTrack appends the event as a call to Segment's track.
func (e *simEvent) appendTrack(dst []byte) []byte {
	dst = append(dst, `{"type":"track","event":`...)
	dst = event.AppendJSONString(dst, eventNames[e.name])
	dst = append(dst, `,"messageId":"`...)
	var id [36]byte
	e.id.put(id[:])
	dst = append(dst, id[:]...)
	dst = append(dst, `","timestamp":"`...)
	dst = time.Unix(0, e.time).UTC().AppendFormat(dst, segmentTime)
	dst = append(dst, '"')
	if e.known {
		dst = append(dst, `,"userId":"`...)
		dst = append(dst, e.userID...)
		dst = append(dst, '"')
	}
	if e.anonymous {
		dst = append(dst, `,"anonymousId":"`...)
		dst = append(dst, e.anonID...)
		dst = append(dst, '"')
	}
	dst = append(dst, segmentContext...)
	dst = append(dst, `,"properties":`...)
	dst = appendJSONProps(dst, e.props)
	return append(dst, '}')
}
