// SPDX-License-Identifier: Apache-2.0

package privacycommand

import (
	"flag"
	"regexp"
	"time"

	"github.com/millrace/millrace/internal/audit"
)

func auditCommand() command {
	return group("audit", "Check the audit log", command{
		name: "verify", usage: "[--head HASH] DIRECTORY", summary: "Hold each line of the log against the one before",
		about: `Each line has the SHA-256 of the one before, so that one that was changed, put in or taken out shows. The end can be cut
off without a trace: keep the head that this prints somewhere else, and give it the next time. The log may be in use.`,
		flags: func(s *session, f *flag.FlagSet) func([]string) error {
			head := f.String("head", "", "`HASH` that was printed before: it must still be there")
			return func(args []string) error {
				if len(args) != 1 {
					return misuse("name the log's directory")
				}
				if *head != "" && !sha256Hex.MatchString(*head) {
					return misuse("--head must be the 64 digits that were printed before")
				}
				return s.verify(args[0], *head)
			}
		},
	})
}

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (s *session) verify(dir, head string) error {
	r, err := audit.Verify(dir, head)
	if err != nil {
		return err
	}
	if r.Lines == 0 {
		s.print("There is no record in %s.\n", dir)
	} else {
		s.print("%d records in %d files, %s to %s.\n", r.Lines, r.Files, r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
		if r.Begins != "" {
			s.print("Days before the first one were removed.\n")
		}
		if r.Torn > 0 {
			s.print("%d lines were cut off by a crash, of which nobody was told that they are written.\n", r.Torn)
		}
		s.print("head %s\n", r.Head)
	}
	for _, b := range r.Breaks {
		s.say("%s\n", b)
	}
	missing := head != "" && !r.Known
	if missing {
		s.say("The line of the head that was given is not there: the log was cut off, or its day was removed.\n")
	}
	if len(r.Breaks) > 0 || missing {
		s.say("The log is not as it was written.\n")
		return errPartly
	}
	return nil
}
