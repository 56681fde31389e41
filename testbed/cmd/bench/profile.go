// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/term"
)

// trace is one sample of a CPU profile: how long, and where, the innermost function first.
type trace struct {
	value time.Duration
	stack []string
}

// parseTraces reads what `go tool pprof -traces` prints.
func parseTraces(text string) ([]trace, error) {
	var out []trace
	fresh := false
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "-----------+") {
			fresh = true
			continue
		}
		value, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case !fresh && len(out) == 0: // the heading
		case fresh && strings.HasSuffix(value, ":"): // a label
		case fresh:
			d, err := time.ParseDuration(value)
			if err != nil {
				return nil, fmt.Errorf("reading the profile: %w", err)
			}
			out = append(out, trace{d, []string{strings.TrimSpace(name)}})
			fresh = false
		default:
			last := &out[len(out)-1]
			last.stack = append(last.stack, strings.TrimSpace(line))
		}
	}
	return out, lines.Err()
}

// shares are what the time is spent on, in words. A sample belongs to the first function, from the innermost out, that
// one of them names by a part of its name; so allocation done while building columns counts as allocation.
var shares = []struct {
	name  string
	parts []string
}{
	{"LZ4 compression", []string{"lz4"}},
	{"checksums of what is sent", []string{"cityhash", "city.", "go-faster/city"}},
	{"sending and waiting for the answer", []string{"syscall.", "internal/poll.", "net.(", "runtime.netpoll", "crypto/tls"}},
	{"allocating and freeing memory", []string{"runtime.mallocgc", "runtime.growslice", "runtime.gc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.(*mheap)", "runtime.(*mcache)", "runtime.newobject", "runtime.makeslice"}},
	{"sorting events", []string{"sort.", "slices.Sort", "slices.pdq", "slices.insertionSort", "SortFunc", "event.Sorted", "event.(*Sorted", "event.(*sort"}},
	{"building columns", []string{"internal/native", "clickhouseeventsexporter", "ch-go/proto", "clickhouse-go/v2/lib/column", "clickhouse-go/v2/lib/proto"}},
	{"reading events", []string{"internal/event", "pdata", "internal/schema"}},
	{"the driver, the rest of it", []string{"clickhouse-go", "ch-go"}},
	{"Go's runtime, the rest of it", []string{"runtime."}},
}

const otherShare = "other"

// prepared says whether a sample is of making the events rather than of exporting them. What the collector frees is
// mostly theirs too: the benchmark collects between batches.
func (t *trace) prepared() bool {
	exports := slices.ContainsFunc(t.stack, func(f string) bool { return strings.Contains(f, "ConsumeLogs") })
	if exports {
		return false
	}
	return slices.ContainsFunc(t.stack, func(f string) bool {
		return f == "main.export" || strings.HasPrefix(f, "main.next") || strings.Contains(f, "runtime.gcBgMarkWorker") || strings.Contains(f, "runtime.bgsweep") || strings.Contains(f, "testbed/load")
	})
}

func (t *trace) share() string {
	for _, f := range t.stack {
		for _, s := range shares {
			if slices.ContainsFunc(s.parts, func(p string) bool { return strings.Contains(f, p) && notGeneric(f, p) }) {
				if strings.HasPrefix(f, "runtime.") && s.name == "Go's runtime, the rest of it" {
					continue // whoever called it may say more
				}
				return s.name
			}
		}
	}
	if len(t.stack) > 0 && strings.HasPrefix(t.stack[len(t.stack)-1], "runtime.") {
		return "Go's runtime, the rest of it"
	}
	return otherShare
}

// notGeneric says whether the part is of the function's own name and not of a type it is instantiated with.
func notGeneric(f, part string) bool {
	own, _, _ := strings.Cut(f, "[")
	return strings.Contains(own, part)
}

const longestName = 80

// shortName leaves a function its package's last element.
func shortName(f string) string {
	f = strings.TrimSuffix(f, " (inline)")
	path, _, _ := strings.Cut(f, "[") // a type argument has a path of its own
	f = f[strings.LastIndexByte(path, '/')+1:]
	if len(f) > longestName { // range functions inlined into one another
		f = f[:longestName] + "…"
	}
	return f
}

// inner names the innermost function, and who called it where that is Go's runtime: memmove alone says nothing.
func (t *trace) inner() string {
	leaf := "`" + shortName(t.stack[0]) + "`"
	if !strings.HasPrefix(t.stack[0], "runtime.") {
		return leaf
	}
	for _, f := range t.stack {
		if !strings.HasPrefix(f, "runtime.") {
			return leaf + " for `" + shortName(f) + "`"
		}
	}
	return leaf
}

type entry struct {
	name string
	d    time.Duration
}

// ranked sums the samples by key, the greatest first.
func ranked(traces []trace, key func(*trace) string) []entry {
	sums := map[string]time.Duration{}
	for i := range traces {
		sums[key(&traces[i])] += traces[i].value
	}
	out := make([]entry, 0, len(sums))
	for name, d := range sums {
		out = append(out, entry{name, d})
	}
	slices.SortFunc(out, func(a, b entry) int {
		if a.d != b.d {
			return int(b.d - a.d)
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

func (b *bench) profile(ctx context.Context) (s section, err error) {
	ctx, e, err := b.startEngine(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = e.end(ctx, err) }()
	const batch = 50_000
	b.out.Live("  profile: Millrace's exporter")
	file := filepath.Join(b.dir, "cpu.prof")
	if _, err := b.export(ctx, e, both[1], b.events, batch, "--cpuprofile", file); err != nil {
		return s, err
	}
	text, _, err := b.runToEnd(ctx, nil, "go", "tool", "pprof", "-traces", peers, file)
	if err != nil {
		return s, err
	}
	all, err := parseTraces(text)
	if err != nil {
		return s, err
	}
	exporting := slices.DeleteFunc(all, func(t trace) bool { return t.prepared() })
	var total time.Duration
	for _, t := range exporting {
		total += t.value
	}
	if total == 0 {
		return s, errors.New("the profile has no sample of the exporter: send more events")
	}
	list := func(caption, name string, entries []entry) table {
		t := table{caption: caption, columns: []term.Column{{Name: name}, {Name: "share of CPU", Right: true}}}
		for _, x := range entries {
			t.rows = append(t.rows, []string{x.name, fixed(100*float64(x.d)/float64(total), 1) + " %"})
		}
		return t
	}
	inner := ranked(exporting, func(t *trace) string { return t.inner() })
	s = section{
		title: "Where Millrace's exporter spends its CPU",
		intro: fmt.Sprintf("A CPU profile of the exporter step, %s events in batches of %s; %.1f s of samples. Making the events is left out, and so is the collector of garbage that runs beside.",
			term.Number(int64(b.events)), term.Number(batch), total.Seconds()),
		tables: []table{
			list("", "on what", ranked(exporting, (*trace).share)),
			list("The functions themselves, without what they call", "function", inner[:min(15, len(inner))]),
		},
	}
	return s, nil
}
