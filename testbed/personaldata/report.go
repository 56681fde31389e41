// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/detector"
)

// Bar is what a class must reach, both in recall and in precision, on each labelled corpus; 0 where none is set.
func Bar(class detector.Class) float64 {
	switch class {
	case detector.PaymentCard, detector.IBAN, detector.NationalID, detector.CryptoWallet:
		return 0.98
	case detector.Email, detector.Phone, detector.IPAddress:
		return 0.95
	}
	return 0
}

const (
	reportBegin = "<!-- personal data: begin -->\n"
	reportEnd   = "<!-- personal data: end -->\n"
)

var errNoMarks = errors.New("the page lacks the line " + strings.TrimSpace(reportBegin) + " or a later line " + strings.TrimSpace(reportEnd))

// IntoPage puts a report in the place of the one that the page has.
func IntoPage(page, report string) (string, error) {
	before, rest, ok := strings.Cut(page, reportBegin)
	if !ok {
		return "", errNoMarks
	}
	_, after, ok := strings.Cut(rest, reportEnd)
	if !ok {
		return "", errNoMarks
	}
	return before + reportBegin + "\n" + strings.TrimSpace(report) + "\n\n" + reportEnd + after, nil
}

// Markdown is the report for people: the tables, and what was missed by class and form.
func Markdown(results []*Result, code *CodeResult) string {
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "#### %s\n\n%s\n\n", r.Corpus, describe(r))
		b.WriteString("| class | labels | recall | precision | exact | bytes uncovered | open ones found | bar |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n")
		for _, class := range detector.Classes {
			s := r.Scores[class]
			if s.Labels+s.Findings+s.Open == 0 {
				continue
			}
			fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s | %s | %s |\n", class, s.Labels,
				figure(s.Recall(), s.Labels), figure(s.Precision(), s.Findings), percent(s.Exact, s.Found), percent(s.Uncovered, s.Bytes), of(s.OpenFound, s.Open), verdict(class, s))
		}
		b.WriteString("\n" + faultTable(r.Faults))
	}
	fmt.Fprintf(&b, "#### code\n\n%.0f MB in %d files of Go's tree (%s) and of the modules' documents, as %d paragraphs under the key `message`. What the judge does not hold for right is wrong.\n\n",
		float64(code.Bytes)/1e6, code.Files, GoVersion(), code.Texts)
	b.WriteString("| class | found | right | right by exception | wrong | wrong in a megabyte |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, class := range detector.Classes {
		s := code.Scores[class]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %.3f |\n", class, s.Findings, s.Right, s.Allowed, s.Wrong(), code.PerMegabyte(s.Wrong()))
	}
	fmt.Fprintf(&b, "\nOf %d e-mail addresses that an expression finds there and the judge holds for right, %d were found. Exceptions are ", code.Addresses, code.AddressesFound)
	for i, e := range exceptions {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s in `%s` (%s)", e.class, e.file, e.why)
	}
	b.WriteString(".\n\n" + faultTable(code.Faults))
	b.WriteString("Each of them is listed, up to " + strconv.Itoa(mostOfAKind) + " of a kind, in [personal-data.csv](benchmarks/personal-data.csv).\n")
	return b.String()
}

func describe(r *Result) string {
	text := fmt.Sprintf("%d texts, %.0f kB", r.Samples, float64(r.Bytes)/1e3)
	if len(r.Languages) > 1 {
		text += fmt.Sprintf(", %d languages or locales", len(r.Languages))
	}
	return text + "."
}

func verdict(class detector.Class, s *Score) string {
	bar := Bar(class)
	switch {
	case bar == 0 || s.Labels == 0:
		return ""
	case s.Recall() >= bar && s.Precision() >= bar:
		return fmt.Sprintf("%.2f: met", bar)
	}
	return fmt.Sprintf("%.2f: **missed**", bar)
}

func figure(v float64, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.4f", v)
}

func percent(of, all int) string {
	if all == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*share(of, all))
}

func of(n, all int) string {
	if all == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d", n, all)
}

// kindOf puts like faults together.
func kindOf(f *Fault) string {
	if f.Missed() {
		return string(f.Class) + "\x00missed\x00" + f.Form
	}
	return string(f.Class) + "\x00wrong\x00" + f.Rule
}

// faultTable says how many there are of each kind, with one of them.
func faultTable(faults []Fault) string {
	if len(faults) == 0 {
		return "Nothing was missed and nothing wrong was found.\n\n"
	}
	counts, first := map[string]int{}, map[string]*Fault{}
	var kinds []string
	sortFaults(faults)
	for i := range faults {
		kind := kindOf(&faults[i])
		if counts[kind]++; counts[kind] == 1 {
			kinds, first[kind] = append(kinds, kind), &faults[i]
		}
	}
	var b strings.Builder
	b.WriteString("| class | missed or wrong | form or rule | how often | for example |\n| --- | --- | --- | ---: | --- |\n")
	for _, kind := range kinds {
		parts := strings.Split(kind, "\x00")
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s |\n", parts[0], parts[1], parts[2], counts[kind], inCell(first[kind].shown()))
	}
	return b.String() + "\n"
}

// shown is the text around a fault as far as it may stand in a page: no addresses of people who wrote what is in the corpus "code", and no
// tokens, since those who look through repositories for tokens would find them.
func (f *Fault) shown() string {
	if f.Corpus == "code" && f.Class == detector.Email {
		return "in " + f.Origin
	}
	if f.Class == detector.Secret || f.Class == detector.Password {
		return fmt.Sprintf("%d characters that begin with %s", len(f.Value), f.Value[:min(4, len(f.Value))])
	}
	return f.Around
}

// inCell is a text within a cell of a table.
func inCell(text string) string {
	if len(text) > 160 {
		text = strings.ToValidUTF8(text[:160], "") + "…"
	}
	text = strings.NewReplacer("\n", "⏎", "\r", "", "\t", " ", "|", "¦", "`", "'", "\x00", "").Replace(text)
	return "`" + strings.TrimSpace(text) + "`"
}

// mostOfAKind bounds the CSV.
const mostOfAKind = 20

// CSV lists what was missed and what was found wrongly.
func CSV(results []*Result, code *CodeResult) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	rows := [][]string{{"corpus", "class", "missed_or_wrong", "form_or_rule", "language", "origin", "key", "text"}}
	list := func(faults []Fault) {
		sortFaults(faults)
		counts := map[string]int{}
		for i := range faults {
			f := &faults[i]
			kind := kindOf(f)
			if counts[kind]++; counts[kind] > mostOfAKind {
				continue
			}
			parts := strings.Split(kind, "\x00")
			rows = append(rows, []string{f.Corpus, parts[0], parts[1], parts[2], f.Language, f.Origin, f.Key, strings.ReplaceAll(strings.ReplaceAll(f.shown(), "\r", ""), "\n", "⏎")})
		}
	}
	for _, r := range results {
		list(r.Faults)
	}
	list(code.Faults)
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("writing the CSV: %w", err)
	}
	return out.Bytes(), nil
}
