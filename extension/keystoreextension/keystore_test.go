// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/keystore"
	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/state"
	"github.com/millrace/millrace/internal/subjectkey"
)

// storeExtension is a state_store of a test.
type storeExtension struct {
	component.StartFunc
	component.ShutdownFunc
	store state.Store
}

func (e *storeExtension) Store() state.Store { return e.store }

// host remembers what the extension reports of itself.
type host struct {
	extensions map[component.ID]component.Component

	mu     sync.Mutex // guards what follows
	events []*componentstatus.Event
}

func (h *host) GetExtensions() map[component.ID]component.Component { return h.extensions }

func (h *host) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

// status is the last one that was reported, and its error's text.
func (h *host) status() (componentstatus.Status, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) == 0 {
		return componentstatus.StatusNone, ""
	}
	e := h.events[len(h.events)-1]
	if e.Err() == nil {
		return e.Status(), ""
	}
	return e.Status(), e.Err().Error()
}

// world is an extension with what stands around it.
type world struct {
	*keyStore
	t     *testing.T
	host  *host
	tel   *componenttest.Telemetry
	logs  *observer.ObservedLogs
	ticks chan time.Time
	looks chan struct{}
	wraps chan struct{}
	clock atomic.Int64 // Unix seconds
}

const startTime = 1_800_000_000

var storeID = component.MustNewID("state_store")

// secretOf is a key's file: 64 hexadecimal digits that the number makes.
func secretOf(n int) string { return fmt.Sprintf("%064x", 0x1234567890abcdef+n) }

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func memStore(t *testing.T, fs vfs.FS) *state.Pebble {
	t.Helper()
	s, err := state.Open("s", state.Options{FS: fs})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// make makes an extension on a store, which may be nil, that is not started.
func makeWorld(t *testing.T, cfg *Config, store state.Store) *world {
	t.Helper()
	w := &world{
		t: t, tel: componenttest.NewTelemetry(), ticks: make(chan time.Time), looks: make(chan struct{}, 10), wraps: make(chan struct{}, 10),
		host: &host{extensions: map[component.ID]component.Component{}},
	}
	w.clock.Store(startTime)
	if store != nil {
		w.host.extensions[storeID] = &storeExtension{store: store}
	}
	set := w.tel.NewTelemetrySettings()
	core, logs := observer.New(zap.DebugLevel)
	set.Logger, w.logs = zap.New(core), logs
	s, err := newKeyStore(cfg, component.MustNewID("key_store"), set)
	require.NoError(t, err)
	w.keyStore = s
	s.now = func() time.Time { return time.Unix(w.clock.Load(), 0) }
	s.newTicker = func(time.Duration) (<-chan time.Time, func()) { return w.ticks, func() {} }
	s.looked = func() { w.looks <- struct{}{} }
	s.rewrapped = func() { w.wraps <- struct{}{} }
	t.Cleanup(func() {
		w.stop()
		_ = w.tel.Shutdown(context.Background())
	})
	return w
}

func (w *world) stop() {
	w.t.Helper()
	require.NoError(w.t, w.Shutdown(context.Background()))
}

func start(t *testing.T, cfg *Config, store state.Store) *world {
	t.Helper()
	w := makeWorld(t, cfg, store)
	require.NoError(t, w.Start(context.Background(), w.host))
	if cfg.Subjects.Enabled {
		<-w.wraps
	}
	return w
}

// look has the sources looked at, and waits until that is over.
func (w *world) look() {
	w.ticks <- time.Time{}
	<-w.looks
}

// refuses says why the extension does not start.
func refuses(t *testing.T, cfg *Config, store state.Store, want ...string) {
	t.Helper()
	w := makeWorld(t, cfg, store)
	err := w.Start(context.Background(), w.host)
	require.Error(t, err)
	for _, text := range want {
		require.ErrorContains(t, err, text)
	}
}

// configured returns a configuration with keys k1, k2… whose files have secrets 1, 2…; the last one is current from startTime+100 on for
// each after the first.
func configured(t *testing.T, keys int) *Config {
	t.Helper()
	dir := t.TempDir()
	c := createDefaultConfig().(*Config)
	for i := 1; i <= keys; i++ {
		id := fmt.Sprintf("k%d", i)
		k := keyring.KeyConfig{ID: id, File: writeFile(t, filepath.Join(dir, id), secretOf(i))}
		if i > 1 {
			k.ActiveFrom = time.Unix(startTime+100, 0)
		}
		c.Keys = append(c.Keys, k)
	}
	c.Audit.Directory = filepath.Join(dir, "audit")
	return c
}

// records reads the audit log.
func (w *world) records() (list []audit.Record) {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.cfg.Audit.Directory, "*.jsonl"))
	require.NoError(w.t, err)
	slices.Sort(paths)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		require.NoError(w.t, err)
		for line := range bytes.Lines(b) {
			var r audit.Record
			require.NoError(w.t, json.Unmarshal(line, &r))
			require.Equal(w.t, "key_store", r.Component)
			r.Component, r.Time = "", time.Time{}
			list = append(list, r)
		}
	}
	return list
}

