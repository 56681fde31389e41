// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/keyring"
)

// purgeTimeout bounds one attempt to remove what is left of erasures: the next look at the sources is not to wait for it for long.
const purgeTimeout = time.Minute

// What problems are of.
const (
	ofKey     = "key " // and the ID
	ofSources = "sources"
	ofTokens  = "tokens"
	ofPurge   = "purge"
	ofRewrap  = "rewrap"
	ofAudit   = "audit"
)

// watch begins to look at the sources, and to wrap persons' keys anew.
func (s *keyStore) watch(ctx context.Context) {
	if s.subjects != nil {
		s.rewrap <- struct{}{} // what a former process may not have come to the end of
		s.work.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-s.rewrap:
					s.wrapAnew(ctx)
					s.rewrapped()
				}
			}
		})
	}
	every, reload := s.cfg.ReloadInterval, true
	if every == 0 { // what is left of erasures is tried again all the same
		if every, reload = defaultReloadInterval, false; s.subjects == nil {
			return
		}
	}
	ticks, stop := s.newTicker(every)
	s.work.Go(func() {
		defer stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks:
				if reload {
					s.look(ctx)
				}
				s.finish(ctx)
				s.looked()
			}
		}
	})
}

// look reads everything anew that can change.
func (s *keyStore) look(ctx context.Context) {
	changes, err := s.ring.Reload(ctx)
	if ctx.Err() != nil {
		return
	}
	for _, c := range changes {
		s.changed(c)
	}
	s.report(ofSources, err)
	if s.admin != nil {
		s.report(ofTokens, s.admin.reload())
	}
}

// finish tries again what a full disk has kept from being done.
func (s *keyStore) finish(ctx context.Context) {
	if s.unwrapped.Load() {
		s.wantRewrap()
	}
	if s.subjects != nil && s.subjects.Unpurged() > 0 {
		limited, cancel := context.WithTimeout(ctx, purgeTimeout)
		err := s.subjects.Purge(limited)
		cancel()
		if ctx.Err() != nil {
			return
		}
		s.report(ofPurge, err)
	} else {
		s.report(ofPurge, nil)
	}
}

// changed deals with what became of a key.
func (s *keyStore) changed(c keyring.Change) {
	switch c.What {
	case keyring.Withdrawn:
		if s.subjects != nil {
			s.subjects.DropCache()
		}
		s.report(ofKey+c.KeyID, errors.New(c.Reason))
	case keyring.Refused:
		s.report(ofKey+c.KeyID, errors.New(c.Reason))
	case keyring.Returned:
		s.report(ofKey+c.KeyID, nil)
		s.wantRewrap()
	case keyring.BecameCurrent:
		s.wantRewrap()
	}
	s.logger.Info("A key changed", zap.String("key", c.KeyID), zap.String("what", string(c.What)))
	// What has changed has changed: a log that is full cannot keep it from being so.
	s.report(ofAudit, s.record(audit.Record{Action: audit.KeyChanged, KeyID: c.KeyID, Outcome: string(c.What)}))
}

func (s *keyStore) wantRewrap() {
	select {
	case s.rewrap <- struct{}{}:
	default: // it is wanted already
	}
}

// wrapAnew has all persons' keys wrapped by the current key, so that older ones can be taken away.
func (s *keyStore) wrapAnew(ctx context.Context) {
	n, err := s.subjects.Rewrap(ctx)
	if ctx.Err() != nil {
		return // the next start goes on
	}
	s.report(ofRewrap, err)
	// What lacks a key waits for the key.
	s.unwrapped.Store(err != nil && !errors.Is(err, keyring.ErrNoKey))
	if n == 0 {
		return
	}
	s.logger.Info("Wrapped the keys of persons anew", zap.Int("keys", n))
	outcome := "rewrapped"
	if err != nil {
		outcome = "rewrapped_in_part"
	}
	record := audit.Record{Action: audit.KeyChanged, Count: int64(n), Outcome: outcome}
	if current, err := s.ring.Current(); err == nil {
		record.KeyID = current.ID()
	}
	s.report(ofAudit, s.record(record))
}

// report tells of a problem when it is new, and of its end: err is nil. The component's status is an error while there is any.
func (s *keyStore) report(of string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.problems[of]
	if err == nil {
		if before == "" {
			return
		}
		delete(s.problems, of)
		s.logger.Info("A problem of the key store has ended", zap.String("of", of))
	} else {
		text := strings.ReplaceAll(err.Error(), "\n", "; ")
		if text == before {
			return
		}
		s.problems[of] = text
		s.logger.Error("The key store has a problem", zap.String("of", of), zap.String("problem", text))
	}
	if len(s.problems) == 0 {
		componentstatus.ReportStatus(s.host, componentstatus.NewEvent(componentstatus.StatusOK))
		return
	}
	first := slices.Sorted(maps.Keys(s.problems))[0]
	componentstatus.ReportStatus(s.host, componentstatus.NewRecoverableErrorEvent(fmt.Errorf("%s: %s", first, s.problems[first])))
}

func (s *keyStore) countProblems() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.problems)
}

func (s *keyStore) withdrawn() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of := range s.problems {
		if strings.HasPrefix(of, ofKey) {
			n++
		}
	}
	return n
}
