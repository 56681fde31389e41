// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScanValueFindsTheEnd(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		end, err := scanValue([]byte(in), 0)
		require.NoError(t, err, in)
		assert.Equal(t, want, in[:end])
	}
	f(`"a" ,`, `"a"`)
	f(`"a\"b" ,`, `"a\"b"`)
	f(`"a\\" , "b"`, `"a\\"`)
	f(`"a\\\" , " b`, `"a\\\" , "`)
	f(`12.5e+3]`, `12.5e+3`)
	f(`true}`, `true`)
	f(`{}]`, `{}`)
	f(`[] ]`, `[]`)
	f(`{"}":"]","a":[{"b":"\"}"}]} x`, `{"}":"]","a":[{"b":"\"}"}]}`)
	deep := strings.Repeat(`[{"a":`, 500) + "1" + strings.Repeat("}]", 500)
	f(deep+"]", deep)
}

func TestScanValueSaysWhereItStops(t *testing.T) {
	f := func(in string, wantOffset int) {
		t.Helper()
		_, err := scanValue([]byte(in), 0)
		var syntax *syntaxError
		require.ErrorAs(t, err, &syntax, in)
		assert.Equal(t, wantOffset, syntax.offset, in)
	}
	f(``, 0)
	f(`}`, 0)
	f(`,`, 0)
	f(`"abc`, 0)
	f(`"abc\"`, 0)
	f(`{"a":"b}`, 5)
	f(`{"a":[1}`, 7)
	f(`[{]`, 2)
	f(`[[[`, 3)
}

// FuzzScanValue holds: what encoding/json takes as one value ends where the scanner says.
func FuzzScanValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\\\"",{}]}`, `"\u0041"`, `-1e5`, `[[]]`, `{"a":"}"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		end, err := scanValue(in, skipSpace(in, 0))
		if !json.Valid(in) {
			return
		}
		require.NoError(t, err)
		require.Equal(t, len(in), skipSpace(in, end))
	})
}

func TestTimesAsSDKsWriteThem(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, ok := parseTime(in)
		require.True(t, ok, in)
		assert.Equal(t, want, got.UTC().Format(time.RFC3339Nano), in)
	}
	f("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z")
	f("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z")
	f("2026-01-02T03:04:05.678901234Z", "2026-01-02T03:04:05.678901234Z")
	f("2026-01-02T03:04:05.678901+02:00", "2026-01-02T01:04:05.678901Z")
	f("2026-01-02T03:04:05+0200", "2026-01-02T01:04:05Z")
	f("2026-01-02T03:04:05.6-08", "2026-01-02T11:04:05.6Z")
	f("2026-01-02T03:04:05.678", "2026-01-02T03:04:05.678Z")
	f("2026-01-02 03:04:05", "2026-01-02T03:04:05Z")
	f("2026-01-02 03:04:05 +0200", "2026-01-02T01:04:05Z")
	f("2026-01-02 03:04:05.123 UTC", "2026-01-02T03:04:05.123Z")
	f("2026-01-02t03:04:05z", "2026-01-02T03:04:05Z")
	f("2026-01-02T03:04Z", "2026-01-02T03:04:00Z")
	f("2026-01-02", "2026-01-02T00:00:00Z")
	for _, in := range []string{"", "now", "1735787045", "01/02/2026", "2026-13-01T00:00:00Z", "2026-02-30", "2026-01-02T25:00:00Z", "+010000-01-01T00:00:00Z"} {
		_, ok := parseTime(in)
		assert.False(t, ok, in)
	}
}

func TestTimesThatNanosecondsDoNotHoldAreRefused(t *testing.T) {
	f := func(in time.Time, want bool) {
		t.Helper()
		ts, ok := timestamp(in)
		assert.Equal(t, want, ok, in)
		if ok {
			assert.True(t, in.Equal(ts.AsTime()))
		}
	}
	f(time.Unix(0, 1), true)
	f(time.Unix(0, 0), false)
	f(time.Unix(0, -1), false)
	f(time.Unix(0, 1<<63-1), true)
	f(time.Unix(0, 1<<63-1).Add(1), false)
	f(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), false)
	f(time.Time{}, false)
}
