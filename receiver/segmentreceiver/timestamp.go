// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Forms of ISO 8601 that SDKs in the field send, after RFC 3339 with any fraction. Without a zone it is UTC.
var timeLayouts = [...]string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999Z0700", // no colon in the zone
	"2006-01-02T15:04:05.999999999Z07",
	"2006-01-02T15:04:05.999999999", // no zone
	"2006-01-02T15:04Z07:00",        // no seconds
	"2006-01-02T15:04",
	"2006-01-02",
}

// parseTime reads a time as SDKs write it.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s) // has a fast path for what nearly all send
	if err == nil {
		return t, true
	}
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + strings.ReplaceAll(s[11:], " ", "") // "2026-01-02 03:04:05 +0000"
	}
	s = strings.TrimSuffix(s, "UTC") // after a blank
	for _, layout := range timeLayouts {
		if t, err = time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

var latest = time.Unix(0, math.MaxInt64)

// timestamp returns t as nanoseconds since the epoch, and whether they hold it. The epoch itself is not held:
// there 0 means no time.
func timestamp(t time.Time) (pcommon.Timestamp, bool) {
	if t.After(latest) || t.Unix() < 0 || (t.Unix() == 0 && t.Nanosecond() == 0) {
		return 0, false
	}
	return pcommon.NewTimestampFromTime(t), true
}
