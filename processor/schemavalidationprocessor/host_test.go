// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

import (
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/millrace/millrace/internal/schema"
)

// testRegistry is a registry whose schemas a test changes at will.
type testRegistry struct {
	component.StartFunc
	component.ShutdownFunc
	current atomic.Pointer[schema.Snapshot]
}

var _ schema.Registry = (*testRegistry)(nil)

func (r *testRegistry) Snapshot() *schema.Snapshot { return r.current.Load() }

func newTestRegistry(schemas ...*schema.Schema) *testRegistry {
	snapshot, err := schema.NewSnapshot(1, schemas)
	if err != nil {
		panic(err)
	}
	r := &testRegistry{}
	r.current.Store(snapshot)
	return r
}

// testHost has one extension.
type testHost struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h testHost) GetExtensions() map[component.ID]component.Component { return h.extensions }

func hostWith(ext component.Component) component.Host {
	return testHost{componenttest.NewNopHost(), map[component.ID]component.Component{component.MustNewID("schema_registry"): ext}}
}

// newTestHost is what the generated tests start with.
func newTestHost() component.Host { return hostWith(newTestRegistry()) }
