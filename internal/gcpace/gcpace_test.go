// SPDX-License-Identifier: Apache-2.0

package gcpace

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheRoomForGarbageIsBounded(t *testing.T) {
	f := func(liveMiB uint64, want int) {
		t.Helper()
		require.Equal(t, want, percentFor(liveMiB<<20, 256<<20))
	}
	f(0, 800)
	f(32, 800)
	f(64, 400)
	f(128, 200)
	f(256, 100)
	f(4096, 100)
}

func TestALittleMemoryHasLittleRoom(t *testing.T) {
	f := func(meminfo, cgroup string, want uint64) {
		t.Helper()
		dir := t.TempDir()
		write := func(name, content string) string {
			path := filepath.Join(dir, name)
			if content != "" {
				require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			}
			return path
		}
		require.Equal(t, want, headroomOf(totalMemory(write("meminfo", meminfo), write("memory.max", cgroup))))
	}
	const machine = "MemTotal:       16777216 kB\nMemFree: 1 kB\n"
	f(machine, "max\n", mostHeadroom)
	f(machine, "1073741824\n", 64<<20)
	f("MemTotal: 2097152 kB\n", "", 128<<20)
	f("", "", 0)
	f("MemTotal: nonsense\n", "nonsense\n", 0)
	require.Equal(t, 100, percentFor(1<<20, 0), "what is not known is left to Go")
}

func percent() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}} // reading it by setting it would undo what is set meanwhile
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

func TestThePaceFollowsTheLiveHeapUntilTheLastStop(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := percent()
	stop, stopToo := Start(), Start()
	live := make([][]byte, 0, 200)
	for range 200 {
		live = append(live, make([]byte, 1<<20))
	}
	require.Eventually(t, func() bool { runtime.GC(); p := percent(); return p > 100 && p < 300 }, time.Minute, time.Millisecond)
	runtime.KeepAlive(live)
	require.Eventually(t, func() bool { runtime.GC(); return percent() > 400 }, time.Minute, time.Millisecond)
	stop()
	stop()
	require.Greater(t, percent(), 400, "somebody else still wants it")
	stopToo()
	require.Equal(t, 100, percent())
	debug.SetGCPercent(before)
}

func TestWhatTheOperatorSetStays(t *testing.T) {
	t.Setenv("GOGC", "50")
	before := percent()
	stop := Start()
	require.Equal(t, before, percent())
	stop()
	require.Equal(t, before, percent())
}
