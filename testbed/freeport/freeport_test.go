// SPDX-License-Identifier: Apache-2.0

package freeport

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressesAreFreeAndGivenOnce(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		for _, addr := range Must(t, 50) {
			require.False(t, seen[addr], addr)
			seen[addr] = true
		}
	}
	for addr := range seen {
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}

// The other process asks for so many that it would meet every one of ours if it could.
func TestAddressesAreNotGivenToAnotherProcess(t *testing.T) {
	const variable = "MILLRACE_FREEPORT_TEST"
	if os.Getenv(variable) != "" {
		_, err := os.Stdout.WriteString("got:" + strings.Join(Must(t, ports/20), ",") + ",\n")
		require.NoError(t, err)
		return
	}
	mine := Must(t, 200)
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	_, theirs, found := strings.Cut(string(out), "got:")
	require.True(t, found)
	for _, addr := range mine {
		require.NotContains(t, theirs, addr+",")
	}
}
