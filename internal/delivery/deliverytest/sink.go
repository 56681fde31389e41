// SPDX-License-Identifier: Apache-2.0

package deliverytest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/delivery"
)

// Sink is the end of the pipeline and survives a crash. It stores a batch under its identity once, and fails the test if a
// repetition carries other records.
type Sink struct {
	t      testing.TB
	stored map[string][]byte

	// Batches in the order in which they were first stored.
	Batches []Batch
	// Outside are batches that came without a delivery, such as declarations at start.
	Outside []plog.Logs
	// Calls counts the calls with a delivery. Any test may set it back.
	Calls int
	// Fail, if set, is asked at every call with a delivery: what it returns fails the call, before anything is stored,
	// or after.
	Fail func(d *delivery.Delivery) (before, after error)
}

// Batch is what one identity carried.
type Batch struct {
	ID        delivery.Identity
	Watermark int64 // of an outbox batch
	Inputs    delivery.Inputs
	Logs      plog.Logs
}

var _ consumer.Logs = (*Sink)(nil)

// SinkID is the component that claims each delivery.
var SinkID = component.MustNewID("sink")

// NewSink is empty.
func NewSink(t testing.TB) *Sink {
	t.Helper()
	return &Sink{t: t, stored: map[string][]byte{}}
}

// Capabilities implements consumer.Logs.
func (s *Sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeLogs implements consumer.Logs.
func (s *Sink) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	own := plog.NewLogs()
	ld.CopyTo(own)
	d := delivery.FromContext(ctx)
	if d == nil {
		s.Outside = append(s.Outside, own)
		return nil
	}
	if err := d.Claim(SinkID); err != nil {
		return err
	}
	s.Calls++
	var after error
	if s.Fail != nil {
		var before error
		if before, after = s.Fail(d); before != nil {
			return before
		}
	}
	b, err := (&plog.ProtoMarshaler{}).MarshalLogs(own)
	require.NoError(s.t, err)
	token := d.ID.Token()
	if first, known := s.stored[token]; !known {
		s.stored[token] = b
		s.Batches = append(s.Batches, Batch{ID: d.ID, Watermark: d.Watermark, Inputs: delivery.InputsFrom(ctx), Logs: own})
	} else if string(first) != string(b) {
		was, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(first)
		require.NoError(s.t, err)
		require.Equal(s.t, text(was), text(own), "a repetition of %s must carry the same records", d.ID)
		require.Equal(s.t, first, b, "a repetition of %s must carry the same bytes", d.ID)
	}
	return after
}

// text is the records as JSON.
func text(ld plog.Logs) string {
	b, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Each calls f for the records of all batches, in order.
func (s *Sink) Each(f func(b *Batch, lr plog.LogRecord)) {
	for i := range s.Batches {
		for _, rl := range s.Batches[i].Logs.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					f(&s.Batches[i], lr)
				}
			}
		}
	}
}
