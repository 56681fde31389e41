// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/testbed/enginetest"
)

func options(t *testing.T, kills int, phases ...string) Options {
	t.Helper()
	enginetest.Library(t)
	binary := os.Getenv("MILLRACE_BINARY")
	if binary == "" {
		binary = filepath.Join("..", "..", "bin", "millrace")
	}
	return Options{
		Binary: binary, Root: filepath.Join("..", ".."), Dir: t.TempDir(), Seed: rand.Uint64N(1_000_000), Kills: kills, Rate: 1000, Phases: phases, soon: true,
		Logf: func(format string, args ...any) { t.Logf(format, args...) },
	}
}

// requireNothingLost runs it and holds it to the guarantee.
func requireNothingLost(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil || !r.OK() {
		logs, _ := filepath.Glob(filepath.Join(o.Dir, "*", "collector.log"))
		for _, log := range logs {
			b, _ := os.ReadFile(log)
			lines := strings.Split(string(b), "\n")
			t.Logf("the end of %s:\n%s", log, strings.Join(lines[max(0, len(lines)-15):], "\n"))
		}
	}
	require.NoError(t, err, "seed %d", o.Seed)
	for _, p := range r.Phases {
		if p.Skipped != "" {
			t.Logf("SKIPPED: %s: %s", p.Phase, p.Skipped)
			continue
		}
		require.True(t, p.Outcome.OK(), "seed %d: %s: %d lost, %d duplicated, %d altered: %v; in the lake %d lost, %d duplicated, %d altered, %d faults: %v",
			o.Seed, p.Phase, p.Lost, p.Duplicated, p.Altered, p.Samples, p.Lake.Lost, p.Lake.Duplicated, p.Lake.Altered, p.Lake.Faults, p.Lake.Samples)
		t.Logf("%s, %s: %d events; the lake: %v are %v", p.Phase, p.Took.Round(time.Second/10), p.Events, lakeNumbers, p.Lake.numbers())
		require.Equal(t, p.Events, p.Lake.Rows)
		require.NotZero(t, p.Events)
		require.NotZero(t, p.Kills())
		if p.Results != nil {
			require.True(t, p.Results.OK(), "seed %d: %s: %v are %v: %v", o.Seed, p.Phase, resultNumbers, p.Results.numbers(), p.Results.Samples)
			t.Logf("against an undisturbed run: %v are %v", resultNumbers, p.Results.numbers())
		}
	}
	require.Empty(t, r.NeverHit)
	return r
}

// A slice of what `make chaos` runs at length. segment.removed is left out, since it needs ten seconds to come.
func TestNothingIsLostOrDoubledByKillsAtAnyStep(t *testing.T) {
	t.Parallel()
	o := options(t, len(failpoint.Names), PhaseKills)
	o.Steps = slices.DeleteFunc(slices.Clone(failpoint.Names), func(s string) bool { return s == failpoint.SegmentRemoved })
	requireNothingLost(t, o)
}

func TestNothingIsLostOrDoubledWhenTheEngineDiesWithTheCollector(t *testing.T) {
	t.Parallel()
	o := options(t, 3, PhaseKillsChild)
	o.Steps = []string{failpoint.InsertAfter}
	requireNothingLost(t, o)
}

func TestSessionsAndWindowsAreThoseOfARunThatNobodyDisturbed(t *testing.T) {
	t.Parallel()
	o := options(t, 10, PhaseResults)
	o.Steps = []string{
		failpoint.DeliveryRecorded, failpoint.DeliveryDone, failpoint.CheckpointBefore, failpoint.CheckpointAfter, failpoint.OutboxBefore, failpoint.OutboxAfter,
		failpoint.InsertAfter,
	}
	r := requireNothingLost(t, o)
	require.NotNil(t, r.Phases[0].Results)
	require.NotZero(t, r.Phases[0].Results.Ticks)
	require.NotZero(t, r.Phases[0].Results.Late)
}

func TestNothingIsLostOrDoubledByATornTailOrAFreeze(t *testing.T) {
	t.Parallel()
	requireNothingLost(t, options(t, 1, PhaseTail, PhaseFreeze))
}

func TestNothingIsLostOrDoubledByAFullDiskOrTheEnginesEnd(t *testing.T) {
	t.Parallel()
	requireNothingLost(t, options(t, 1, PhaseDisk, PhaseEngine))
}

func TestNothingOfTheLakeIsLostOrDoubledWhenItsDiskIsFullOrItsStoreIsAway(t *testing.T) {
	t.Parallel()
	requireNothingLost(t, options(t, 1, PhaseLakeDisk, PhaseStore))
}

// A harness that sees nothing proves nothing.
func TestWhatIsWrongIsSeen(t *testing.T) {
	t.Parallel()
	o := options(t, 1, PhaseKills)
	o.Steps = []string{}
	o.overlays = []string{`{connectors: {event_log: {deduplication: {enabled: false}}}}`}
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.False(t, r.OK())
	require.NotZero(t, r.Phases[0].Duplicated, "the generator sends duplicates, and nothing drops them")
	require.Zero(t, r.Phases[0].Lost)
	require.NotZero(t, r.Phases[0].Lake.Duplicated)
	require.Zero(t, r.Phases[0].Lake.Lost)
}

func TestPlanHasEveryStepAndRandomMoments(t *testing.T) {
	f := func(kills int, steps []string, wantSteps int) {
		t.Helper()
		p := plan(rand.New(rand.NewPCG(1, 2)), kills, steps)
		require.Len(t, p, kills)
		seen := map[string]bool{}
		for _, k := range p {
			seen[k.step] = true
			require.Equal(t, k.step == randomMoment, k.count == 0)
		}
		require.Equal(t, kills > wantSteps, seen[randomMoment])
		delete(seen, randomMoment)
		require.Len(t, seen, wantSteps)
	}
	f(50, failpoint.Names, len(failpoint.Names))
	f(5, failpoint.Names, 5)
	f(4, nil, 0)
	for _, s := range failpoint.Names {
		require.NotZero(t, often[s], s)
	}
}
