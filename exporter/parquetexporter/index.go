// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/state"
)

// index is what the state store has of the exporter. Everything that counts is there, and changes in one atomic, synced write
// at a time: a crash leaves what was before or what was to be.
//
//	piece, lot, sequence   where staged rows lie that wait for the lot's file
//	lot, id                what the lot is of, its parts, and, once it is planned, its file
//	token, delivery        a delivery that is staged, until it cannot come again
//	layout, name           columns
//	types, subject         the type that each column of a subject had first
//	entry, hour, key       a line of the catalogue, until its hour is over; stale, hour: its file lacks a line
//	counters               the next lot and sequence, and the catalogue's hour: never again
type index struct {
	store state.Store
	owner []byte // the exporter's ID
}

func (ix *index) key(parts ...any) []byte {
	all := [][]byte{[]byte(state.Own), []byte("parquet"), ix.owner}
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			all = append(all, []byte(p))
		case []byte:
			all = append(all, p)
		case uint64:
			all = append(all, state.Uint64(p))
		}
	}
	return state.Key(all...)
}

// each calls f for the keys below the parts, with what follows them.
func (ix *index) each(f func(rest [][]byte, value []byte) error, parts ...any) error {
	prefix := ix.key(parts...)
	return ix.store.Range(prefix, state.PrefixEnd(prefix), func(key, value []byte) error {
		rest, ok := state.SplitKey(key[len(prefix):])
		if !ok {
			return fmt.Errorf("reading the state: %w", errDamaged)
		}
		return f(rest, value)
	})
}

// counters never go back: file names are made of them.
type counters struct {
	Lot      uint64 `json:"lot"`
	Sequence uint64 `json:"sequence"`
	Hour     int64  `json:"hour"` // of the catalogue, since the epoch
}

func (ix *index) setCounters(b *state.Batch, c counters) { ix.set(b, ix.key("counters"), c) }

func (ix *index) set(b *state.Batch, key []byte, v any) {
	value, err := json.Marshal(v)
	if err != nil { // texts and numbers only
		panic(err)
	}
	b.Set(key, value)
}

func (ix *index) setPiece(b *state.Batch, lot uint64, p *piece) {
	ix.set(b, ix.key("piece", lot, p.Sequence), p)
}

// deletePieces removes the lot's pieces up to the sequence, included.
func (ix *index) deletePieces(b *state.Batch, lot, last uint64) {
	b.DeleteRange(ix.key("piece", lot), ix.key("piece", lot, last+1))
}

// storedLot is a lot without its pieces.
type storedLot struct {
	Layout string `json:"layout"`
	Folder string `json:"folder"`
	Opened int64  `json:"opened"`
	Parts  []part `json:"parts,omitempty"`
	File   string `json:"file,omitempty"`
	Made   making `json:"made,omitzero"`
}

func (ix *index) setLot(b *state.Batch, l *lot) {
	ix.set(b, ix.key("lot", l.id), storedLot{l.key.layout, l.key.folder, l.opened, l.parts, l.file, l.made})
}

func (ix *index) setToken(b *state.Batch, token string, at stream, last uint64) {
	ix.set(b, ix.key("token", token), storedToken{
		Incarnation: hex.EncodeToString(at.incarnation[:]), Epoch: at.epoch, Pipeline: at.pipeline, Partition: at.partition, Stage: at.stage, Last: last,
	})
}

type storedToken struct {
	Incarnation string `json:"incarnation"`
	Epoch       uint64 `json:"epoch"`
	Pipeline    string `json:"pipeline"`
	Partition   uint32 `json:"partition"`
	Stage       string `json:"stage,omitempty"`
	Last        uint64 `json:"last"`
}

// known is all that load found.
type known struct {
	counters counters
	lots     []*lot // by ID
	tokens   tokens
}

