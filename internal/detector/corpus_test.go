// SPDX-License-Identifier: Apache-2.0

package detector

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// example is a line of a corpus: a text with what is to be found in it between ⟦ and ⟧, after the text's key and a tab where it
// has one. ⟦class|…⟧ is of another class than the file.
type example struct {
	line      int
	key, text string
	want      []Finding // without rules
}

func readCorpus(t testing.TB, name string) []example {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	require.NoError(t, err)
	var all []example
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		e := example{line: i + 1}
		if key, text, ok := strings.Cut(line, "\t"); ok {
			e.key, line = key, text
		}
		line = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\xff`, "\xff").Replace(line)
		for {
			before, rest, ok := strings.Cut(line, "⟦")
			e.text += before
			if !ok {
				break
			}
			value, after, ok := strings.Cut(rest, "⟧")
			require.True(t, ok, "%s:%d", name, i+1)
			class := Class(name)
			if c, v, ok := strings.Cut(value, "|"); ok && classBit(Class(c)) != 0 {
				class, value = Class(c), v
			}
			e.want = append(e.want, Finding{Start: len(e.text), End: len(e.text) + len(value), Class: class})
			e.text += value
			line = after
		}
		all = append(all, e)
	}
	return all
}

func show(text string, findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "\n\t%s %s %q", f.Class, f.Rule, text[f.Start:f.End])
	}
	return b.String()
}

func sameSpans(a, b []Finding) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Start != b[i].Start || a[i].End != b[i].End || a[i].Class != b[i].Class {
			return false
		}
	}
	return true
}

func testDetector(t testing.TB) *Detector {
	t.Helper()
	d, err := New(Config{})
	require.NoError(t, err)
	return d
}

func TestEachClassFindsWhatItsCorpusMarksAndNothingElse(t *testing.T) {
	d := testDetector(t)
	for _, class := range Classes {
		t.Run(string(class), func(t *testing.T) {
			for _, e := range readCorpus(t, string(class)) {
				got := d.Find(nil, e.text, HintOf(e.key))
				if !sameSpans(got, e.want) {
					t.Errorf("%s.txt:%d: key %q text %q\nfound:%s\nwant:%s", class, e.line, e.key, e.text, show(e.text, got), show(e.text, e.want))
				}
			}
		})
	}
}

func TestNothingIsFoundInWhatLooksAlike(t *testing.T) {
	d := testDetector(t)
	for _, e := range readCorpus(t, "lookalikes") {
		if got := d.Find(nil, e.text, HintOf(e.key)); len(got) > 0 {
			t.Errorf("lookalikes.txt:%d: key %q text %q\nfound:%s", e.line, e.key, e.text, show(e.text, got))
		}
	}
}
