// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/extension/keystoreextension/internal/metadata"
	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/keystore"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/state"
	"github.com/millrace/millrace/internal/subjectkey"
)

// keyStore is the extension.
type keyStore struct {
	cfg       *Config
	id        component.ID
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	// What follows is set before Start only, by tests.
	now       func() time.Time
	newTicker func(time.Duration) (ticks <-chan time.Time, stop func())
	looked    func() // called after each look at the sources
	rewrapped func() // called after each attempt to wrap persons' keys anew
	sources   map[string]keyring.Source

	// Written by Start, before anybody else is there; read by anyone.
	host     component.Host
	ring     *keyring.KeyRing
	subjects *subjectkey.Keys // nil where off
	log      *audit.File      // nil where off
	repair   *seal.PublicKey  // nil where off
	admin    *admin           // nil where off
	owned    [16]byte         // the ID of the store whose persons' keys are ours

	mu       sync.Mutex        // guards problems; any goroutine
	problems map[string]string // by what they are of; see report

	unwrapped atomic.Bool // wrapping persons' keys anew has failed, and is to be tried again; any goroutine

	rewrap chan struct{} // has room for one: that persons' keys are to be wrapped anew
	cancel context.CancelFunc
	work   sync.WaitGroup // the goroutines that Start began
}

var (
	_ extension.Extension             = (*keyStore)(nil)
	_ extensioncapabilities.Dependent = (*keyStore)(nil)
	_ keystore.Provider               = (*keyStore)(nil)
)

// owners has the IDs of the stores whose persons' keys an extension of this process has: two would know nothing of each other's
// erasures.
var owners sync.Map

func newKeyStore(cfg *Config, id component.ID, set component.TelemetrySettings) (*keyStore, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	return &keyStore{
		cfg: cfg, id: id, logger: set.Logger, telemetry: telemetry,
		now: time.Now, looked: func() {}, rewrapped: func() {},
		newTicker: func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		},
		problems: map[string]string{}, rewrap: make(chan struct{}, 1),
	}, nil
}

// Dependencies has the stores opened before, and closed after.
func (s *keyStore) Dependencies() []component.ID {
	var ids []component.ID
	if s.cfg.Storage != nil {
		ids = append(ids, *s.cfg.Storage)
	}
	if s.cfg.Subjects.Enabled && (s.cfg.Storage == nil || *s.cfg.Storage != s.cfg.Subjects.Storage) {
		ids = append(ids, s.cfg.Subjects.Storage)
	}
	return ids
}

// Ring has the keys.
func (s *keyStore) Ring() keyring.Ring { return s.ring }

// Subjects has the keys of persons; nil where they are off.
func (s *keyStore) Subjects() subjectkey.Store {
	if s.subjects == nil {
		return nil
	}
	return s.subjects
}

// Audit is the audit log; nil where there is none.
func (s *keyStore) Audit() audit.Log {
	if s.log == nil {
		return nil
	}
	return s.log
}

// RepairKey is what failed events are sealed to; nil where there is none.
func (s *keyStore) RepairKey() *seal.PublicKey { return s.repair }

// Start reads the keys, or fails: without them nothing that is to be masked may pass.
func (s *keyStore) Start(ctx context.Context, host component.Host) error {
	s.host = host
	if err := s.start(ctx); err != nil {
		return errors.Join(err, s.Shutdown(ctx))
	}
	return nil
}

func (s *keyStore) start(ctx context.Context) error {
	if err := s.openRing(ctx); err != nil {
		return err
	}
	if path := s.cfg.RepairKey.PublicKeyFile; path != "" {
		var err error
		if s.repair, err = seal.LoadPublic(path); err != nil {
			return fmt.Errorf("repair_key::public_key_file: %w", err)
		}
	}
	if dir := s.cfg.Audit.Directory; dir != "" {
		var err error
		if s.log, err = audit.Open(dir, audit.Options{Now: s.now}); err != nil {
			return fmt.Errorf("audit::directory: %w", err)
		}
		// It shows at once whether the log can be written.
		if err := s.record(s.keyRecords("loaded")...); err != nil {
			return err
		}
	}
	if err := s.openSubjects(); err != nil {
		return err
	}
	if err := s.observe(); err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if s.cfg.Admin != nil {
		a, err := newAdmin(s, s.cfg.Admin)
		if err != nil {
			return err
		}
		s.admin = a
		if err := a.start(ctx); err != nil {
			return err
		}
	}
	s.watch(running)
	s.logger.Info("Opened the key store", zap.Strings("keys", s.ring.IDs()), zap.Bool("subjects", s.subjects != nil), zap.Bool("audit", s.log != nil))
	return nil
}

// openRing reads the keys, and holds each against what it was when it was used before.
func (s *keyStore) openRing(ctx context.Context) error {
	known := map[string]string{}
	var store state.Store
	if deps := s.Dependencies(); len(deps) > 0 {
		var err error
		if store, err = s.store(deps[0]); err != nil {
			return err
		}
		if known, err = s.readChecks(store); err != nil {
			return err
		}
	}
	ring, err := keyring.Open(ctx, keyring.Config(s.cfg.Keys), keyring.Options{
		Now: s.now, Known: func(id string) string { return known[id] }, Sources: s.sources,
	})
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if _, err := ring.Current(); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	s.ring = ring
	if store == nil {
		return nil
	}
	return s.writeChecks(store, known)
}

