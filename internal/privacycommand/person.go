// SPDX-License-Identifier: Apache-2.0

package privacycommand

import (
	"flag"
	"time"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/disclosure"
)

func eraseCommand() command {
	return command{
		name:    "erase",
		summary: "Have persons forgotten: destroy their keys, for good",
		usage:   "--admin URL --token-file FILE --purpose WHY [--tenant T] SUBJECT…",
		about: `A subject is a user ID or an anonymous ID, as events have it when they come; or an er_ value of the person, where all
that is known of the ID is its pseudonym in the tables. What was written under its key cannot be read any more,
wherever it is, and its later events are suppressed. Nothing can undo it; asking again changes nothing.`,
		flags: func(s *session, f *flag.FlagSet) func([]string) error {
			a := adminFlags(f)
			tenant := f.String("tenant", "", "`TENANT` of the person's events; none by default")
			purpose := f.String("purpose", "", "`WHY`, such as a request's number, for the audit log")
			return func(args []string) error {
				if err := needPurpose(*purpose); err != nil {
					return err
				}
				if len(args) == 0 {
					return misuse("name at least one subject")
				}
				if err := a.open(); err != nil {
					return err
				}
				return s.erase(a, *tenant, *purpose, args)
			}
		},
	}
}

func (s *session) erase(a *admin, tenant, purpose string, subjects []string) error {
	pending := 0
	for i, subject := range subjects {
		var answer struct {
			Handle  string    `json:"handle"`
			At      time.Time `json:"at"`
			HadKey  bool      `json:"had_key"`
			Already bool      `json:"already"`
			Pending bool      `json:"pending"`
		}
		err := a.post(s.ctx, "/v1/erase", map[string]any{"tenant": tenant, "subject": subject, "purpose": purpose}, &answer)
		if err != nil {
			s.say("Erased %d of %d; asking again for those changes nothing.\n", i, len(subjects))
			return err
		}
		what := "erased"
		switch {
		case answer.Already:
			what = "was erased before"
		case !answer.HadKey:
			what = "erased; there was no key yet"
		}
		s.print("%s  %s  %s  %s\n", printable(answer.Handle), answer.At.UTC().Format(time.RFC3339), what, printable(subject))
		if answer.Pending {
			pending++
		}
	}
	if pending > 0 {
		s.say("The keys of %d cannot be used any more, and their bytes are still to be removed from the disk:\n"+
			"the collector tries again by itself; its log says what is in the way.\n", pending)
		return errPartly
	}
	return nil
}

func pseudonymCommand() command {
	return command{
		name:    "pseudonym",
		summary: "Print what a value is written as, under each key, to find a person in the tables",
		usage: "--admin URL --token-file FILE --purpose WHY --class CLASS [--tenant T] VALUE\n" +
			"--key ID=FILE… --audit DIRECTORY --purpose WHY --class CLASS [--tenant T] VALUE",
		about: `Each line has the key's ID, whether it is of an action with per_tenant, the pseudonym, and the UUID that stands where
there must be one.`,
		flags: func(s *session, f *flag.FlagSet) func([]string) error {
			p := &pseudonym{session: s, admin: adminFlags(f)}
			f.Var(&p.keys, "key", "`ID=FILE` of a key of the key_store; can be given again")
			f.StringVar(&p.class, "class", "", "`CLASS` of personal data, such as email or phone")
			f.StringVar(&p.tenant, "tenant", "", "`TENANT`, for actions with per_tenant")
			f.StringVar(&p.purpose, "purpose", "", "`WHY`, such as a ticket's number, for the audit log")
			f.StringVar(&p.audit, "audit", "", "`DIRECTORY` of an audit log, with --key")
			return p.run
		},
	}
}

type pseudonym struct {
	*session
	admin *admin
	keys  list

	class, tenant, purpose, audit string
}

func (p *pseudonym) run(args []string) error {
	if err := needPurpose(p.purpose); err != nil {
		return err
	}
	switch {
	case p.class == "":
		return misuse("--class is needed, such as email")
	case len(args) != 1:
		return misuse("give one value")
	case (p.admin.url != "") == (len(p.keys) > 0):
		return misuse("give either --admin, or --key and --audit")
	}
	list, err := p.find(args[0])
	if err != nil {
		return err
	}
	for _, v := range list {
		scope := "shared"
		if v.PerTenant {
			scope = "per_tenant"
		}
		p.print("%s  %s  %s  %s\n", printable(v.KeyID), scope, printable(v.Text), printable(v.UUID))
	}
	return nil
}

func (p *pseudonym) find(value string) ([]disclosure.Pseudonym, error) {
	if p.admin.url != "" {
		if err := p.admin.open(); err != nil {
			return nil, err
		}
		var answer struct {
			Pseudonyms []disclosure.Pseudonym `json:"pseudonyms"`
		}
		err := p.admin.post(p.ctx, "/v1/pseudonym", map[string]any{"class": p.class, "value": value, "tenant": p.tenant, "purpose": p.purpose}, &answer)
		return answer.Pseudonyms, err
	}
	if p.audit == "" {
		return nil, misuse("--audit is needed with --key: nobody is looked up unrecorded")
	}
	ring, err := ringOf(p.ctx, p.keys)
	if err != nil {
		return nil, err
	}
	list, err := disclosure.Pseudonyms(ring, p.class, value, p.tenant)
	if err != nil {
		return nil, err
	}
	log, err := audit.Open(p.audit, audit.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	return list, log.Write(audit.Record{
		Action: audit.LookedUp, Component: "millrace pseudonym", Actor: p.admin.actor, Purpose: p.purpose, Tenant: p.tenant,
		Class: p.class, Masking: "pseudonym", Count: 1, Outcome: "ok",
	})
}
