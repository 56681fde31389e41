// SPDX-License-Identifier: Apache-2.0

// Package privacycommand is the sub-commands of millrace for those who hold keys: making keys, reading values back, having a person
// forgotten, checking the audit log, opening sealed events.
package privacycommand

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strings"
)

// Exit codes.
const (
	done    = 0
	failed  = 1 // all, or some of what was asked for; what was not is said
	misused = 2
)

// command is one sub-command.
type command struct {
	name    string
	summary string
	usage   string // what follows the name
	about   string // a paragraph or two
	// flags declares the flags and returns what runs when they have been read.
	flags func(s *session, f *flag.FlagSet) func(args []string) error
}

func commands() []command {
	return []command{keysCommand(), detokenizeCommand(), eraseCommand(), pseudonymCommand(), auditCommand(), unsealCommand()}
}

// session is one run of a command.
type session struct {
	ctx context.Context
	in  io.Reader
	out io.Writer
	err io.Writer
}

func (s *session) print(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }
func (s *session) say(format string, args ...any)   { _, _ = fmt.Fprintf(s.err, format, args...) }

// usageError is what the user has to call otherwise.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misuse(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// errPartly says that all has been told already, and that not all was done.
var errPartly = errors.New("not all was done")

// errMisused says that it has been told already how to call it.
var errMisused = errors.New("misused")

// Known says whether name is one of the commands.
func Known(name string) bool {
	return slices.ContainsFunc(commands(), func(c command) bool { return c.name == name })
}

// Run runs the command that args begin with, which must be Known, and returns the exit code.
func Run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	all := commands()
	c := all[slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })]
	return run(&session{ctx: ctx, in: in, out: out, err: err}, "millrace "+c.name, c, args[1:])
}

func run(s *session, path string, c command, args []string) int {
	f := flag.NewFlagSet(path, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	act := c.flags(s, f)
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(s.out, path, c, f)
		return done
	case err != nil:
		s.say("%s: %v\nRun `%s --help` for what it takes.\n", path, err, path)
		return misused
	}
	err := act(f.Args())
	var usage *usageError
	switch {
	case err == nil:
		return done
	case errors.Is(err, errMisused):
		return misused
	case errors.As(err, &usage):
		s.say("%s: %v\nRun `%s --help` for what it takes.\n", path, err, path)
		return misused
	case !errors.Is(err, errPartly):
		s.say("%s: %v\n", path, err)
	}
	return failed
}

func help(w io.Writer, path string, c command, f *flag.FlagSet) {
	_, _ = fmt.Fprintf(w, "%s\n\nUsage:\n", c.summary)
	for line := range strings.SplitSeq(c.usage, "\n") {
		_, _ = fmt.Fprintf(w, "  %s\n", strings.TrimSpace(path+" "+line))
	}
	if c.about != "" {
		_, _ = fmt.Fprintf(w, "\n%s\n", c.about)
	}
	var lines [][2]string
	width := 0
	f.VisitAll(func(f *flag.Flag) {
		name, usage := flag.UnquoteUsage(f)
		left := strings.TrimSpace("--" + f.Name + " " + name)
		lines = append(lines, [2]string{left, usage})
		width = max(width, len(left))
	})
	if len(lines) > 0 {
		_, _ = fmt.Fprint(w, "\nFlags:\n")
	}
	for _, l := range lines {
		_, _ = fmt.Fprintf(w, "  %-*s  %s\n", width, l[0], l[1])
	}
}

// group is a command that has commands of its own.
func group(name, summary string, parts ...command) command {
	var usage, about []string
	for _, p := range parts {
		usage = append(usage, strings.TrimSpace(p.name+" "+p.usage))
		about = append(about, fmt.Sprintf("  %-12s %s", p.name, p.summary))
	}
	return command{
		name: name, summary: summary, usage: strings.Join(usage, "\n"), about: strings.Join(about, "\n"),
		flags: func(s *session, _ *flag.FlagSet) func([]string) error {
			return func(args []string) error {
				if len(args) == 0 {
					return misuse("which one?")
				}
				i := slices.IndexFunc(parts, func(p command) bool { return p.name == args[0] })
				if i < 0 {
					return misuse("there is no %q", args[0])
				}
				switch run(s, "millrace "+name+" "+args[0], parts[i], args[1:]) {
				case done:
					return nil
				case misused:
					return errMisused
				}
				return errPartly
			}
		},
	}
}

// list is a flag that can be given again and again.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

// Set adds one.
func (l *list) Set(text string) error {
	*l = append(*l, text)
	return nil
}

// actor is who the audit log names where nobody else is named: the user of the operating system.
func actor() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}
