// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/millrace/millrace/testbed/lag"
)

// referenceDatabase is where the undisturbed run has its tables.
const referenceDatabase = "reference"

// What ends the stream: one event for each of so many users, so that every partition of the log gets one, so much later than all others that
// every session and window of theirs is over, but for rolling ones.
const (
	lastName  = "chaos_last"
	lastCount = 64
	lastAfter = 6 * time.Minute
)

// endStream sends what ends it, and waits until the log has told idle partitions the time, since ticks are a part of it too.
func (t *traffic) endStream(ctx context.Context) error {
	var events [][2]string
	for i := range lastCount {
		events = append(events, [2]string{fmt.Sprintf("last-%d-%d", t.seed, i), fmt.Sprint("last-", i)})
	}
	if err := t.send(ctx, &http.Client{Timeout: senderTimeout}, lastName, t.run.Stats().EventTime.Add(lastAfter), events); err != nil {
		return err
	}
	admin := "http://" + t.w.env[admin]
	before, err := lag.Records(ctx, admin)
	if err != nil {
		return err
	}
	return await(ctx, "a partition has a tick after the last event", func() bool {
		now, err := lag.Records(ctx, admin)
		return err == nil && !slices.Equal(before, now)
	})
}

// settle waits until consumers have everything, and has them make checkpoints until none has anything to write: a stage closes what is over at
// one, and the stage behind it at the next.
func (w *World) settle(ctx context.Context) error {
	if err := w.AwaitDelivered(ctx); err != nil {
		return err
	}
	var before map[string]uint64
	for range 50 {
		now := map[string]uint64{}
		consumers, err := lag.Consumers(ctx, "http://"+w.env[admin])
		if err != nil {
			return err
		}
		for _, c := range consumers {
			if now[c], err = w.checkpoint(ctx, c); err != nil {
				return err
			}
		}
		if maps.Equal(before, now) {
			return nil
		}
		before = now
	}
	return fmt.Errorf("consumers always have something more to write: their checkpoints are at %v", before)
}

// checkpoint returns when the consumer has made one, and everything that it emitted is sent.
func (w *World) checkpoint(ctx context.Context, consumer string) (uint64, error) {
	body, err := json.Marshal(map[string]string{"consumer": consumer})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.env[admin]+"/consumers/checkpoint", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		return 0, fmt.Errorf("asking %s for a checkpoint: %w", consumer, err)
	}
	defer func() { _ = resp.Body.Close() }() // it is read to its end
	var answer struct {
		Checkpoint uint64 `json:"checkpoint"`
		Error      string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("asking %s for a checkpoint: %w", consumer, err)
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("asking %s for a checkpoint: %s: %s", consumer, resp.Status, answer.Error)
	}
	return answer.Checkpoint, nil
}

// rest stops the collector in order, and starts it so that its log stays what it is. It returns how many records each partition has, when all of
// them are consumed and everything that is over is closed.
func (w *World) rest(ctx context.Context) ([]uint64, error) {
	if err := w.stop(); err != nil {
		return nil, err
	}
	w.spec.Overlays = append(slices.Clip(w.spec.Overlays), atRest)
	if err := w.Start(ctx); err != nil {
		return nil, err
	}
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	return lag.Records(ctx, "http://"+w.env[admin])
}

// stop ends the collector in order.
func (w *World) stop() error {
	if err := w.child.Stop(patience); err != nil {
		return err
	}
	if w.child.Err() != nil {
		return fmt.Errorf("stopping the collector: %w", w.child.Died())
	}
	return nil
}

// undisturbed starts a collector on a copy of the log of one that has ended, with nothing else of it: all of the log comes to it, in other
// deliveries, and goes into tables of its own in the same ClickHouse.
func (w *World) undisturbed(ctx context.Context) (*World, error) {
	r := &World{o: w.o, spec: w.spec, dir: filepath.Join(w.dir, "reference"), ch: w.ch, env: maps.Clone(w.env)}
	r.data = filepath.Join(r.dir, "data")
	r.env["MILLRACE_DATA_DIR"], r.env[memory] = r.data, plentyMemory
	if err := os.MkdirAll(r.data, 0o755); err != nil {
		return nil, fmt.Errorf("preparing %s: %w", r.data, err)
	}
	if err := os.CopyFS(filepath.Join(r.data, "log"), os.DirFS(filepath.Join(w.data, "log"))); err != nil {
		return nil, fmt.Errorf("copying the log: %w", err)
	}
	// The log goes on with another state store only if that is named, and says how.
	store, err := r.refusal(ctx)
	if err != nil {
		return nil, err
	}
	r.spec.Overlays[len(r.spec.Overlays)-1] = fmt.Sprintf(undisturbed, store)
	if err := r.Start(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

var acceptStore = regexp.MustCompile(`set accept_state_store: ([^, ]+)`)

// refusal starts the collector, which is to refuse its log, and returns the ID of the state store that it has.
func (w *World) refusal(ctx context.Context) (string, error) {
	w.spec.Overlays = append(slices.Clone(w.spec.Overlays), fmt.Sprintf(undisturbed, ""))
	if err := w.Launch(""); err != nil {
		return "", err
	}
	served, err := w.awaitServing(ctx)
	if err != nil {
		return "", err
	}
	if served {
		return "", errors.New("the collector goes on with a log that was used with another state store")
	}
	m := acceptStore.FindStringSubmatch(w.child.Tail(12))
	if m == nil {
		return "", fmt.Errorf("the refusal does not say how to go on: %w", w.child.Died())
	}
	return m[1], nil
}
