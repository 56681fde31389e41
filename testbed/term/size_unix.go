// SPDX-License-Identifier: Apache-2.0

//go:build unix

package term

import (
	"os"

	"golang.org/x/sys/unix"
)

// width returns how many columns the terminal has, at least 1 for a terminal, and 0 for what is none.
func width(f *os.File) int {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if ws.Col == 0 { // a terminal that does not say
		return 80
	}
	return int(ws.Col)
}