// metric returns a metric's value; attributes are "key=value" of which all must be there.
func (w *world) metric(name string, attributes ...string) int64 {
	w.t.Helper()
	m, err := w.tel.GetMetric("otelcol_" + name)
	if err != nil {
		return 0
	}
	var points []metricdata.DataPoint[int64]
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = d.DataPoints
	case metricdata.Gauge[int64]:
		points = d.DataPoints
	}
	var n int64
	for _, p := range points {
		all := true
		for _, a := range attributes {
			found := false
			for _, kv := range p.Attributes.ToSlice() {
				found = found || string(kv.Key)+"="+kv.Value.String() == a
			}
			all = all && found
		}
		if all {
			n += p.Value
		}
	}
	return n
}

// said is all that was logged.
func (w *world) said() string {
	var b bytes.Buffer
	for _, e := range w.logs.All() {
		fmt.Fprintln(&b, e.Message, e.ContextMap())
	}
	return b.String()
}

func TestComponentsFindWhatThereIsAndNoTypedNil(t *testing.T) {
	c := configured(t, 1)
	c.Audit.Directory = ""
	w := start(t, c, nil)
	var p keystore.Provider = w.keyStore
	key, err := p.Ring().Current()
	require.NoError(t, err)
	require.Equal(t, "k1", key.ID())
	if p.Subjects() != nil || p.Audit() != nil {
		t.Fatal("not nil for who compares")
	}
	require.Nil(t, p.RepairKey())
	require.EqualValues(t, 1, w.metric("key_store_keys"))

	c = configured(t, 1)
	c.Subjects.Enabled = true
	pair, err := seal.Generate("r1")
	require.NoError(t, err)
	c.RepairKey.PublicKeyFile = filepath.Join(t.TempDir(), "r1.pub")
	require.NoError(t, pair.Public().Save(c.RepairKey.PublicKeyFile))
	w = start(t, c, memStore(t, vfs.NewMem()))
	p = w.keyStore
	keys := make([]*subjectkey.Key, 1)
	who := []subjectkey.Subject{{Tenant: "t", ID: "u"}}
	require.NoError(t, p.Subjects().Keys(t.Context(), who, keys))
	require.NoError(t, p.Subjects().Keys(t.Context(), who, keys))
	require.NoError(t, p.Audit().Write(audit.Record{Action: audit.Masked, Component: "key_store"}))
	require.Equal(t, pair.Public().Fingerprint(), p.RepairKey().Fingerprint())
	require.Equal(t, []audit.Record{{Action: audit.KeyChanged, KeyID: "k1", Outcome: "loaded"}, {Action: audit.Masked}}, w.records())
	require.EqualValues(t, 1, w.metric("key_store_subject_keys"))
	require.EqualValues(t, 1, w.metric("key_store_subject_keys_created"))
	require.EqualValues(t, 1, w.metric("key_store_subject_key_lookups", "result=hit"))
	require.EqualValues(t, 1, w.metric("key_store_subject_key_lookups", "result=miss"))
}

func TestWhatCannotBeUsedEndsTheStart(t *testing.T) {
	c := configured(t, 1)
	require.NoError(t, os.Remove(c.Keys[0].File))
	refuses(t, c, nil, "keys: opening key k1")

	c = configured(t, 1)
	c.Keys[0].ActiveFrom = time.Unix(startTime+1, 0)
	refuses(t, c, nil, "keys: there is no such key that is current")

	c = configured(t, 1)
	c.Subjects.Enabled = true
	refuses(t, c, nil, `subjects::storage: "state_store" is no extension`)
	w := makeWorld(t, c, nil)
	w.host.extensions[storeID] = &storeExtension{}
	require.ErrorContains(t, w.Start(t.Context(), w.host), `subjects::storage: "state_store" has not started`)
	w.host.extensions[storeID] = w.keyStore
	require.ErrorContains(t, w.Start(t.Context(), w.host), `subjects::storage: extension "state_store" is no state store`)
	c.Storage = &storeID
	refuses(t, c, nil, `storage: "state_store" is no extension`)

	c = configured(t, 1)
	c.RepairKey.PublicKeyFile = "none"
	refuses(t, c, nil, "repair_key::public_key_file")

	c = configured(t, 1)
	c.Audit.Directory = writeFile(t, filepath.Join(t.TempDir(), "file"), "")
	refuses(t, c, nil, "audit::directory")

	c = configured(t, 1)
	c.Admin = &AdminConfig{Endpoint: "127.0.0.1:0", TokenFile: "none"}
	refuses(t, c, nil, "admin::token_file")
	start(t, configured(t, 1), nil) // what a failed start held is released
}

