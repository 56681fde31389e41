// SPDX-License-Identifier: Apache-2.0

// Package gcpace spends a bounded amount of memory on fewer garbage collections. Events that wait for their delivery, a
// quarter of a second of them, are a live heap of some tens of megabytes that Go marks anew each time the heap has doubled:
// a sixth of all CPU. With room for 384 MiB of garbage, whatever the live heap, that falls to a quarter. A machine or container
// with less than 6 GiB has a sixteenth of its memory for it.
package gcpace

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
)

const (
	// mostHeadroom is how much garbage may lie about before it is collected, in bytes. A live heap of more than that is
	// collected when it has doubled, as Go does.
	mostHeadroom = 384 << 20
	shareOfTotal = 16 // of the machine's or container's memory, at most a part in so many

	standard   = 100 // Go's own
	mostAllows = 800 // a heap of a few megabytes is not worth more
)

// Pace holds the process's pace of collection until Stop.
type Pace struct {
	mu       sync.Mutex // guards all; the runtime's finalizer goroutine and Stop
	headroom uint64
	percent  int
	stopped  bool
}

var (
	owners   int
	ownersMu sync.Mutex // guards owners and current
	current  *Pace
)

// Start begins to pace, unless GOGC or GOMEMLIMIT is set: then the operator has decided. It may be called by several; the
// last Stop ends it.
func Start() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	ownersMu.Lock()
	defer ownersMu.Unlock()
	if owners++; owners == 1 {
		current = &Pace{headroom: headroomOf(totalMemory("/proc/meminfo", "/sys/fs/cgroup/memory.max")), percent: standard}
		current.set()
		current.arm()
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			ownersMu.Lock()
			defer ownersMu.Unlock()
			if owners--; owners == 0 {
				current.stop()
				current = nil
			}
		})
	}
}

// sentinel is garbage from the beginning: its cleanup runs after the next collection.
type sentinel struct{ _ [16]byte }

// arm asks to be told of the next collection.
func (p *Pace) arm() {
	runtime.AddCleanup(&sentinel{}, func(p *Pace) {
		if p.set() {
			p.arm()
		}
	}, p)
}

// set adapts the pace to the live heap, and says whether it is still wanted.
func (p *Pace) set() bool {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return false // another runtime: Go's own pace it is
	}
	want := percentFor(sample[0].Value.Uint64(), p.headroom)
	// Setting it stops the world for a moment: not for a trifle.
	if math.Abs(float64(want-p.percent)) > 0.1*float64(p.percent) {
		p.percent = want
		debug.SetGCPercent(want)
	}
	return true
}

func (p *Pace) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	debug.SetGCPercent(standard)
}

// percentFor is the pace at which a live heap may grow by the headroom.
func percentFor(live, headroom uint64) int {
	return int(min(max(100*headroom/max(live, 1), standard), mostAllows))
}

func headroomOf(total uint64) uint64 { return min(mostHeadroom, total/shareOfTotal) }

// totalMemory is the lesser of the machine's and the container's, in bytes; 0 if neither is known.
func totalMemory(meminfo, cgroup string) uint64 {
	total := uint64(math.MaxUint64)
	if raw, err := os.ReadFile(cgroup); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64); err == nil { // else it is "max"
			total = n
		}
	}
	if raw, err := os.ReadFile(meminfo); err == nil {
		for line := range strings.Lines(string(raw)) {
			fields := strings.Fields(line)
			if len(fields) < 2 || fields[0] != "MemTotal:" {
				continue
			}
			if n, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
				total = min(total, n<<10)
			}
		}
	}
	if total == math.MaxUint64 {
		return 0
	}
	return total
}
