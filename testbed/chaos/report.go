// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/term"
)

// MedianServe and MaxServe say how long restarts took until every door was open; 0 if there was none.
func (p *PhaseReport) MedianServe() time.Duration {
	if len(p.Serve) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(p.Serve))
	return sorted[len(sorted)/2]
}

// MaxServe is the longest.
func (p *PhaseReport) MaxServe() time.Duration {
	if len(p.Serve) == 0 {
		return 0
	}
	return slices.Max(p.Serve)
}

func seconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// Print writes the report as two tables: what was done how often, and what came of it.
func (r *Report) Print(out *term.Out) {
	var phases []string
	var faults []string
	counts := map[string]map[string]int{}
	for _, p := range r.Phases {
		if len(p.Faults) == 0 {
			continue
		}
		phases = append(phases, p.Phase)
		for _, f := range p.Faults {
			if counts[f.Name] == nil {
				counts[f.Name] = map[string]int{}
				faults = append(faults, f.Name)
			}
			counts[f.Name][p.Phase] = f.Times
		}
	}
	rank := func(name string) int { return slices.Index(r.order(), name) }
	slices.SortStableFunc(faults, func(a, b string) int { return rank(a) - rank(b) })
	rows := [][]string{}
	for _, f := range faults {
		total, where := 0, ""
		for _, p := range phases {
			if n := counts[f][p]; n > 0 {
				total += n
				if where != "" {
					where += "; "
				}
				where += fmt.Sprintf("%d × %s", n, p)
			}
		}
		rows = append(rows, []string{f, strconv.Itoa(total), where})
	}
	out.Table("  ", []term.Column{{Name: "killed at, or broken by"}, {Name: "times", Right: true}, {Name: "in"}}, rows)
	out.Printf("\n")

	rows = rows[:0]
	var lakes [][]string
	var sum Outcome
	times := 0
	for _, p := range r.Phases {
		if p.Skipped != "" {
			rows = append(rows, []string{p.Phase, "SKIPPED"})
			continue
		}
		times += p.Kills()
		sum.Events += p.Events
		sum.Retries += p.Retries
		sum.Lost += p.Lost
		sum.Duplicated += p.Duplicated
		sum.Altered += p.Altered
		sum.Lake.add(&p.Lake)
		lakes = append(lakes, append([]string{p.Phase}, p.Lake.numbers()...))
		rows = append(rows, []string{
			p.Phase, strconv.Itoa(p.Kills()), seconds(p.MedianServe()), seconds(p.MaxServe()), number(p.Events), number(p.Retries),
			number(p.Lost), number(p.Duplicated), number(p.Altered),
		})
	}
	rows = append(rows, []string{"all", strconv.Itoa(times), "", "", number(sum.Events), number(sum.Retries), number(sum.Lost), number(sum.Duplicated), number(sum.Altered)})
	out.Table("  ", []term.Column{
		{Name: "phase"}, {Name: "times", Right: true}, {Name: "serving, median s", Right: true}, {Name: "max s", Right: true}, {Name: "events", Right: true},
		{Name: "requests repeated", Right: true}, {Name: "lost", Right: true}, {Name: "duplicated", Right: true}, {Name: "altered", Right: true},
	}, rows)
	lakes = append(lakes, append([]string{"all"}, sum.Lake.numbers()...))
	out.Printf("\n")
	columns := []term.Column{{Name: "the lake, in phase"}}
	for _, name := range lakeNumbers {
		columns = append(columns, term.Column{Name: name, Right: true})
	}
	out.Table("  ", columns, lakes)
	r.printResults(out)
	for _, p := range r.Phases {
		for _, s := range append(p.Samples, p.Lake.Samples...) {
			out.Printf("  %s: %s\n", p.Phase, s)
		}
		if p.Results != nil {
			for _, s := range p.Results.Samples {
				out.Printf("  %s: %s\n", p.Phase, s)
			}
		}
		if p.Skipped != "" {
			out.Printf("\n  %s\n", out.Bad("SKIPPED: "+p.Phase+": "+p.Skipped))
		}
	}
	if len(r.NeverHit) > 0 {
		out.Printf("\n  %s\n", out.Bad(fmt.Sprintf("never hit: %q", r.NeverHit)))
	}
}

// printResults writes what came of comparing results, where that was done.
func (r *Report) printResults(out *term.Out) {
	var rows [][]string
	var sum Results
	for _, p := range r.Phases {
		if p.Results != nil {
			sum.add(p.Results)
			rows = append(rows, append([]string{p.Phase}, p.Results.numbers()...))
		}
	}
	if rows == nil {
		return
	}
	rows = append(rows, append([]string{"all"}, sum.numbers()...))
	columns := []term.Column{{Name: "against an undisturbed run, in phase"}}
	for _, name := range resultNumbers {
		columns = append(columns, term.Column{Name: name, Right: true})
	}
	out.Printf("\n")
	out.Table("  ", columns, rows)
}

// order is that of faults in tables: as an event passes the steps, then the rest as it came.
func (r *Report) order() []string {
	names := slices.Clone(stepNames)
	for _, p := range r.Phases {
		for _, f := range p.Faults {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// WriteCSV writes the record: a row for each way to break something, and one for each phase.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = false
	rows := [][]string{{"phase", "broken_by", "times", "serving_median_s", "serving_max_s", "events", "requests_repeated", "lost", "duplicated", "altered"}}
	for _, name := range lakeNumbers {
		rows[0] = append(rows[0], "lake_"+strings.ReplaceAll(name, " ", "_"))
	}
	for _, name := range resultNumbers {
		rows[0] = append(rows[0], "results_"+strings.ReplaceAll(name, " ", "_"))
	}
	none := slices.Repeat([]string{""}, len(resultNumbers))
	blank := slices.Repeat([]string{""}, len(lakeNumbers)+len(resultNumbers))
	order := r.order()
	for _, p := range r.Phases {
		if p.Skipped != "" {
			rows = append(rows, []string{p.Phase, "skipped: " + p.Skipped, "0", "", "", "", "", "", "", ""})
			rows[len(rows)-1] = append(rows[len(rows)-1], blank...)
			continue
		}
		faults := slices.Clone(p.Faults)
		slices.SortFunc(faults, func(a, b *Fault) int { return slices.Index(order, a.Name) - slices.Index(order, b.Name) })
		for _, f := range faults {
			rows = append(rows, []string{p.Phase, f.Name, strconv.Itoa(f.Times), "", "", "", "", "", "", ""})
			rows[len(rows)-1] = append(rows[len(rows)-1], blank...)
		}
		rows = append(rows, []string{
			p.Phase, "all", strconv.Itoa(p.Kills()), seconds(p.MedianServe()), seconds(p.MaxServe()), number(p.Events), number(p.Retries),
			number(p.Lost), number(p.Duplicated), number(p.Altered),
		})
		results := none
		if p.Results != nil {
			results = p.Results.numbers()
		}
		rows[len(rows)-1] = slices.Concat(rows[len(rows)-1], p.Lake.numbers(), results)
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	return nil
}
