// SPDX-License-Identifier: Apache-2.0

package privacycommand

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/disclosure"
	"github.com/millrace/millrace/internal/masking"
)

func detokenizeCommand() command {
	return command{
		name:    "detokenize",
		summary: "Read tokens back, with an audit record of each use",
		usage: "--admin URL --token-file FILE --purpose WHY [--tenant T] [VALUE…]\n" +
			"--key ID=FILE… --audit DIRECTORY --purpose WHY [--tenant T] [VALUE…]",
		about: `Values are tokens (tk_…, er_…) or texts with tokens in them; without any, the lines of the standard input, of which those
without a token pass. Each is answered by one line, in order. What cannot be read stays as it was, with the reason on
the standard error, and makes the exit code 1.

With --admin a running collector does it, and records it. With --key it is done here: of tk_ alone, since the keys
of persons are in the collector's store. Then --audit is needed, and no other process may write that log.`,
		flags: func(s *session, f *flag.FlagSet) func([]string) error {
			d := &detokenize{session: s, admin: adminFlags(f)}
			f.Var(&d.keys, "key", "`ID=FILE` of a key of the key_store; can be given again")
			f.StringVar(&d.tenant, "tenant", "", "`TENANT` of the events that have the tokens; none by default")
			f.StringVar(&d.purpose, "purpose", "", "`WHY`, such as a ticket's number, for the audit log")
			f.StringVar(&d.audit, "audit", "", "`DIRECTORY` of an audit log, with --key")
			f.BoolVar(&d.json, "json", false, "answer in JSON: an object with value or error for each")
			return d.run
		},
	}
}

type detokenize struct {
	*session
	admin *admin
	keys  list

	tenant, purpose, audit string
	json                   bool

	read   func(values []string) ([]disclosure.Value, error)
	stream bool // of lines, of which some have no token
	n      int  // values answered
	bad    int  // of them without their value
}

// Bounds of what is read at once: the collector's.
const (
	maxValues     = 1000
	maxValueBytes = 512 << 10
)

func (d *detokenize) run(args []string) error {
	if err := needPurpose(d.purpose); err != nil {
		return err
	}
	switch {
	case (d.admin.url != "") == (len(d.keys) > 0):
		return misuse("give either --admin, or --key and --audit")
	case d.admin.url != "":
		if d.audit != "" {
			return misuse("--audit is for --key: with --admin the collector records it")
		}
		if err := d.admin.open(); err != nil {
			return err
		}
		d.read = d.ask
	default:
		end, err := d.openKeys()
		if err != nil {
			return err
		}
		defer end()
	}
	if err := d.each(args); err != nil {
		return err
	}
	if d.bad > 0 {
		d.say("%d of %d could not be read.\n", d.bad, d.n)
		return errPartly
	}
	return nil
}

func needPurpose(purpose string) error {
	if strings.TrimSpace(purpose) == "" {
		return misuse("--purpose is needed: say why, such as a ticket's number")
	}
	return nil
}

// ask has the collector read values.
func (d *detokenize) ask(values []string) ([]disclosure.Value, error) {
	var answer struct {
		Values []struct {
			Value *string `json:"value"`
			Error string  `json:"error"`
		} `json:"values"`
	}
	question := map[string]any{"tenant": d.tenant, "purpose": d.purpose, "values": values}
	if err := d.admin.post(d.ctx, "/v1/detokenize", question, &answer); err != nil {
		return nil, err
	}
	if len(answer.Values) != len(values) {
		return nil, fmt.Errorf("the collector answered %d of %d values", len(answer.Values), len(values))
	}
	out := make([]disclosure.Value, len(values))
	for i, v := range answer.Values {
		if v.Value == nil {
			out[i].Reason = cmp(v.Error, disclosure.Failed)
		} else {
			out[i].Text = *v.Value
		}
	}
	return out, nil
}

func cmp(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// openKeys has values read here, when a record of it is on the disk.
func (d *detokenize) openKeys() (end func(), err error) {
	if d.audit == "" {
		return nil, misuse("--audit is needed with --key: no value is read unrecorded")
	}
	ring, err := ringOf(d.ctx, d.keys)
	if err != nil {
		return nil, err
	}
	log, err := audit.Open(d.audit, audit.Options{})
	if err != nil {
		return nil, err
	}
	reader := masking.Reader{Ring: ring}
	base := audit.Record{Component: "millrace detokenize", Actor: d.admin.actor, Purpose: d.purpose, Tenant: d.tenant}
	d.read = func(values []string) ([]disclosure.Value, error) {
		r := disclosure.Read(reader, values, d.tenant, base)
		if err := log.Write(r.Records...); err != nil {
			return nil, err
		}
		return r.Values, nil
	}
	return func() { _ = log.Close() }, nil
}

// each reads the arguments, or the lines of the input, some at a time.
func (d *detokenize) each(args []string) error {
	if len(args) > 0 {
		for len(args) > 0 {
			n := min(len(args), maxValues)
			if err := d.answer(args[:n]); err != nil {
				return err
			}
			args = args[n:]
		}
		return nil
	}
	d.stream = true
	var values []string
	size := 0
	err := lines(d.in, func(line string) error {
		if len(values) == maxValues || size+len(line) > maxValueBytes && len(values) > 0 {
			if err := d.answer(values); err != nil {
				return err
			}
			values, size = values[:0], 0
		}
		values, size = append(values, line), size+len(line)
		return nil
	})
	if err != nil || len(values) == 0 {
		return err
	}
	return d.answer(values)
}

func (d *detokenize) answer(values []string) error {
	read, err := d.read(values)
	if err != nil {
		return err
	}
	for i, v := range read {
		d.n++
		switch {
		case d.json && v.Reason != "":
			d.line(map[string]string{"error": v.Reason})
		case d.json:
			d.line(map[string]string{"value": v.Text})
		case v.Reason != "":
			d.print("%s\n", printable(values[i]))
		default:
			d.print("%s\n", printable(v.Text))
		}
		if v.Reason != "" && (!d.stream || v.Reason != disclosure.NotMasked) {
			d.bad++
			d.say("value %d: %s\n", d.n, explain(v.Reason, d.admin.url != ""))
		}
	}
	return nil
}

func (d *detokenize) line(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		return // no text fails
	}
	d.print("%s\n", b)
}

// explain says what a reason means.
func explain(reason string, online bool) string {
	switch reason {
	case disclosure.Erased:
		return "the person was erased: nobody can read it any more"
	case disclosure.UnknownKey:
		if !online {
			return "its key was not given; values that begin with er_ need --admin"
		}
		return "its key is not, or not any more, in that key_store"
	case disclosure.Forged:
		return "it was not made with this key for this tenant (see --tenant), or was changed"
	case disclosure.Irreversible:
		return "it is a pseudonym: nothing can turn it back"
	case disclosure.NotMasked:
		return "there is no token in it"
	}
	return "it failed; the collector's log says why"
}

// printable is text as it is, or quoted where it would do something to a terminal or to the lines.
func printable(text string) string {
	for _, c := range text {
		if !unicode.IsPrint(c) {
			return strconv.Quote(text)
		}
	}
	return text
}

// lines calls f with each line, without its end.
func lines(in io.Reader, f func(line string) error) error {
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			if line == "" {
				return nil
			}
		} else if err != nil {
			return fmt.Errorf("reading input: %w", err)
		}
		if err := f(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")); err != nil {
			return err
		}
	}
}
