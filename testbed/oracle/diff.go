// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// maxShown is how many rows a Diff shows.
const maxShown = 20

// Diff compares two sets of rows, in any order, and says where they differ: "" if nowhere. The first columns, as many as key says, tell
// which row it is; rows that agree there are shown side by side.
func Diff(columns []string, key int, want, got [][]string) string {
	want, got = slices.Clone(want), slices.Clone(got)
	slices.SortFunc(want, slices.Compare[[]string])
	slices.SortFunc(got, slices.Compare[[]string])
	var lines []string
	missing, unexpected, altered := 0, 0, 0
	for len(want) > 0 || len(got) > 0 {
		c := 0
		switch {
		case len(want) == 0:
			c = 1
		case len(got) == 0:
			c = -1
		default:
			if slices.Equal(want[0], got[0]) {
				want, got = want[1:], got[1:]
				continue
			}
			if c = slices.Compare(want[0][:key], got[0][:key]); c == 0 && repeated(want, got, key) {
				c = slices.Compare(want[0], got[0])
			}
		}
		switch {
		case c < 0:
			missing++
			lines = append(lines, "missing     "+describe(columns, want[0]))
			want = want[1:]
		case c > 0:
			unexpected++
			lines = append(lines, "unexpected  "+describe(columns, got[0]))
			got = got[1:]
		default:
			altered++
			parts := []string{"other       " + describe(columns[:key], want[0][:key])}
			for i := key; i < len(columns); i++ {
				if want[0][i] != got[0][i] {
					parts = append(parts, fmt.Sprintf("%s: want %s, got %s", columns[i], want[0][i], got[0][i]))
				}
			}
			lines = append(lines, strings.Join(parts, " "))
			want, got = want[1:], got[1:]
		}
	}
	if len(lines) == 0 {
		return ""
	}
	head := fmt.Sprintf("%d rows are missing, %d unexpected, %d others than they should be:\n", missing, unexpected, altered)
	if len(lines) > maxShown {
		lines = append(lines[:maxShown], fmt.Sprintf("and %d more", len(lines)-maxShown))
	}
	return head + strings.Join(lines, "\n")
}

// repeated says that the key names more than one row: then which row is meant cannot be told.
func repeated(want, got [][]string, key int) bool {
	twice := func(rows [][]string) bool {
		return len(rows) > 1 && slices.Equal(rows[0][:key], rows[1][:key])
	}
	return twice(want) || twice(got)
}

func describe(columns, row []string) string {
	parts := make([]string, len(row))
	for i, v := range row {
		parts[i] = columns[i] + "=" + v
	}
	return strings.Join(parts, " ")
}
