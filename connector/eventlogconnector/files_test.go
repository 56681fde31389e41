// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/millrace/millrace/connector/eventlogconnector/internal/metadata"
	"github.com/millrace/millrace/internal/state"
)

var errPermanent = consumererror.NewPermanent(errors.New("never"))

func moveAway(t *testing.T, dir, name string) {
	t.Helper()
	require.NoError(t, os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".away")))
}

func copyOf(t *testing.T, dir, name string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(to, os.DirFS(filepath.Join(dir, name))))
	return to
}

func replaceBy(t *testing.T, dir, name, other string) {
	t.Helper()
	moveAway(t, dir, name)
	require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(other)))
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// startWith starts a log of the harness's directories under another configuration of pipelines, and ends it.
func startWith(t *testing.T, h *harness, conf map[string]any) error {
	t.Helper()
	store, err := state.Open(filepath.Join(h.dir, "state"), state.Options{ReserveBytes: 1 << 20})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	set := connectortest.NewNopSettings(metadata.Type)
	set.ID = component.MustNewID("event_log")
	next := map[pipeline.ID]consumer.Logs{pipeline.NewID(pipeline.SignalLogs): h.sink()}
	l, err := newEventLog(set, h.cfg, connector.NewLogsRouter(next))
	require.NoError(t, err)
	ext := &stateStore{store: store, conf: confmap.NewFromStringMap(conf)}
	if err := l.Start(context.Background(), host{componenttest.NewNopHost(), map[component.ID]component.Component{component.MustNewID("state_store"): ext}}); err != nil {
		return err
	}
	return l.Shutdown(context.Background())
}
