// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/internal/state"
)

// positions is how far a job is, in the state store:
//
//	millrace, archive, receiver, job, "job"          → jobRecord
//	millrace, archive, receiver, job, "file", key    → fileRecord
//
// A file's record is committed after the pipeline has taken a batch, never before: a crash repeats at most one batch of each
// file under way. Any goroutine may use it.
type positions struct {
	store    state.Store
	receiver string
	job      string
}

// jobRecord is a job's own.
type jobRecord struct {
	Selection string `json:"selection"` // its hash
	Finished  bool   `json:"finished,omitempty"`
	Events    int64  `json:"events"` // when it had finished
}

// fileRecord is how far a file is.
type fileRecord struct {
	Size int64 `json:"size"` // of the file; another one is another file
	Rows int64 `json:"rows"` // from its beginning: taken, skipped or passed over
	Done bool  `json:"done,omitempty"`
}

func (p *positions) key(parts ...string) []byte {
	all := [][]byte{[]byte(state.Own), []byte("archive"), []byte(p.receiver), []byte(p.job)}
	for _, part := range parts {
		all = append(all, []byte(part))
	}
	return state.Key(all...)
}

func (p *positions) set(value any, parts ...string) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing a position: %w", err)
	}
	var b state.Batch
	b.Set(p.key(parts...), text)
	if err := p.store.Commit(&b); err != nil {
		return fmt.Errorf("committing a position: %w", err)
	}
	return nil
}

func (p *positions) loadJob() (record jobRecord, known bool, err error) {
	text, known, err := p.store.Get(p.key("job"))
	if err == nil && known {
		err = json.Unmarshal(text, &record)
	}
	if err != nil {
		return record, known, fmt.Errorf("reading job %q: %w", p.job, err)
	}
	return record, known, nil
}

func (p *positions) setJob(r jobRecord) error { return p.set(r, "job") }

func (p *positions) setFile(key string, r fileRecord) error { return p.set(r, "file", key) }

// files are those that were begun or done, by key.
func (p *positions) files() (map[string]fileRecord, error) {
	all := map[string]fileRecord{}
	prefix := p.key("file")
	err := p.store.Range(prefix, state.PrefixEnd(prefix), func(key, value []byte) error {
		parts, ok := state.SplitKey(key)
		if !ok || len(parts) != 6 {
			return fmt.Errorf("key %q is none of a file", key)
		}
		var r fileRecord
		if err := json.Unmarshal(value, &r); err != nil {
			return err
		}
		all[string(parts[5])] = r
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading how far the files of job %q are: %w", p.job, err)
	}
	return all, nil
}

// forgetFiles removes the records of a job that has finished: that it has is all that is asked for then.
func (p *positions) finish(r jobRecord) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing a position: %w", err)
	}
	var b state.Batch
	prefix := p.key("file")
	b.DeleteRange(prefix, state.PrefixEnd(prefix))
	b.Set(p.key("job"), text)
	if err := p.store.Commit(&b); err != nil {
		return fmt.Errorf("committing that job %q is done: %w", p.job, err)
	}
	return nil
}
