// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/failpoint"
)

const crashDir = "MILLRACE_SEGMENTLOG_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		appendUntilKilled(dir)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendUntilKilled is the child: it tells each acknowledged entry, one a line.
func appendUntilKilled(dir string) {
	l, err := Open(dir, Options{Partitions: 2, SegmentBytes: 128 << 10, Compression: None})
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				name := fmt.Sprintf("%d/%d/%d", os.Getpid(), w, i)
				r, err := l.Append(context.Background(), &Entry{
					IDs: ids(uint64(i), 1), Source: []byte(name), Chunks: []Chunk{{Partition: uint32(w % 2), Records: 1, Data: append([]byte(name+" "), data(i, 4000)...)}},
				})
				if err != nil {
					panic(err)
				}
				mu.Lock()
				fmt.Println(name, w%2, r.First[0], r.Seq)
				mu.Unlock()
				if i%20 == 19 {
					if _, err := l.Remove(func(s SegmentInfo) bool { return s.Number+3 > r.Seq/30 }); err != nil {
						panic(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestAProcessKilledAtAnyStepLosesNothing(t *testing.T) {
	dir := t.TempDir()
	acked := map[string][3]int{} // partition, position, sequence number
	for _, at := range []string{
		failpoint.SegmentCreated, failpoint.AppendWritten + ":20", failpoint.AppendSynced + ":20", failpoint.SegmentCreated + ":2",
		failpoint.SegmentSealed, failpoint.SegmentSealed + ":3", failpoint.SegmentRemoved, failpoint.SegmentRemoved + ":2",
		failpoint.AppendWritten, failpoint.AppendSynced,
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir, failpoint.Variable+"="+at)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var name string
			var v [3]int
			_, err := fmt.Sscan(lines.Text(), &name, &v[0], &v[1], &v[2])
			require.NoError(t, err)
			acked[name] = v
		}
		require.ErrorContains(t, cmd.Wait(), "killed", at)

		l := open(t, dir, Options{Partitions: 2, SegmentBytes: 128 << 10})
		require.NoError(t, l.Verify(t.Context()))
		seen := map[string]int{}
		_, sources := readIDs(t, l, 0)
		for _, s := range sources {
			seen[s]++
		}
		there := map[string]bool{}
		for p := range uint32(2) {
			for _, c := range readAll(t, l, p, l.First(p)) {
				name, _, _ := strings.Cut(c.Data, " ")
				there[name] = true
				if v, ok := acked[name]; ok {
					require.Equal(t, [2]int{int(p), int(c.First)}, [2]int{v[0], v[1]}, name)
				}
			}
		}
		firstSeq := l.segments[0].header.begin.seq
		for name, v := range acked {
			require.Equal(t, 1, seen[name], "%s of %s", name, at)
			require.Equal(t, v[2] >= int(firstSeq), there[name], "%s of %s", name, at)
		}
		require.NoError(t, l.Close())
	}
	require.NotEmpty(t, acked)
}
