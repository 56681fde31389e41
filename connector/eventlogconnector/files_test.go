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

func TestALogFromElsewhereIsRefusedByAStateStoreThatDoesNotKnowIt(t *testing.T) {
	elsewhere := newHarness(t, nil)
	require.NoError(t, elsewhere.send("theirs"))
	elsewhere.awaitStored(1)
	elsewhere.stop()

	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	h.stop()
	replaceBy(t, filepath.Join(h.dir, "log"), "segments", filepath.Join(elsewhere.dir, "log", "segments"))
	err := h.start()
	require.ErrorContains(t, err, "set accept_state_store: ", "its deliveries would have the names of those that were made there")
	_, h.cfg.AcceptStateStore, _ = cutLast(err.Error(), "accept_state_store: ")
	h.cfg.AcceptStateStore = h.cfg.AcceptStateStore[:32]
	require.NoError(t, h.start())
	h.awaitStored(2)
	require.Greater(t, h.consumers[0].Epoch(), uint64(epochsOfAdoption))
}

func TestALogWhoseFileWasRemovedHasEpochsBeyondThoseOfAnyStateStoreBefore(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	var before uint64
	for i := range 3 {
		h.stop()
		require.NoError(t, os.RemoveAll(filepath.Join(h.dir, "state")))
		err := h.start()
		require.ErrorContains(t, err, "accept_state_store: ")
		_, h.cfg.AcceptStateStore, _ = cutLast(err.Error(), "accept_state_store: ")
		h.cfg.AcceptStateStore = h.cfg.AcceptStateStore[:32]
		require.NoError(t, h.start())
		require.Greater(t, h.consumers[0].Epoch(), before)
		before = h.consumers[0].Epoch()
		h.awaitStored(2 + i)
	}
	h.stop()
	require.NoError(t, os.RemoveAll(filepath.Join(h.dir, "state")))
	require.NoError(t, os.Remove(filepath.Join(h.dir, "log", bindingFile)))
	err := h.start()
	require.ErrorContains(t, err, "accept_state_store: ")
	_, h.cfg.AcceptStateStore, _ = cutLast(err.Error(), "accept_state_store: ")
	h.cfg.AcceptStateStore = h.cfg.AcceptStateStore[:32]
	require.NoError(t, h.start())
	require.Greater(t, h.consumers[0].Epoch(), before)
	h.awaitStored(5)
}

func TestAConsumerCannotTakeThePlaceOfAPipelineThatIsThere(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send("a"))
	h.awaitStored(1)
	h.stop()
	two := pipeline.NewIDWithName(pipeline.SignalLogs, "two")
	h.sinks[two] = newSink()
	h.cfg.Consumers = map[string]ConsumerConfig{"logs/two": {RenamedFrom: "logs"}}
	require.ErrorContains(t, h.start(), "consumers::logs/two::renamed_from: logs is still a pipeline")
	h.cfg.Consumers = nil
	require.NoError(t, h.start())
	h.await("the new pipeline from the beginning", func() bool { return len(h.sinks[two].stored()) == 1 })
	h.awaitStored(1)
}

func TestAPipelineThatComesBackIsDeliveredAllAnew(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.send(numbered("e", 5)...))
	h.awaitStored(5)
	h.stop()
	sinks := h.sinks
	h.sinks = map[pipeline.ID]*sink{pipeline.NewIDWithName(pipeline.SignalLogs, "other"): newSink()}
	h.cfg.Consumers = map[string]ConsumerConfig{"logs": {Removed: true}, "logs/other": {}}
	require.NoError(t, h.start())
	h.stop()
	h.sinks = sinks
	h.cfg.Consumers = map[string]ConsumerConfig{"logs/other": {Removed: true}}
	require.NoError(t, h.start())
	h.awaitStored(10)
}

func TestNoFileGoesWhileAResetPutsPositionsBack(t *testing.T) {
	h := newHarness(t, nil)
	require.NoError(t, h.consumers[0].Reset(func(uint32) (uint64, error) {
		require.False(t, h.removing.TryLock())
		return 0, nil
	}))
	h.await("retention, which may be at it, to let go", h.removing.TryLock)
	h.removing.Unlock()
}
