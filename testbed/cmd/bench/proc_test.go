// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCPUTimeIsReadWhateverTheProgramIsCalled(t *testing.T) {
	got, err := parseStat("7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20")
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, got)
	_, err = parseStat("7 (a) S 1 2")
	require.ErrorContains(t, err, "too few fields")
}

func TestMemoryIsReadInBytes(t *testing.T) {
	now, peak, err := parseStatus("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")
	require.NoError(t, err)
	require.Equal(t, [2]int64{1 << 20, 2 << 20}, [2]int64{now, peak})
	_, _, err = parseStatus("Name:\tzombie\n")
	require.Error(t, err)
}

func TestOwnProcessCanBeRead(t *testing.T) {
	_, err := cpuOf(os.Getpid())
	require.NoError(t, err)
	now, peak, err := memoryOf(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, now)
	require.GreaterOrEqual(t, peak, now)
}

func TestChildIsStoppedWhenTheRunIs(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	p, err := launch("sleep", filepath.Join(t.TempDir(), "log"), nil, nil, "sleep", "1000")
	require.NoError(t, err)
	why := errors.New("interrupted")
	cancel(why)
	require.ErrorIs(t, finish(ctx, p), why)
	<-p.Exited()
}

func TestChildThatFailsIsQuoted(t *testing.T) {
	var out bytes.Buffer
	p, err := launch("the child", filepath.Join(t.TempDir(), "log"), &out, []string{"WORD=ouch"}, "sh", "-c", "echo fine; echo $WORD >&2; exit 3")
	require.NoError(t, err)
	err = finish(context.Background(), p)
	require.ErrorContains(t, err, "the child is gone: exit status 3")
	require.ErrorContains(t, err, "ouch")
	require.Equal(t, "fine\n", out.String())
}

func TestSamplesEndWithTheProcess(t *testing.T) {
	p, err := launch("sleep", filepath.Join(t.TempDir(), "log"), nil, nil, "sleep", "1000")
	require.NoError(t, err)
	require.NoError(t, p.Stop(stopTimeout))
	var s samples
	s.sample(context.Background(), p.PID())
	require.Empty(t, s.seconds)
	require.Equal(t, "seconds,rss_megabytes\n0.0,1.5\n1.0,20.2\n", string((&samples{series{0, 1}, series{1.5, 20.24}}).csv()))
}
