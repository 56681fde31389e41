// SPDX-License-Identifier: Apache-2.0

package event

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/plog"
)

// Chunk is the records [From, To) of an encoded LogsData or ExportLogsServiceRequest, counted in the order in which they
// stand.
type Chunk struct {
	OTLP     []byte
	From, To int
}

// rawBatch is a batch as bytes until somebody asks for pdata.
type rawBatch struct {
	chunks  []Chunk
	once    sync.Once
	decoded atomic.Bool
	logs    plog.Logs // valid when decoded
	err     error
}

// FromBytes reads encoded OTLP logs as events. The bytes are not to be changed as long as the batch, or what was read from
// it as a view, is in use. All that a batch can do it does by decoding them, once; a RowReader reads them in place.
func FromBytes(chunks []Chunk) Batch { return Batch{raw: &rawBatch{chunks: chunks}} }

// IsRaw says whether the batch is bytes that nobody has had decoded.
func (b Batch) IsRaw() bool { return b.raw != nil && !b.raw.decoded.Load() }

// Decode returns the batch as OTLP logs, and says if its bytes are none: then Logs returns what is empty.
func (b Batch) Decode() (plog.Logs, error) {
	if b.raw == nil {
		return b.logs, nil
	}
	b.raw.once.Do(b.raw.decode)
	return b.raw.logs, b.raw.err
}

var errRange = errors.New("the bytes hold fewer records than they are said to")

func (r *rawBatch) decode() {
	all := Batch{logs: plog.NewLogs()}
	r.logs = all.logs
	defer r.decoded.Store(true)
	for _, c := range r.chunks {
		ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(c.OTLP)
		if err != nil {
			r.err, r.logs = fmt.Errorf("decoding OTLP bytes: %w", err), plog.NewLogs()
			return
		}
		one := Batch{logs: ld}
		if c.From < 0 || c.From > c.To || one.Len() < c.To {
			r.err, r.logs = errRange, plog.NewLogs()
			return
		}
		one.Slice(c.From, c.To)
		all.Append(one)
	}
}
