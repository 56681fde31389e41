// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/term"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func example() *section {
	return &section{
		name: "exporter", title: "Exporter step", intro: "Some `events`.",
		tables: []table{
			{
				caption: "Batches of 10", columns: []term.Column{{Name: "an event costs"}, {Name: "ratio", Right: true}},
				rows: [][]string{{"client | CPU", "**0.20**"}, {"nothing", ""}},
			},
			goalTable([]goal{atMost("client", 0.25, 0.25), atMost("server", 0.3334, 1.0/3), atLeast("rate", 0.999, 1)}),
		},
		notes: []string{"A note."}, image: "benchmarks/x.svg",
	}
}

func TestSectionAsMarkdown(t *testing.T) { golden(t, "section.md", example().markdown()) }

func TestSectionAtTheTerminalHasNoMarkup(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	example().print(term.New(f))
	require.NoError(t, f.Close())
	text, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	golden(t, "section.txt", string(text))
}

func TestReplaceMeasuredKeepsWordsAndSectionsNotRun(t *testing.T) {
	f := func(page, want string, sections ...section) {
		t.Helper()
		got, err := replaceMeasured(page, sections)
		require.NoError(t, err)
		require.Equal(t, want, got)
		again, err := replaceMeasured(got, sections)
		require.NoError(t, err)
		require.Equal(t, got, again, "the same figures change nothing")
	}
	const before, after = "# Words\n\n<!-- measured: begin -->\n", "\n<!-- measured: end -->\n\nMore words.\n"
	exporter := section{name: "exporter", title: "E", intro: "e."}
	memory := section{name: "memory", title: "M", intro: "m."}
	const e, m = "\n<!-- section: exporter -->\n### E\n\ne.\n", "\n<!-- section: memory -->\n### M\n\nm.\n"
	f(before+after, before+e+after, exporter)
	f(before+"Not measured yet."+after, before+e+after, exporter)
	f(before+m+after, before+e+m+after, exporter)
	f(before+"\n<!-- section: exporter -->\n### Old\n\nold.\n"+m+after, before+e+m+after, exporter)
	f(before+e+after, before+e+m+after, memory)

	for _, page := range []string{"", "<!-- measured: end -->\n<!-- measured: begin -->\n", "<!-- measured: begin -->\n"} {
		_, err := replaceMeasured(page, nil)
		require.ErrorIs(t, err, errNoMarkers)
	}
}

func TestPageThatCannotBeReplacedStaysAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte("# Words\n"), 0o600))
	require.ErrorIs(t, writePage(path, nil), errNoMarkers)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "# Words\n", string(text))
}

func TestPageOfTheProjectHasItsMarks(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "benchmarks.md"))
	require.NoError(t, err)
	_, err = replaceMeasured(string(page), nil)
	require.NoError(t, err)
}

func TestChosenSectionsAreInTheOrderOfThePage(t *testing.T) {
	got, err := chosen("build, exporter,build")
	require.NoError(t, err)
	require.Equal(t, []string{"exporter", "build"}, got)
	_, err = chosen("exporter,speed")
	require.ErrorContains(t, err, `"speed" is no section: give some of exporter,process,log,lake,pii,memory,build,profile`)
	_, err = chosen("machine")
	require.Error(t, err)
}

func TestParseRefusesNonsense(t *testing.T) {
	t.Setenv("BENCH_EVENTS", "many")
	_, err := parse(nil)
	require.ErrorContains(t, err, `BENCH_EVENTS is "many": give a number`)
	t.Setenv("BENCH_EVENTS", "2000")
	o, err := parse(nil)
	require.NoError(t, err)
	require.Equal(t, 2000, o.events)
	_, err = parse([]string{"-rounds", "0"})
	require.ErrorContains(t, err, "-rounds is 0: give at least 1")
	_, err = parse([]string{"what"})
	require.ErrorContains(t, err, `unexpected argument "what"`)
}
