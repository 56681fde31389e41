// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/term"
)

// cpuOf returns the user and system time that each process has used, in steps of 10 ms. Children are not counted.
func cpuOf(pids ...int) ([]time.Duration, error) {
	var out []time.Duration
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return nil, fmt.Errorf("reading CPU time: %w", err)
		}
		// The second field is the program's name in parentheses, and may hold anything.
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		var user, system int64
		if len(fields) < 13 {
			return nil, fmt.Errorf("reading CPU time: %q has too few fields", raw)
		}
		if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
			return nil, fmt.Errorf("reading CPU time: %w", err)
		}
		out = append(out, time.Duration(user+system)*(time.Second/100)) // USER_HZ is 100 on every Linux
	}
	return out, nil
}

// peakOf is the highest resident memory of a process so far, in bytes.
func peakOf(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading memory: %w", err)
	}
	_, after, _ := strings.Cut(string(raw), "VmHWM:")
	var kb int64
	if _, err := fmt.Sscan(after, &kb); err != nil {
		return 0, fmt.Errorf("reading memory: %w", err)
	}
	return kb << 10, nil
}

// part is what time is spent on.
type part struct {
	name, column string
	names        []string // that functions have in theirs
}

// parts are all of them but what is left. A sample belongs to the first function, from the innermost out, that one of them names.
var parts = []part{
	{"windows and sessions: the engine", "engine", []string{"internal/window.", "internal/session.", "internal/keyed.", "internal/aggregate.", "internal/sketch", "internal/watermark.", "windowaggregationprocessor.", "sessionizationprocessor."}},
	{"reading events' fields", "fields", []string{"internal/event."}},
	{"decoding into pdata", "pdata", []string{"pdata/"}},
	{"results: encoding, and inserting into ClickHouse", "results", []string{"internal/result.", "clickhouseeventsexporter", "internal/native", "ch-go", "clickhouse-go", "lz4", "go-faster/city"}},
	{"checkpoints: the state store", "state_store", []string{"internal/state.", "cockroachdb/"}},
	{"reading the log", "log", []string{"internal/segmentlog.", "klauspost/compress", "eventlogconnector.", "internal/idindex"}},
	{"handing out deliveries", "deliveries", []string{"internal/delivery."}},
	{"Go's runtime: collecting garbage, scheduling", "runtime", []string{"runtime."}},
}

// shares prints what a profiled run has spent its time on, and returns it in percent.
func (r *run) shares(ctx context.Context, query, file string) (map[string]float64, error) {
	text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", r.self, file).Output()
	if err != nil {
		return nil, fmt.Errorf("reading the profile: %w", err)
	}
	sums, total, err := sumTraces(string(text))
	if err != nil {
		return nil, err
	}
	shares := map[string]float64{}
	var rows [][]string
	for _, p := range append(slices.Clone(parts), part{name: other}) {
		shares[p.name] = 100 * sums[p.name].Seconds() / total.Seconds()
		rows = append(rows, []string{p.name, fmt.Sprintf("%.1f", shares[p.name])})
	}
	r.out.Printf("\n  %s: %.0f%% of its CPU time is the engine's, %.0f%% the pipeline's around it; %.1f s of samples of a run of its own\n",
		query, shares[parts[0].name], 100-shares[parts[0].name], total.Seconds())
	r.out.Table("  ", []term.Column{{Name: "on what"}, {Name: "%", Right: true}}, rows)
	return shares, nil
}

const other = "other"

// sumTraces reads what `go tool pprof -traces` prints.
func sumTraces(text string) (sums map[string]time.Duration, total time.Duration, err error) {
	sums = map[string]time.Duration{}
	var value time.Duration
	var stack []string
	end := func() {
		if len(stack) > 0 {
			sums[partOf(stack)] += value
			total += value
		}
		stack = nil
	}
	heading := true
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "-----------+") {
			end()
			heading = false
			continue
		}
		first, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case heading, len(stack) == 0 && strings.HasSuffix(first, ":"): // a label
		case len(stack) == 0:
			if value, err = time.ParseDuration(first); err != nil {
				return nil, 0, fmt.Errorf("reading the profile: %w", err)
			}
			stack = []string{strings.TrimSpace(rest)}
		default:
			stack = append(stack, strings.TrimSpace(line))
		}
	}
	end()
	if total == 0 {
		return nil, 0, errors.New("the profile has no samples")
	}
	return sums, total, lines.Err()
}

func partOf(stack []string) string {
	onlyRuntime := true
	for _, f := range stack {
		name, _, _ := strings.Cut(f, "[") // a type argument has a path of its own
		if strings.HasPrefix(name, "runtime.") {
			continue // who called it says more
		}
		onlyRuntime = false
		for _, p := range parts {
			if slices.ContainsFunc(p.names, func(n string) bool { return strings.Contains(name, n) }) {
				return p.name
			}
		}
	}
	if onlyRuntime {
		return parts[len(parts)-1].name
	}
	return other
}
