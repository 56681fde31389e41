// SPDX-License-Identifier: Apache-2.0

package failpoint

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReachKillsAtTheCount(t *testing.T) {
	f := func(variable string, reach []string, want int) {
		t.Helper()
		killed := 0
		armedBefore, killBefore := armed, kill
		defer func() { armed, kill = armedBefore, killBefore }()
		armed, kill = parse(variable), func() { killed++ }
		at := 0
		for i, name := range reach {
			Reach(name)
			if killed == 1 && at == 0 {
				at = i + 1
			}
		}
		require.LessOrEqual(t, killed, 1)
		require.Equal(t, want, at)
	}
	f("", []string{InsertBefore, InsertAfter}, 0)
	f(InsertAfter, []string{InsertBefore, InsertAfter, InsertAfter}, 2)
	f(InsertAfter+":2", []string{InsertBefore, InsertAfter, InsertAfter, InsertAfter}, 3)
	f(InsertAfter+":nonsense", []string{InsertAfter}, 1)
}
