// SPDX-License-Identifier: Apache-2.0

package privacycommand

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"strings"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/seal"
)

func unsealCommand() command {
	return command{
		name:    "unseal",
		summary: "Open sealed failed events",
		usage:   "--key FILE… [--audit DIRECTORY --purpose WHY] <SEALED >EVENTS",
		about: `The lines of the standard input are sealed texts (millrace-sealed:…), or JSON objects with sealed texts in them, such as
rows of failed_events in JSONEachRow. Each is answered by a line of JSON: the event, or the object with the events in
it. What cannot be opened stays as it was, with the reason on the standard error, and makes the exit code 1.`,
		flags: func(s *session, f *flag.FlagSet) func([]string) error {
			u := &unseal{session: s}
			f.Var(&u.files, "key", "`FILE` of a private repair key; can be given again")
			f.StringVar(&u.audit, "audit", "", "`DIRECTORY` of an audit log that the use is recorded in before anything is printed")
			f.StringVar(&u.purpose, "purpose", "", "`WHY`, such as a ticket's number, for the audit log")
			f.StringVar(&u.actor, "actor", actor(), "`WHO` asks, for the audit log; this user by default")
			return u.run
		},
	}
}

type unseal struct {
	*session
	files                 list
	audit, purpose, actor string

	keys   *seal.Keys
	log    *audit.File // nil where it is not recorded
	lines  int
	opened map[string]int64 // by key, of what is not recorded yet
	bad    int
	held   bytes.Buffer // answers that are not recorded yet
}

// heldBytes is how much is answered with one record.
const heldBytes = 4 << 20

func (u *unseal) run(args []string) (err error) {
	switch {
	case len(args) > 0:
		return misuse("what is sealed is read from the standard input")
	case len(u.files) == 0:
		return misuse("--key is needed: the private repair key's file")
	case (u.audit == "") != (u.purpose == ""):
		return misuse("--audit and --purpose go together")
	}
	if u.keys, err = seal.LoadKeys(u.files...); err != nil {
		return err
	}
	if u.audit != "" {
		if u.log, err = audit.Open(u.audit, audit.Options{}); err != nil {
			return err
		}
		defer func() { _ = u.log.Close() }()
	}
	u.opened = map[string]int64{}
	err = lines(u.in, func(line string) error {
		u.lines++
		u.held.WriteString(u.line(line))
		u.held.WriteByte('\n')
		if u.held.Len() < heldBytes {
			return nil
		}
		return u.flush()
	})
	if err == nil {
		err = u.flush()
	}
	if err != nil {
		return err
	}
	if u.bad > 0 {
		u.say("%d of what is sealed could not be opened.\n", u.bad)
		return errPartly
	}
	return nil
}

// flush records what was opened, and then prints it.
func (u *unseal) flush() error {
	if u.log != nil {
		var records []audit.Record
		for id, n := range u.opened {
			records = append(records, audit.Record{
				Action: audit.Unsealed, Component: "millrace unseal", Actor: u.actor, Purpose: u.purpose, KeyID: id, Count: n, Outcome: "ok",
			})
		}
		if err := u.log.Write(records...); err != nil {
			return err
		}
	}
	clear(u.opened)
	_, err := u.held.WriteTo(u.out)
	return err
}

// line opens what is sealed in a line.
func (u *unseal) line(line string) string {
	if strings.HasPrefix(line, seal.Prefix) {
		if event, ok := u.open(line); ok {
			return string(event)
		}
		return line
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	var row any
	if err := d.Decode(&row); err != nil || d.More() {
		u.bad++
		u.say("line %d: it is neither a sealed text nor JSON\n", u.lines)
		return line
	}
	var changed bool
	row = u.within(row, &changed)
	if !changed {
		return line
	}
	return encode(row)
}

// within opens sealed texts at any depth.
func (u *unseal) within(v any, changed *bool) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = u.within(e, changed)
		}
	case []any:
		for i, e := range v {
			v[i] = u.within(e, changed)
		}
	case string:
		if !strings.HasPrefix(v, seal.Prefix) {
			return v
		}
		if event, ok := u.open(v); ok {
			*changed = true
			return event
		}
	}
	return v
}

// open returns what a text was made of, as one line of JSON.
func (u *unseal) open(text string) (json.RawMessage, bool) {
	plain, err := u.keys.Open(strings.TrimSpace(text))
	if err != nil {
		u.bad++
		if errors.Is(err, seal.ErrNoKey) {
			id, _ := seal.KeyID(text)
			u.say("line %d: it is sealed to key %s, which was not given\n", u.lines, id)
		} else {
			u.say("line %d: %v\n", u.lines, err)
		}
		return nil, false
	}
	id, _ := seal.KeyID(text)
	u.opened[id]++
	var one bytes.Buffer
	if json.Compact(&one, plain) == nil {
		return one.Bytes(), true
	}
	return json.RawMessage(encode(string(plain))), true
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null" // nothing that was decoded fails
	}
	return strings.TrimSuffix(b.String(), "\n")
}