func TestAFailedStartReleasesTheAuditLogAndTheStore(t *testing.T) {
	c := configured(t, 1)
	c.Subjects.Enabled = true
	c.Admin = &AdminConfig{Endpoint: "127.0.0.1:0", TokenFile: "none"}
	store := memStore(t, vfs.NewMem())
	refuses(t, c, store, "admin::token_file")
	c.Admin = nil
	start(t, c, store)
}

func TestAKeyThatIsAnotherThanBeforeEndsTheStart(t *testing.T) {
	c := configured(t, 1)
	c.Storage = &storeID
	store := memStore(t, vfs.NewMem())
	start(t, c, store).stop()
	writeFile(t, c.Keys[0].File, secretOf(9))
	refuses(t, c, store, "key k1", "another one than before", "put the old key back")
	writeFile(t, c.Keys[0].File, secretOf(1))
	w := start(t, c, store)
	require.NotContains(t, w.said(), secretOf(1))
	w.stop()

	// A key that is lost is not made anew, which would look well and read nothing.
	c.Keys[0].Generate = true
	require.NoError(t, os.Remove(c.Keys[0].File))
	refuses(t, c, store, "key k1")
	_, err := os.Stat(c.Keys[0].File)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTwoKeyStoresDoNotShareTheKeysOfPersons(t *testing.T) {
	c := configured(t, 1)
	c.Subjects.Enabled = true
	store := memStore(t, vfs.NewMem())
	w := start(t, c, store)
	other := configured(t, 1)
	other.Subjects.Enabled = true
	refuses(t, other, store, "has the keys of persons", "give each key_store its own")
	w.stop()
	start(t, other, store)
}

func TestAKeyTakenAwayWhileInUseIsAnErrorUntilItIsBack(t *testing.T) {
	c := configured(t, 1)
	c.Subjects.Enabled = true
	w := start(t, c, memStore(t, vfs.NewMem()))
	w.look()
	status, _ := w.host.status()
	require.Equal(t, componentstatus.StatusNone, status, "nothing to tell")

	require.NoError(t, os.Remove(c.Keys[0].File))
	w.look()
	_, err := w.Ring().Current()
	require.ErrorIs(t, err, keyring.ErrNoKey)
	require.ErrorIs(t, w.Subjects().Keys(t.Context(), []subjectkey.Subject{{ID: "u"}}, make([]*subjectkey.Key, 1)), keyring.ErrNoKey)
	status, text := w.host.status()
	require.Equal(t, componentstatus.StatusRecoverableError, status)
	require.Contains(t, text, "k1")
	require.EqualValues(t, 1, w.metric("key_store_withdrawn_keys"))
	require.EqualValues(t, 1, w.metric("key_store_problems"))
	w.look()
	require.Len(t, w.host.events, 1, "it is told once")

	writeFile(t, c.Keys[0].File, secretOf(9))
	w.look()
	_, err = w.Ring().Current()
	require.ErrorIs(t, err, keyring.ErrNoKey, "another key is not the old one")
	writeFile(t, c.Keys[0].File, secretOf(1))
	w.look()
	<-w.wraps
	_, err = w.Ring().Current()
	require.NoError(t, err)
	status, _ = w.host.status()
	require.Equal(t, componentstatus.StatusOK, status)
	require.Zero(t, w.metric("key_store_withdrawn_keys"))
	var outcomes []string
	for _, r := range w.records() {
		require.Equal(t, audit.KeyChanged, r.Action)
		require.Equal(t, "k1", r.KeyID)
		outcomes = append(outcomes, r.Outcome)
	}
	require.Equal(t, []string{"loaded", "withdrawn", "refused", "returned"}, outcomes)
	require.NotContains(t, w.said(), secretOf(9))
}

func TestWhenAKeysTimeComesPersonsKeysAreWrappedByIt(t *testing.T) {
	c := configured(t, 2)
	c.Subjects.Enabled = true
	store := memStore(t, vfs.NewMem())
	w := start(t, c, store)
	keys := make([]*subjectkey.Key, 3)
	require.NoError(t, w.Subjects().Keys(t.Context(), []subjectkey.Subject{{ID: "a"}, {ID: "b"}, {ID: "c"}}, keys))
	counts, err := w.subjects.WrappedBy(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"k1": 4}, counts)
	w.clock.Add(100)
	w.look()
	<-w.wraps
	counts, err = w.subjects.WrappedBy(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"k2": 4}, counts)
	records := w.records()
	require.Equal(t, []audit.Record{
		{Action: audit.KeyChanged, KeyID: "k2", Outcome: "became_current"}, {Action: audit.KeyChanged, KeyID: "k2", Count: 4, Outcome: "rewrapped"},
	}, records[len(records)-2:])
	w.stop()

	// Without the old one.
	c.Keys = c.Keys[1:]
	w = makeWorld(t, c, store)
	w.clock.Add(100)
	require.NoError(t, w.Start(t.Context(), w.host))
	found, err := w.subjects.Find(keys[1].Handle())
	require.NoError(t, err)
	require.Equal(t, keys[1].Handle(), found.Handle())
}

