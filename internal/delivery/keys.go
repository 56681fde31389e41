// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"encoding/json"
	"fmt"

	"go.opentelemetry.io/collector/pipeline"

	"github.com/millrace/millrace/internal/state"
)

// keys are where one consumer's things are in the state store:
//
//	record                        consumerRecord as JSON, written by every checkpoint
//	range/PARTITION/FIRST         the last position of a range that was handed out and is not passed
//	plan/PARTITION/FIRST/NAME     plans of such a range
//	outbox/CHECKPOINT/STAGE/N     watermark and OTLP bytes of a result that became due
//	outboxplan/CHECKPOINT/STAGE/N/NAME
//	kept/NAME                     what outlives deliveries
//	state/COMPONENT/...           a stateful component's keyspace
type keys struct{ root []byte }

func consumersPrefix(incarnation [16]byte) []byte { return LogKey(incarnation, "consumer") }

// LogKey is where things of one log are in the state store.
func LogKey(incarnation [16]byte, names ...string) []byte {
	parts := [][]byte{[]byte(state.Own), []byte("log"), incarnation[:]}
	for _, n := range names {
		parts = append(parts, []byte(n))
	}
	return state.Key(parts...)
}

// nameKey is of the first epoch that the last consumer of a name began with. It outlives the consumer: see firstEpoch.
func nameKey(incarnation [16]byte, name string) []byte { return LogKey(incarnation, "name", name) }

// epochsOfName is how many resets a consumer can have before another may have its name.
const epochsOfName = 1 << 20

func newKeys(incarnation [16]byte, id pipeline.ID) keys {
	return keys{append(consumersPrefix(incarnation), state.Key([]byte(id.String()))...)}
}

func (k keys) key(kind string, parts ...[]byte) []byte {
	b := append([]byte(nil), k.root...)
	b = append(b, state.Key([]byte(kind))...)
	return append(b, state.Key(parts...)...)
}

func (k keys) record() []byte { return k.key("record") }

func (k keys) span(partition uint32, first uint64) []byte {
	return k.key("range", state.Uint64(uint64(partition)), state.Uint64(first))
}

func (k keys) plan(id Identity, name string) []byte {
	if id.Stage != "" {
		return k.key("outboxplan", state.Uint64(id.Checkpoint), []byte(id.Stage), state.Uint64(uint64(id.Ordinal)), []byte(name))
	}
	return k.key("plan", state.Uint64(uint64(id.Partition)), state.Uint64(id.First), []byte(name))
}

func (k keys) outbox(checkpoint uint64, stage string, ordinal uint32) []byte {
	return k.key("outbox", state.Uint64(checkpoint), []byte(stage), state.Uint64(uint64(ordinal)))
}

// deletePrefix adds the removal of all keys of a kind that begin with the parts.
func (k keys) deletePrefix(b *state.Batch, kind string, parts ...[]byte) {
	from := k.key(kind, parts...)
	b.DeleteRange(from, state.PrefixEnd(from))
}

// consumerRecord is what a checkpoint commits beside the components' deltas.
type consumerRecord struct {
	// Name is the pipeline's name in identities: its first one. A renamed consumer keeps it, so that what is under
	// way keeps its tokens.
	Name       string   `json:"name"`
	Epoch      uint64   `json:"epoch"`
	Checkpoint uint64   `json:"checkpoint"`
	Positions  []uint64 `json:"positions"` // by partition: the first that is not passed
	// Components that have enrolled, in the order of their first enrolment.
	Components []string `json:"components,omitempty"`
	// Held are ticks that components have not got yet, since they have not enrolled since the last start: the last
	// one of each partition, which stands for all before it.
	Held map[string][]Tick `json:"held,omitempty"`
	// Ticks are the last one of each partition: what a component gets that enrols for the first time.
	Ticks []Tick `json:"ticks,omitempty"`
	// Resets that the configuration asked for and that were carried out, by their names.
	Resets []string `json:"resets,omitempty"`
}

func (r consumerRecord) bytes() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("a consumer's record is numbers and names: %v", err)) // cannot happen
	}
	return b
}

// Known lists the consumers that the store remembers of a log, with their positions.
func Known(store state.Store, incarnation [16]byte) (map[string][]uint64, error) {
	known := map[string][]uint64{}
	prefix := consumersPrefix(incarnation)
	err := store.Range(prefix, state.PrefixEnd(prefix), func(key, value []byte) error {
		parts, ok := state.SplitKey(key[len(prefix):])
		if !ok || len(parts) != 2 || string(parts[1]) != "record" {
			return nil
		}
		var r consumerRecord
		if err := json.Unmarshal(value, &r); err != nil {
			return fmt.Errorf("reading the record of consumer %s: %w", parts[0], err)
		}
		known[string(parts[0])] = r.Positions
		return nil
	})
	return known, err
}

// Forget removes all that the store remembers of a consumer: its position, its plans and its components' state.
func Forget(store state.Store, incarnation [16]byte, pipelineID string) error {
	var b state.Batch
	root := append(consumersPrefix(incarnation), state.Key([]byte(pipelineID))...)
	b.DeleteRange(root, state.PrefixEnd(root))
	if err := store.Commit(&b); err != nil {
		return fmt.Errorf("forgetting consumer %s: %w", pipelineID, err)
	}
	return nil
}

// Rename gives all that the store remembers of one consumer to another name. In identities it keeps the old one.
func Rename(store state.Store, incarnation [16]byte, from, to string) error {
	var b state.Batch
	oldRoot := append(consumersPrefix(incarnation), state.Key([]byte(from))...)
	newRoot := append(consumersPrefix(incarnation), state.Key([]byte(to))...)
	err := store.Range(oldRoot, state.PrefixEnd(oldRoot), func(key, value []byte) error {
		b.Set(append(append([]byte(nil), newRoot...), key[len(oldRoot):]...), value)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading consumer %s: %w", from, err)
	}
	b.DeleteRange(oldRoot, state.PrefixEnd(oldRoot))
	if err := store.Commit(&b); err != nil {
		return fmt.Errorf("renaming consumer %s to %s: %w", from, to, err)
	}
	return nil
}
