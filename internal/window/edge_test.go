// SPDX-License-Identifier: Apache-2.0

package window

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLastEndIsThatOfTheLastWindowThatHasEnded(t *testing.T) {
	f := func(w Window, at, want string) {
		t.Helper()
		s := DefaultSettings()
		p, err := NewPlan(s.Options(), []Definition{{Name: "a", Window: w}})
		require.NoError(t, err)
		when, err := time.Parse(time.RFC3339Nano, at)
		require.NoError(t, err)
		require.Equal(t, want, time.Unix(0, p.LastEnd(0, when.UnixNano())).UTC().Format(time.RFC3339Nano))
	}
	minute := Window{Type: Tumbling, Size: time.Minute}
	f(minute, "2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z")
	f(minute, "2026-03-02T12:00:59.999999999Z", "2026-03-02T12:00:00Z")
	f(Window{Type: Tumbling, Size: time.Minute, Offset: 10 * time.Second}, "2026-03-02T12:00:09Z", "2026-03-02T11:59:10Z")
	f(Window{Type: Tumbling, Size: 24 * time.Hour, TimeZone: "Europe/Berlin"}, "2026-03-02T12:00:00Z", "2026-03-01T23:00:00Z")
	hopping := Window{Type: Hopping, Size: 5 * time.Minute, Slide: 2 * time.Minute}
	f(hopping, "2026-03-02T12:00:59Z", "2026-03-02T11:59:00Z")
	f(hopping, "2026-03-02T12:01:00Z", "2026-03-02T12:01:00Z")
}