// store finds a state store among the host's extensions.
func (s *keyStore) store(id component.ID) (state.Store, error) {
	field := "storage"
	if s.cfg.Storage == nil || *s.cfg.Storage != id {
		field = "subjects::storage"
	}
	ext, ok := s.host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf("%s: %q is no extension of this collector; define it under extensions and list it under service::extensions", field, id)
	}
	p, ok := ext.(state.Provider)
	if !ok {
		return nil, fmt.Errorf("%s: extension %q is no state store; name a state_store extension", field, id)
	}
	store := p.Store()
	if store == nil {
		return nil, fmt.Errorf("%s: %q has not started", field, id)
	}
	return store, nil
}

func (s *keyStore) checksAt() []byte {
	return state.Key([]byte(state.Own), []byte("key_store"), []byte(s.id.String()), []byte("check"))
}

// readChecks returns the check values of all keys that there ever were, by ID.
func (s *keyStore) readChecks(store state.Store) (map[string]string, error) {
	prefix, known := s.checksAt(), map[string]string{}
	err := store.Range(prefix, state.PrefixEnd(prefix), func(key, value []byte) error {
		parts, ok := state.SplitKey(key[len(prefix):])
		if !ok || len(parts) != 1 {
			return errors.New("a record has a wrong key: restore the state store from a copy")
		}
		known[string(parts[0])] = string(value)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys' check values: %w", err)
	}
	return known, nil
}

func (s *keyStore) writeChecks(store state.Store, known map[string]string) error {
	var b state.Batch
	for id, check := range s.ring.CheckValues() {
		if known[id] == "" {
			b.Set(append(s.checksAt(), state.Key([]byte(id))...), []byte(check))
		}
	}
	if len(b.Ops) == 0 {
		return nil
	}
	if err := store.Commit(&b); err != nil {
		return fmt.Errorf("writing the keys' check values: %w", err)
	}
	return nil
}

func (s *keyStore) openSubjects() error {
	if !s.cfg.Subjects.Enabled {
		return nil
	}
	store, err := s.store(s.cfg.Subjects.Storage)
	if err != nil {
		return err
	}
	if other, taken := owners.LoadOrStore(store.ID(), s.id); taken {
		return fmt.Errorf("subjects::storage: %q has the keys of persons of %q already: give each key_store its own", s.cfg.Subjects.Storage, other)
	}
	s.owned = store.ID()
	count := func(c metric.Int64Counter, n int, result string) {
		if n > 0 {
			c.Add(context.Background(), int64(n), metric.WithAttributes(attribute.String("result", result)))
		}
	}
	s.subjects, err = subjectkey.Open(store, s.ring, subjectkey.Options{
		CacheKeys: s.cfg.Subjects.CacheKeys, Now: s.now,
		Hooks: subjectkey.Hooks{
			Created: func(n int) { s.telemetry.KeyStoreSubjectKeysCreated.Add(context.Background(), int64(n)) },
			Erased:  func(subjectkey.Erasure) { s.telemetry.KeyStoreErased.Add(context.Background(), 1) },
			Looked: func(hits, misses int) {
				count(s.telemetry.KeyStoreSubjectKeyLookups, hits, "hit")
				count(s.telemetry.KeyStoreSubjectKeyLookups, misses, "miss")
			},
		},
	})
	if err != nil {
		return fmt.Errorf("subjects: %w", err)
	}
	return nil
}

// observe lets the gauges be read.
func (s *keyStore) observe() error {
	for _, g := range []struct {
		register func(metric.Int64Callback) error
		value    func() int
	}{
		{s.telemetry.RegisterKeyStoreKeysCallback, func() int { return len(s.ring.IDs()) }},
		{s.telemetry.RegisterKeyStoreWithdrawnKeysCallback, s.withdrawn},
		{s.telemetry.RegisterKeyStoreProblemsCallback, s.countProblems},
		{s.telemetry.RegisterKeyStoreSubjectKeysCallback, func() int {
			if s.subjects == nil {
				return 0
			}
			return s.subjects.Count()
		}},
		{s.telemetry.RegisterKeyStoreUnpurgedErasuresCallback, func() int {
			if s.subjects == nil {
				return 0
			}
			return s.subjects.Unpurged()
		}},
	} {
		if err := g.register(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(g.value()))
			return nil
		}); err != nil {
			return fmt.Errorf("registering metric: %w", err)
		}
	}
	return nil
}

// record writes to the audit log, where there is one. After an error, what was to be recorded must not be done.
func (s *keyStore) record(records ...audit.Record) error {
	if s.log == nil || len(records) == 0 {
		return nil
	}
	for i := range records {
		records[i].Component = s.id.String()
	}
	if err := s.log.Write(records...); err != nil {
		s.telemetry.KeyStoreAuditFailures.Add(context.Background(), int64(len(records)))
		return fmt.Errorf("recording: %w", err)
	}
	return nil
}

// keyRecords says the same of all keys.
func (s *keyStore) keyRecords(outcome string) []audit.Record {
	var records []audit.Record
	for _, id := range s.ring.IDs() {
		records = append(records, audit.Record{Action: audit.KeyChanged, KeyID: id, Outcome: outcome})
	}
	return records
}

// Shutdown ends the endpoint first. The collector has ended all pipelines before. It can be called again.
func (s *keyStore) Shutdown(ctx context.Context) error {
	var errs []error
	if s.admin != nil {
		errs = append(errs, s.admin.shutdown(ctx))
	}
	if s.cancel != nil {
		s.cancel()
	}
	s.work.Wait()
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.owned != [16]byte{} {
		owners.Delete(s.owned)
		s.owned = [16]byte{}
	}
	s.telemetry.Shutdown()
	return errors.Join(errs...)
}
