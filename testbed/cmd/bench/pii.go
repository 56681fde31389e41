// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/millrace/millrace/testbed/term"
)

// piiCost is what `peers pii` prints of one side.
type piiCost struct {
	CPU         series  `json:"cpu_microseconds"`
	Allocations series  `json:"allocations"`
	Bytes       series  `json:"bytes"`
	Changed     float64 `json:"changed"`
}

type piiResult struct {
	Scenario struct {
		Every       int    `json:"every"`
		Expressions string `json:"expressions"`
	} `json:"scenario"`
	Events  int     `json:"events"`
	Contrib piiCost `json:"contrib"`
	Ours    piiCost `json:"ours"`
}

// piiRounds is more than other sections have: a round takes a second or two.
const piiRounds = 7

// pii compares contrib's redaction processor and our masking, both fed from memory.
func (b *bench) pii(ctx context.Context) (s section, err error) {
	rounds := max(piiRounds, b.rounds)
	b.out.Live("  pii: both processors in turn")
	out, _, err := b.runToEnd(ctx, nil, peers, "pii", "--rounds", strconv.Itoa(rounds))
	if err != nil {
		return s, err
	}
	var results []piiResult
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		return s, fmt.Errorf("reading what peers pii printed: %w", err)
	}
	return piiSection(results, rounds), nil
}

func piiSection(results []piiResult, rounds int) section {
	s := section{title: "Personal data: masking"}
	speed := table{
		caption: "Events a second and core",
		columns: []term.Column{{Name: "events with personal data"}, {Name: "contrib", Right: true}, {Name: "Millrace", Right: true}, {Name: "ratio, median", Right: true}, {Name: "ratio of each round"}},
	}
	garbage := table{
		caption: "Of an event",
		columns: []term.Column{{Name: "events with personal data"}, {Name: "allocations, contrib", Right: true}, {Name: "Millrace", Right: true}, {Name: "bytes, contrib", Right: true}, {Name: "Millrace", Right: true},
			{Name: "events changed, contrib", Right: true}, {Name: "Millrace", Right: true}},
	}
	var goals []goal
	for _, r := range results {
		name := map[int]string{0: "none", 1: "every one", 10: "one of ten"}[r.Scenario.Every]
		five := r.Scenario.Expressions == "five"
		if !five {
			name += "; contrib's README's two expressions for cards in place of one"
		}
		contrib, ours := r.Contrib.CPU.rate(), r.Ours.CPU.rate()
		ratio := ours.over(contrib)
		speed.rows = append(speed.rows, []string{name, contrib.spread(0), ours.spread(0), "**" + fixed(ratio.median(), 1) + "**", ratio.all()})
		garbage.rows = append(garbage.rows, []string{
			name, fixed(r.Contrib.Allocations.median(), 2), fixed(r.Ours.Allocations.median(), 2), fixed(r.Contrib.Bytes.median(), 0), fixed(r.Ours.Bytes.median(), 0),
			fixed(100*r.Contrib.Changed, 1) + " %", fixed(100*r.Ours.Changed, 1) + " %",
		})
		if five {
			goals = append(goals, atLeast("events a second and core against contrib, personal data in "+name, ratio.median(), 20))
		}
		if five && r.Scenario.Every == 0 {
			// What the collector itself allocates for a batch is some allocations for 1,000 events.
			goals = append(goals, atMost("allocations of an event without personal data", r.Ours.Allocations.median(), 0.02))
		}
		s.intro = fmt.Sprintf("%s events a turn in batches of 1,000, 20 attributes each of which five are free text of 40 to 200 characters; rounds: %d, contrib and Millrace in turn on one thread. "+
			"Contrib's `redaction` looks for five classes, Millrace for twelve.", term.Number(int64(r.Events)), rounds)
	}
	s.tables = []table{speed, garbage, goalTable(goals)}
	return s
}

// rate turns microseconds for one into how many a second.
func (s series) rate() series {
	out := make(series, len(s))
	for i, v := range s {
		out[i] = 1e6 / v
	}
	return out
}
