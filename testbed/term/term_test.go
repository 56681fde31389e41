// SPDX-License-Identifier: Apache-2.0

package term

import (
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestNumbersAreGroupedByThousands(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		require.Equal(t, want, Number(n))
	}
	f(0, "0")
	f(999, "999")
	f(1000, "1,000")
	f(-1234567, "-1,234,567")
	require.Equal(t, "12,345.60", group("12345.60"))
	require.Equal(t, "1:05", Clock(65*time.Second))
	require.Equal(t, "1:00:05", Clock(time.Hour+5*time.Second))
	require.Equal(t, "1.5 MB", Bytes(1_500_000))
	require.Equal(t, "12 B", Bytes(12))
}

// written returns what write leaves in a file, which is no terminal.
func written(t *testing.T, write func(*Out)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	require.NoError(t, err)
	o := New(f)
	write(o)
	require.NoError(t, o.Err())
	require.NoError(t, f.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestTableAlignsNumbersRightAndTextsLeft(t *testing.T) {
	got := written(t, func(o *Out) {
		o.Table("  ", []Column{{Name: "city"}, {Name: "orders", Right: true}, {Name: "note"}},
			[][]string{{"Köln", "12345", "a"}, {"東京", "-7.50", "bb"}, {"x", "n/a", ""}})
	})
	require.Equal(t, ""+
		"  city   orders   note\n"+
		"  ────   ──────   ────\n"+
		"  Köln   12,345   a\n"+
		"  東京    -7.50   bb\n"+
		"  x         n/a   \n", got)
}

func TestAFileGetsPlainLinesWithoutColour(t *testing.T) {
	got := written(t, func(o *Out) {
		require.False(t, o.TTY())
		o.Live("one")
		o.Live(o.Good("two"))
		o.ClearLive()
		o.Printf("%s\n", o.Bold("three"))
	})
	require.Equal(t, "one\ntwo\nthree\n", got)
}

func TestBarHasAlwaysItsWidth(t *testing.T) {
	o := &Out{}
	for i := -5; i <= 205; i++ {
		require.Equal(t, 17, utf8.RuneCountInString(o.Bar(float64(i)/200, 17)), i)
	}
	require.Equal(t, "█████·····", o.Bar(0.5, 10))
}