// purgeFails is a store whose Purge can fail.
type purgeFails struct {
	*state.Pebble
	mu  sync.Mutex // guards err: keys are wrapped anew beside the test
	err error
}

func (p *purgeFails) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *purgeFails) Purge(ctx context.Context, r ...state.KeyRange) error {
	p.mu.Lock()
	err := p.err
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.Pebble.Purge(ctx, r...)
}

func TestAnErasureWhoseBytesAreStillThereIsCarriedOn(t *testing.T) {
	for _, interval := range []time.Duration{defaultReloadInterval, 0} { // 0: nothing is read anew
		t.Run(interval.String(), func(t *testing.T) { carriesErasureOn(t, interval) })
	}
}

func carriesErasureOn(t *testing.T, interval time.Duration) {
	t.Helper()
	c := configured(t, 1)
	c.Subjects.Enabled, c.ReloadInterval = true, interval
	store := &purgeFails{Pebble: memStore(t, vfs.NewMem())}
	w := start(t, c, store)
	require.NoError(t, w.Subjects().Keys(t.Context(), []subjectkey.Subject{{ID: "a"}}, make([]*subjectkey.Key, 1)))
	full := errors.New("disk is full")
	store.fail(full)
	_, err := w.Subjects().Erase(t.Context(), subjectkey.Subject{ID: "a"})
	require.ErrorIs(t, err, full)
	require.EqualValues(t, 1, w.metric("key_store_erased"))
	require.EqualValues(t, 1, w.metric("key_store_unpurged_erasures"))
	w.look()
	status, text := w.host.status()
	require.Equal(t, componentstatus.StatusRecoverableError, status)
	require.Contains(t, text, "disk is full")
	store.fail(nil)
	w.look()
	status, _ = w.host.status()
	require.Equal(t, componentstatus.StatusOK, status)
	require.Zero(t, w.metric("key_store_unpurged_erasures"))
}

func TestKeysThatCouldNotBeWrappedAnewAreTriedAgain(t *testing.T) {
	c := configured(t, 2)
	c.Subjects.Enabled = true
	store := &purgeFails{Pebble: memStore(t, vfs.NewMem())}
	w := start(t, c, store)
	require.NoError(t, w.Subjects().Keys(t.Context(), []subjectkey.Subject{{ID: "a"}}, make([]*subjectkey.Key, 1)))
	store.fail(errors.New("disk is full"))
	w.clock.Add(100)
	w.look()
	<-w.wraps
	status, text := w.host.status()
	require.Equal(t, componentstatus.StatusRecoverableError, status)
	require.Contains(t, text, "disk is full")
	require.True(t, w.unwrapped.Load())
	store.fail(nil)
	w.look()
	for w.unwrapped.Load() { // it may have been tried twice before the disk was well
		<-w.wraps
	}
	counts, err := w.subjects.WrappedBy(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"k2": 2}, counts)
	w.look()
	status, _ = w.host.status()
	require.Equal(t, componentstatus.StatusOK, status)
}

// tokenOf masks a value as pii_masking does.
func tokenOf(t *testing.T, w *world, kind masking.Kind, tenant, value, person string) string {
	t.Helper()
	action, err := masking.New(masking.Spec{Action: kind}, w.Ring())
	require.NoError(t, err)
	target := &masking.Target{Tenant: tenant, Class: "email"}
	if person != "" {
		keys := make([]*subjectkey.Key, 1)
		require.NoError(t, w.Subjects().Keys(t.Context(), []subjectkey.Subject{{Tenant: tenant, ID: person}}, keys))
		target.Subject = keys[0]
	}
	made, err := action.Mask(masking.Value{Text: value}, target)
	require.NoError(t, err)
	return made.Text
}
