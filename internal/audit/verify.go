// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Report is what Verify found.
type Report struct {
	Files, Lines int
	// Torn lines were cut off by a crash: nobody was told that they are written, and the line after names them as they are.
	Torn        int
	First, Last time.Time // of the records
	// Begins is the hash that the first line names: empty at the log's very beginning, else of a line whose file was removed.
	Begins string
	// Head is the hash of the last line. Kept elsewhere it shows later whether lines were cut off the end.
	Head string
	// Known says whether the hash that was asked for is that of a line.
	Known  bool
	Breaks []Break // at most maxBreaks
}

// Break is a place where the chain does not hold: a line was changed, removed or put in.
type Break struct {
	File string
	Line int // from 1
	What string
}

func (b Break) String() string { return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.What) }

const maxBreaks = 100

// Verify reads the whole log and holds each line against the one before. A chain shows that lines were changed or taken out of its
// midst, not that its end was cut off: for that keep a Head, and give it as `known` later; it may be empty. The log may be in use.
func Verify(dir, known string) (Report, error) {
	var r Report
	list, err := days(dir)
	if err != nil {
		return r, fmt.Errorf("listing the audit log: %w", err)
	}
	v := verifier{Report: &r, known: known}
	for i, day := range list {
		v.file = prefix + day + suffix
		if err := v.read(filepath.Join(dir, v.file), i == len(list)-1); err != nil {
			return r, fmt.Errorf("reading the audit log: %w", err)
		}
		r.Files++
	}
	return r, nil // an unreadable line at the very end is torn: whoever can change it can cut it off, too
}

type verifier struct {
	*Report
	known string
	file  string
	any   bool // a line was read
	// unreadable is where the line before is that does not parse: "" for none. It is a torn one if the line after names it.
	unreadable *Break
}

func (v *verifier) read(path string, newest bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReaderSize(f, MaxLine)
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err == nil {
			text = text[:len(text)-1]
		} else if !newest {
			v.broke(n, "the line has no end, and a newer file is there")
		}
		v.line(n, text)
	}
}

func (v *verifier) line(n int, text []byte) {
	own := hash(text)
	var l line
	switch err := json.Unmarshal(text, &l); {
	case err != nil:
		v.settle()
		v.unreadable = &Break{File: v.file, Line: n, What: "the line cannot be read"}
		v.Torn++
	default:
		if !v.any {
			v.Begins, v.First = l.Prev, l.Time
		} else if l.Prev != v.Head {
			v.settle()
			v.broke(n, "the line does not follow the one before it: one was changed, removed or put in")
		}
		v.unreadable = nil
		v.Lines++
		v.Last = l.Time
	}
	v.any = true
	v.Head = own
	v.Known = v.Known || own == v.known
}

// settle is called where no line names the unreadable one before.
func (v *verifier) settle() {
	if v.unreadable == nil {
		return
	}
	if len(v.Breaks) < maxBreaks {
		v.Breaks = append(v.Breaks, *v.unreadable)
	}
	v.Torn--
	v.unreadable = nil
}

func (v *verifier) broke(n int, what string) {
	if len(v.Breaks) < maxBreaks {
		v.Breaks = append(v.Breaks, Break{File: v.file, Line: n, What: what})
	}
}
