// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/keystore"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/subjectkey"
)

// piiMasking masks batch by batch, in the caller's goroutine. Between batches it keeps counts only.
type piiMasking struct {
	processor.Logs // the helper around process

	id       string
	cfg      *Config
	logger   *zap.Logger
	counters *counters
	now      func() time.Time                     // set before Start only, by tests
	after    func(time.Duration) <-chan time.Time // likewise

	detector *detector.Detector
	rules    []nameRule
	ignore   []pattern
	paths    bool // a pattern has levels
	erases   bool

	// Set by Start, and not changed after.
	host       component.Host
	registry   schema.Registry // nil where there is none
	subjects   subjectkey.Store
	repair     *seal.PublicKey
	actions    map[string]masking.Action
	others     masking.Action
	identities masking.Action
	reporter   *reporter

	works sync.Pool // of *work

	// Any goroutine.
	complained atomic.Int64 // Unix nanoseconds of the last word on events held back
	keyless    atomic.Int64 // Unix nanoseconds of the last batch with such for want of a key; 0 while there are none
}

var _ processor.Logs = (*piiMasking)(nil)

type nameRule struct {
	class    string
	patterns []pattern
}

func newProcessor(ctx context.Context, set processor.Settings, cfg *Config, next consumer.Logs) (*piiMasking, error) {
	counters, err := newCounters(set.TelemetrySettings, cfg.DryRun)
	if err != nil {
		return nil, err
	}
	p := &piiMasking{
		id: set.ID.String(), cfg: cfg, logger: set.Logger, counters: counters, now: time.Now, after: time.After, erases: cfg.erases(),
	}
	if p.detector, err = detector.New(cfg.detectorConfig()); err != nil {
		return nil, fmt.Errorf("detectors: %w", err)
	}
	for _, rule := range cfg.Names.Rules {
		r := nameRule{class: rule.Class}
		for _, key := range rule.Keys {
			r.patterns = append(r.patterns, newPattern(key))
		}
		p.rules = append(p.rules, r)
	}
	for _, key := range cfg.IgnoreKeys {
		p.ignore = append(p.ignore, newPattern(key))
	}
	for _, r := range p.rules {
		for _, one := range r.patterns {
			p.paths = p.paths || one.path
		}
	}
	for _, one := range p.ignore {
		p.paths = p.paths || one.path
	}
	p.works.New = func() any { return newWork(p) }
	p.Logs, err = processorhelper.NewLogs(ctx, set, cfg, next, p.process,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: !cfg.DryRun}),
		processorhelper.WithStart(p.start),
		processorhelper.WithShutdown(p.shutdown))
	if err != nil {
		return nil, fmt.Errorf("creating processor: %w", err)
	}
	return p, nil
}

func (p *piiMasking) start(_ context.Context, host component.Host) error {
	p.host = host
	if err := p.findRegistry(host); err != nil {
		return err
	}
	store, err := p.findKeyStore(host)
	if err != nil {
		return err
	}
	var ring keyring.Ring
	if store != nil {
		ring, p.subjects, p.repair = store.Ring(), store.Subjects(), store.RepairKey()
	}
	switch {
	case p.erases && p.subjects == nil:
		return fmt.Errorf("key_store: %q keeps no keys of persons, which the action erasable needs: set its subjects::enabled, or choose another action", p.cfg.KeyStore)
	case p.cfg.SealFailed && p.repair == nil:
		return fmt.Errorf("seal_failed: %q has no repair key: set its repair_key::public_key_file (`millrace keys repair-pair` makes a pair), or set seal_failed to false", p.cfg.KeyStore)
	}
	if err := p.makeActions(ring); err != nil {
		return err
	}
	if store != nil && store.Audit() != nil {
		p.reporter = startReporter(p, store.Audit())
	}
	return nil
}

func (p *piiMasking) makeActions(ring keyring.Ring) (err error) {
	p.actions = map[string]masking.Action{}
	for class, spec := range p.cfg.Actions {
		if p.actions[class], err = masking.New(spec, ring); err != nil {
			return fmt.Errorf("actions::%s: %w", class, err)
		}
	}
	if p.others, err = masking.New(p.cfg.DefaultAction, ring); err != nil {
		return fmt.Errorf("default_action: %w", err)
	}
	spec := masking.Spec{Action: masking.Drop}
	if ring != nil {
		spec.Action = masking.Pseudonym
	}
	if p.identities, err = masking.New(spec, ring); err != nil {
		return fmt.Errorf("masking IDs: %w", err)
	}
	return nil
}

