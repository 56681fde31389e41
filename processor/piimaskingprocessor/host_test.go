// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/keystore"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/state"
	"github.com/millrace/millrace/internal/subjectkey"
)

// testRegistry has the schemas of a test.
type testRegistry struct {
	component.StartFunc
	component.ShutdownFunc
	snapshot *schema.Snapshot
}

var _ schema.Registry = (*testRegistry)(nil)

func (r *testRegistry) Snapshot() *schema.Snapshot { return r.snapshot }

func newTestRegistry(schemas ...*schema.Schema) *testRegistry {
	snapshot, err := schema.NewSnapshot(1, schemas)
	if err != nil {
		panic(err)
	}
	return &testRegistry{snapshot: snapshot}
}

// testStore is a key store of a test: a real ring on a real file, and what the test gives it.
type testStore struct {
	component.StartFunc
	component.ShutdownFunc
	ring     keyring.Ring
	subjects subjectkey.Store
	audit    audit.Log
	repair   *seal.PublicKey
}

var _ keystore.Provider = (*testStore)(nil)

func (s *testStore) Ring() keyring.Ring         { return s.ring }
func (s *testStore) Subjects() subjectkey.Store { return s.subjects }
func (s *testStore) Audit() audit.Log           { return s.audit }
func (s *testStore) RepairKey() *seal.PublicKey { return s.repair }

// keyFile makes a key file of 32 bytes that are no text.
func keyFile(tb testing.TB, name string, letter byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	content := make([]byte, 32)
	for i := range content {
		content[i] = letter + byte(i*i)
	}
	require.NoError(tb, os.WriteFile(path, content, 0o600))
	return path
}

func newTestStore(tb testing.TB) *testStore {
	tb.Helper()
	ring, err := keyring.Open(context.Background(), keyring.Config{{ID: "k1", File: keyFile(tb, "k1", 'a')}}, keyring.Options{})
	require.NoError(tb, err)
	return &testStore{ring: ring}
}

// newTestSubjects has the keys of persons in a store of its own.
func newTestSubjects(tb testing.TB, ring keyring.Ring) *subjectkey.Keys {
	tb.Helper()
	store, err := state.Open(tb.TempDir(), state.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = store.Close() })
	keys, err := subjectkey.Open(store, ring, subjectkey.Options{})
	require.NoError(tb, err)
	return keys
}

// auditLog keeps records; err is what Write returns.
type auditLog struct {
	mu      sync.Mutex // guards what is below
	records []audit.Record
	err     error
}

var _ audit.Log = (*auditLog)(nil)

func (l *auditLog) Write(records ...audit.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.records = append(l.records, records...)
	return nil
}

func (l *auditLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *auditLog) all() []audit.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]audit.Record(nil), l.records...)
}

type testHost struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h testHost) GetExtensions() map[component.ID]component.Component { return h.extensions }

func hostOf(registry *testRegistry, store *testStore) component.Host {
	extensions := map[component.ID]component.Component{}
	if registry != nil {
		extensions[component.MustNewID("schema_registry")] = registry
	}
	if store != nil {
		extensions[component.MustNewID("key_store")] = store
	}
	return testHost{componenttest.NewNopHost(), extensions}
}

// newTestHost is what the generated tests start with.
func newTestHost() component.Host { return hostOf(newTestRegistry(), nil) }
