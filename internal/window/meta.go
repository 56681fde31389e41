// SPDX-License-Identifier: Apache-2.0

package window

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/internal/keyed"
	"github.com/millrace/millrace/internal/watermark"
)

// notes are what the engine keeps beside tables, in the shared partition. Checkpoints alone change them.
type notes struct {
	// Emitted is the watermark of the last outbox batch.
	Emitted int64 `json:"emitted"`
	// Now is the latest processing time of any input, as of the last checkpoint.
	Now int64 `json:"now,omitempty"`
	// Stages before this one, by the number of their partition. A stage that is gone keeps its place.
	Stages []string `json:"stages,omitempty"`
	// Aggregations that have made state.
	Aggregations []aggregationNotes `json:"aggregations"`
	// Rolls are the last pane indices of rolling windows, by table.
	Rolls map[string]uint32 `json:"rolls,omitempty"`
}

type aggregationNotes struct {
	ID string `json:"id"`
	// Closed is the watermark up to which windows were emitted as complete.
	Closed int64 `json:"closed"`
	// Early is the processing time of the last early panes.
	Early int64 `json:"early,omitempty"`
	// Definition that made the state, so that it can be read when the configuration is another one.
	Definition Definition `json:"definition"`
}

func (n *notes) find(id identity) *aggregationNotes {
	text := hex.EncodeToString(id[:])
	i := slices.IndexFunc(n.Aggregations, func(a aggregationNotes) bool { return a.ID == text })
	if i < 0 {
		return nil
	}
	return &n.Aggregations[i]
}

// of the aggregation, made if there are none.
func (n *notes) of(a *aggregation) *aggregationNotes {
	if found := n.find(a.id); found != nil {
		return found
	}
	n.Aggregations = append(n.Aggregations, aggregationNotes{
		ID: hex.EncodeToString(a.id[:]), Closed: watermark.Min, Early: watermark.Min, Definition: a.def,
	})
	return &n.Aggregations[len(n.Aggregations)-1]
}

func readNotes(b []byte) (*notes, error) {
	n := &notes{Emitted: watermark.Min}
	if len(b) == 0 {
		return n, nil
	}
	if err := json.Unmarshal(b, n); err != nil {
		return nil, fmt.Errorf("reading the engine's notes: %w", err)
	}
	return n, nil
}

func (n *notes) bytes() []byte {
	b, err := json.Marshal(n)
	if err != nil { // what Check has seen, and what was read from JSON
		panic(err)
	}
	return b
}

// clone for a checkpoint that may be aborted.
func (n *notes) clone() *notes {
	c := *n
	c.Stages = slices.Clone(n.Stages)
	c.Aggregations = slices.Clone(n.Aggregations)
	c.Rolls = maps.Clone(n.Rolls)
	return &c
}

// inputNotes are an input's own: its watermark, and of a stage how many rows it has had, of a partition the first position of its last append.
type inputNotes struct {
	input watermark.Input
	rows  uint64
}

func readInput(b []byte) (inputNotes, error) {
	if len(b) == 0 {
		return inputNotes{input: watermark.New()}, nil
	}
	in, rest, err := watermark.Parse(b)
	if err != nil {
		return inputNotes{}, err
	}
	n := inputNotes{input: in}
	if len(rest) >= 8 {
		n.rows = binary.BigEndian.Uint64(rest)
	}
	return n, nil
}

func (n inputNotes) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(n.input.Append(b), n.rows)
}

// Kinds of tables. A table's name is the aggregation's identity, the kind and, but of sessions, the time that it is for.
const (
	kindSlice    = 'a' // by slice: group key to accumulator
	kindRows     = 'r' // by slice: result.id to what a stage's result counts as
	kindSessions = 's' // group key to intervals
	kindStarted  = 't' // of sessions: bucket of time to how many began there
	kindPanes    = 'p' // by window, in the shared partition: group key to its last pane
	kindChanged  = 'c' // of rolling windows: group keys whose results are to be emitted
)

const nameLen = len(identity{}) + 1 + 8

func tableName(id identity, kind byte, at int64) string {
	var b [nameLen]byte
	copy(b[:], id[:])
	b[len(id)] = kind
	binary.BigEndian.PutUint64(b[len(id)+1:], uint64(at)^1<<63) // so that names sort as times do
	return string(b[:])
}

// parseName of a table; ok is false if it is none of ours.
func parseName(t *keyed.Table) (id identity, kind byte, at int64, ok bool) {
	name := t.Name()
	if len(name) != nameLen {
		return id, 0, 0, false
	}
	copy(id[:], name)
	return id, name[len(id)], int64(binary.BigEndian.Uint64([]byte(name[len(id)+1:])) ^ 1<<63), true
}