// action is what is done with values of a class.
func (p *piiMasking) action(class string) masking.Action {
	if a := p.actions[class]; a != nil {
		return a
	}
	return p.others
}

func (p *piiMasking) findRegistry(host component.Host) error {
	id := component.MustNewID("schema_registry")
	if p.cfg.Registry != nil {
		id = *p.cfg.Registry
	}
	ext, ok := host.GetExtensions()[id]
	if !ok {
		if p.cfg.Registry == nil {
			p.logger.Info("Nothing is found by schema: the collector has no schema_registry")
			return nil
		}
		return fmt.Errorf("registry: %q is no extension of this collector; define it under extensions and list it under service::extensions", id)
	}
	if p.registry, ok = ext.(schema.Registry); !ok {
		return fmt.Errorf("registry: extension %q has no schemas; name a schema_registry extension", id)
	}
	return nil
}

func (p *piiMasking) findKeyStore(host component.Host) (keystore.Provider, error) {
	if p.cfg.KeyStore == nil {
		return nil, nil
	}
	ext, ok := host.GetExtensions()[*p.cfg.KeyStore]
	if !ok {
		return nil, fmt.Errorf("key_store: %q is no extension of this collector; define it under extensions and list it under service::extensions", p.cfg.KeyStore)
	}
	store, ok := ext.(keystore.Provider)
	if !ok {
		return nil, fmt.Errorf("key_store: extension %q has no keys; name a key_store extension", p.cfg.KeyStore)
	}
	return store, nil
}

func (p *piiMasking) shutdown(context.Context) error {
	if p.reporter != nil {
		p.reporter.close()
	}
	p.counters.shutdown()
	return nil
}

// erased says whether the event is of a person that was erased.
func (p *piiMasking) erased(e *event.Event) bool {
	if p.subjects == nil {
		return false
	}
	return e.UserID != "" && p.subjects.Erased(subjectkey.Subject{Tenant: e.Tenant, ID: e.UserID}) ||
		e.AnonymousID != "" && p.subjects.Erased(subjectkey.Subject{Tenant: e.Tenant, ID: e.AnonymousID})
}

// process masks a batch. An error is one of the key store's disk: nothing has passed, and the sender sends again.
func (p *piiMasking) process(ctx context.Context, ld plog.Logs) (plog.Logs, error) {
	w := p.works.Get().(*work)
	defer func() {
		w.release()
		p.works.Put(w)
	}()
	batch := event.FromLogs(ld)
	if err := w.batch(ctx, batch); err != nil {
		return ld, err
	}
	p.counters.add(ctx, &w.tally)
	p.reportStatus(w)
	if len(w.suppressed) == 0 {
		return ld, nil
	}
	if len(w.suppressed) == w.events {
		return ld, processorhelper.ErrSkipProcessingData
	}
	batch.DeleteAt(w.suppressed)
	return ld, nil
}

// errHeldBack is what the component's status says.
var errHeldBack = errors.New("events are held back as failed, without their values, since they cannot be masked: see the log")

func (p *piiMasking) reportStatus(w *work) {
	now := p.now().UnixNano()
	if w.tally.events[outcome{heldBack, reasonNoKey}] > 0 {
		if p.keyless.Swap(now) == 0 && p.host != nil {
			componentstatus.ReportStatus(p.host, componentstatus.NewRecoverableErrorEvent(errHeldBack))
		}
		return
	}
	// A batch that needed no key says nothing of it: only when there were none held back for long there are keys again.
	last := p.keyless.Load()
	if last == 0 || now-last < int64(complainEvery) || !p.keyless.CompareAndSwap(last, 0) {
		return
	}
	p.logger.Info("Events are masked again")
	if p.host != nil {
		componentstatus.ReportStatus(p.host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

// complain says why events are held back, not for each of them. The error holds no value.
func (p *piiMasking) complain(reason string, err error) {
	now := p.now().UnixNano()
	last := p.complained.Load()
	if last != 0 && now-last < int64(complainEvery) || !p.complained.CompareAndSwap(last, now) {
		return
	}
	p.logger.Error("An event cannot be masked: it is held back as failed, without its values", zap.String("reason", reason), zap.Error(err))
}