func (ix *index) load() (*known, error) {
	k := &known{tokens: newTokens()}
	bad := func(err error) error { return errors.Join(fmt.Errorf("reading the state: %w", errDamaged), err) }
	value, ok, err := ix.store.Get(ix.key("counters"))
	if err != nil {
		return nil, err
	}
	if ok {
		if err := json.Unmarshal(value, &k.counters); err != nil {
			return nil, bad(err)
		}
	}
	byID := map[uint64]*lot{}
	err = ix.each(func(rest [][]byte, value []byte) error {
		var s storedLot
		if len(rest) != 1 || len(rest[0]) != 8 {
			return bad(nil)
		}
		if err := json.Unmarshal(value, &s); err != nil {
			return bad(err)
		}
		l := &lot{id: binary.BigEndian.Uint64(rest[0]), key: lotKey{s.Layout, s.Folder}, opened: s.Opened, parts: s.Parts, file: s.File, made: s.Made}
		byID[l.id] = l
		k.lots = append(k.lots, l)
		return nil
	}, "lot")
	if err != nil {
		return nil, err
	}
	err = ix.each(func(rest [][]byte, value []byte) error {
		var p piece
		if len(rest) != 2 || len(rest[0]) != 8 || len(rest[1]) != 8 {
			return bad(nil)
		}
		if err := json.Unmarshal(value, &p); err != nil {
			return bad(err)
		}
		l := byID[binary.BigEndian.Uint64(rest[0])]
		if l == nil {
			return bad(nil)
		}
		p.Sequence = binary.BigEndian.Uint64(rest[1])
		l.add(p)
		return nil
	}, "piece")
	if err != nil {
		return nil, err
	}
	err = ix.each(func(rest [][]byte, value []byte) error {
		var s storedToken
		if len(rest) != 1 {
			return bad(nil)
		}
		if err := json.Unmarshal(value, &s); err != nil {
			return bad(err)
		}
		at := stream{epoch: s.Epoch, pipeline: s.Pipeline, partition: s.Partition, stage: s.Stage}
		if n, err := hex.Decode(at.incarnation[:], []byte(s.Incarnation)); err != nil || n != len(at.incarnation) {
			return bad(err)
		}
		k.tokens.add(at, string(rest[0]), s.Last)
		return nil
	}, "token")
	return k, err
}

func (ix *index) layout(name string) ([]byte, error) {
	value, ok, err := ix.store.Get(ix.key("layout", name))
	if err == nil && !ok {
		err = errDamaged
	}
	if err != nil {
		return nil, fmt.Errorf("reading the layout %s: %w", name, err)
	}
	return value, nil
}

func (ix *index) types(subject string) (map[string]string, error) {
	types := map[string]string{}
	value, ok, err := ix.store.Get(ix.key("types", subject))
	if err == nil && ok {
		err = json.Unmarshal(value, &types)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the types of %s: %w", subject, err)
	}
	return types, nil
}

// stream is what deliveries come along in order: a partition of a log, or a stage's outbox.
type stream struct {
	incarnation [16]byte
	epoch       uint64
	pipeline    string
	partition   uint32
	stage       string
}

// tokens are the deliveries that are staged and may come again. Guarded by exporter.mu.
type tokens struct {
	known   map[string]bool
	streams map[stream][]staged // not in order
}

type staged struct {
	token string
	last  uint64 // position, or the checkpoint of an outbox batch
}

func newTokens() tokens { return tokens{map[string]bool{}, map[stream][]staged{}} }

func (t *tokens) add(at stream, token string, last uint64) {
	if !t.known[token] {
		t.known[token] = true
		t.streams[at] = append(t.streams[at], staged{token, last})
	}
}

// renew raises the position of a token that came again: it was not acknowledged before. In memory is enough, since after a
// crash it comes again before any other of its stream.
func (t *tokens) renew(at stream, token string, last uint64) {
	for i := range t.streams[at] {
		if one := &t.streams[at][i]; one.token == token {
			one.last = max(one.last, last)
		}
	}
}

// passed returns the tokens of a stream that cannot come again: those before the position, and all of former epochs.
func (t *tokens) passed(at stream, before uint64) []string {
	var out []string
	for s, list := range t.streams {
		older := s.epoch < at.epoch && s.incarnation == at.incarnation && s.pipeline == at.pipeline
		if !older && s != at {
			continue
		}
		for _, one := range list {
			if older || one.last < before {
				out = append(out, one.token)
			}
		}
	}
	return out
}

// forget removes what passed returned.
func (t *tokens) forget(gone []string) {
	if len(gone) == 0 {
		return
	}
	for _, token := range gone {
		delete(t.known, token)
	}
	for s, list := range t.streams {
		list = slices.DeleteFunc(list, func(one staged) bool { return !t.known[one.token] })
		if len(list) == 0 {
			delete(t.streams, s)
		} else {
			t.streams[s] = list
		}
	}
}

// logRange is what a file's footer says of a delivery.
func (at *stream) logRange(first, last uint64, rows int64) *parquetfile.LogRange {
	return &parquetfile.LogRange{
		Incarnation: hex.EncodeToString(at.incarnation[:]), Epoch: at.epoch, Pipeline: at.pipeline, Partition: at.partition,
		First: first, Last: last, Rows: uint64(rows),
	}
}
