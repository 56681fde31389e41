// SPDX-License-Identifier: Apache-2.0

package child

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func shell(t *testing.T, script string) (*Process, error) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	return Start("the child", exec.Command("sh", "-c", script), log, syscall.SIGKILL)
}

func TestStopEndsAChildAndLeavesOneThatHasEnded(t *testing.T) {
	p, err := shell(t, "exec sleep 1000")
	require.NoError(t, err)
	require.NoError(t, p.Stop(time.Minute))
	require.ErrorContains(t, p.Err(), "terminated")
	require.NoError(t, p.Stop(time.Minute))
}

func TestChildThatDoesNotStopIsKilledAndQuoted(t *testing.T) {
	p, err := shell(t, "trap '' TERM; echo deaf; while :; do sleep 0.01; done")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.Tail(1) == "  deaf" }, time.Minute, time.Millisecond)
	err = p.Stop(50 * time.Millisecond)
	require.ErrorContains(t, err, "the child did not stop within 50ms and was killed")
	require.ErrorContains(t, err, "deaf")
	require.ErrorContains(t, p.Err(), "killed")
}

func TestEndThatNobodyAskedForIsDescribed(t *testing.T) {
	f := func(script, why string) {
		t.Helper()
		p, err := shell(t, script)
		require.NoError(t, err)
		require.ErrorContains(t, p.Died(), "the child is gone: "+why+". The end of ")
		require.ErrorContains(t, p.Died(), "log:\n  ouch")
	}
	f("echo ouch", "it ended by itself")
	f("echo ouch >&2; exit 3", "exit status 3")
}

func TestStartSaysWhatCannotBeStarted(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	_, err = Start("the child", exec.Command(filepath.Join(t.TempDir(), "nothing")), log, syscall.SIGKILL)
	require.ErrorContains(t, err, "starting the child: ")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorIs(t, log.Close(), os.ErrClosed)
}
