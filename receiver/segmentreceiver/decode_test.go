// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/httpingest"
)

var update = flag.Bool("update", false, "write the golden files anew")

var testNow = time.Date(2026, 1, 2, 3, 4, 10, 0, time.UTC)

// newTestMapping makes IDs that a test can foresee.
func newTestMapping() *mapping {
	n := 0
	return &mapping{
		processor: "segment/test", generateMissingIDs: true, maxBatchEvents: 32,
		newID: func() string { n++; return fmt.Sprintf("generated-%d", n) },
	}
}

func decode(m *mapping, single string, body []byte) (event.Batch, error) {
	r := newRequest(m, body, single, testNow)
	defer r.release()
	b := event.NewBuilder("shop", "web", "test")
	if err := r.scan(); err != nil {
		return b.Batch(), err
	}
	r.writeKey = []byte("key-in-body")
	err := r.read(b)
	return b.Batch(), err
}

func TestGoldenBodiesBecomeEvents(t *testing.T) {
	bodies, err := filepath.Glob("testdata/golden/*.body")
	require.NoError(t, err)
	require.NotEmpty(t, bodies)
	for _, path := range bodies {
		name := strings.TrimSuffix(filepath.Base(path), ".body")
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(path)
			require.NoError(t, err)
			single, _, _ := strings.Cut(name, ".")
			if single == "batch" {
				single = ""
			}
			batch, err := decode(newTestMapping(), single, body)
			got := render(t, batch)
			if err != nil {
				got = renderProblem(t, err)
			}
			golden := strings.TrimSuffix(path, ".body") + ".events.json"
			if *update {
				require.NoError(t, os.WriteFile(golden, got, 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got))
		})
	}
}

func renderProblem(t *testing.T, err error) []byte {
	t.Helper()
	var p *httpingest.AnswerError
	require.ErrorAs(t, err, &p)
	text, err := json.MarshalIndent(map[string]any{"status": p.Status, "code": p.Code, "message": p.Message}, "", "  ")
	require.NoError(t, err)
	return append(text, '\n')
}

// render writes events as JSON, in the order of their properties.
func render(t *testing.T, batch event.Batch) []byte {
	t.Helper()
	var reader event.Reader
	reader.Reset(batch)
	out := []byte("[")
	for e := reader.Next(); e != nil; e = reader.Next() {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, '{')
		for _, f := range [...][2]string{
			{"name", e.Name}, {"id", e.ID}, {"time", timeText(e.Time)}, {"received", timeText(e.Received)},
			{"user", e.UserID}, {"anonymous", e.AnonymousID}, {"tenant", e.Tenant}, {"source", e.Source},
			{"failure.stage", e.Failure.Stage}, {"failure.reason", e.Failure.Reason},
			{"failure.pointer", e.Failure.Pointer}, {"failure.processor", e.Failure.Processor},
		} {
			if f[1] != "" {
				out = append(event.AppendJSONString(out, f[0]), ':')
				out = append(event.AppendJSONString(out, f[1]), ',')
			}
		}
		for _, group := range [...]struct {
			name  string
			props []event.Property
		}{{"properties", e.Properties}, {"context", e.Context}} {
			out = append(event.AppendJSONString(out, group.name), ":{"...)
			for i, p := range group.props {
				if i > 0 {
					out = append(out, ',')
				}
				var err error
				out, err = p.Value.AppendJSON(append(event.AppendJSONString(out, p.Key), ':'))
				require.NoError(t, err)
			}
			out = append(out, "},"...)
		}
		out = append(out[:len(out)-1], '}')
	}
	out = append(out, ']')
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, out, "", "  "), "%s", out)
	return append(indented.Bytes(), '\n')
}

func timeText(ts pcommon.Timestamp) string { return ts.AsTime().Format(time.RFC3339Nano) }

func TestTooManyPropertiesAreAFailedEvent(t *testing.T) {
	f := func(members string, n int, want string) {
		t.Helper()
		var b strings.Builder
		fmt.Fprintf(&b, `{"batch":[{"type":"track","event":"e","messageId":"wide",%s`, members)
		for i := range n {
			fmt.Fprintf(&b, `%q:%d,`, fmt.Sprintf("p%d", i), i)
		}
		b.WriteString(`"last":0`)
		if strings.HasSuffix(members, "{") {
			b.WriteByte('}')
		}
		b.WriteString(`},{"type":"track","event":"good","messageId":"good"}]}`)
		batch, err := decode(newTestMapping(), "", []byte(b.String()))
		require.NoError(t, err)
		var reader event.Reader
		reader.Reset(batch)
		e := reader.Next()
		assert.Equal(t, want, e.Failure.Reason)
		assert.Equal(t, "wide", e.ID)
		assert.False(t, reader.Next().Failed)
		assert.Nil(t, reader.Next())
	}
	f(`"properties":{`, 1000, "")
	f(`"properties":{`, 10_000, "too_many_members")
	f(`"context":{`, 10_000, "too_many_members")
	f("", 10_000, "too_many_members")
}

// Values cost many times their text, so a message may not hold any number of them, wherever they are.
func TestTooManyValuesFailOneMessageOnly(t *testing.T) {
	f := func(message string) {
		t.Helper()
		body := `{"batch":[{"type":"track","event":"e","messageId":"heavy",` + message + `},{"type":"track","event":"good"}]}`
		batch, err := decode(newTestMapping(), "", []byte(body))
		require.NoError(t, err)
		var reader event.Reader
		reader.Reset(batch)
		e := reader.Next()
		assert.Equal(t, "too_many_values", e.Failure.Reason)
		assert.Equal(t, "heavy", e.ID)
		assert.False(t, reader.Next().Failed)
	}
	many := "[" + strings.Repeat("[],", event.MaxValues) + "1]"
	f(`"properties":{"a":` + many + `}`)
	f(`"context":{"a":` + many + `}`)
	f(`"integrations":{"a":` + many + `}`)
	f(`"other":` + many)
}

// A nesting that a recursive reader would overflow its stack on, or refuse the whole body for, is one message's
// matter.
func TestMillionfoldNestingFailsOneMessageOnly(t *testing.T) {
	const n = 1_000_000
	body := `{"batch":[{"type":"track","event":"e","messageId":"deep","properties":{"a":` + strings.Repeat("[", n) +
		strings.Repeat("]", n) + `}},{"type":"track","event":"good","messageId":"good"}]}`
	batch, err := decode(newTestMapping(), "", []byte(body))
	require.NoError(t, err)
	var reader event.Reader
	reader.Reset(batch)
	e := reader.Next()
	assert.Equal(t, event.Failure{
		Stage: event.StageReceive, Reason: "nesting_too_deep", Pointer: "/properties", Processor: "segment/test",
	}, e.Failure)
	assert.Equal(t, "deep", e.ID)
	assert.False(t, reader.Next().Failed)
}

func TestMissingIDsAreGeneratedOnlyWhenConfigured(t *testing.T) {
	f := func(generate bool, body, want string) {
		t.Helper()
		m := newTestMapping()
		m.generateMissingIDs = generate
		batch, err := decode(m, typeTrack, []byte(body))
		require.NoError(t, err)
		var reader event.Reader
		reader.Reset(batch)
		assert.Equal(t, want, reader.Next().ID)
	}
	f(true, `{"event":"e"}`, "generated-1")
	f(true, `{"event":"e","messageId":""}`, "generated-1")
	f(true, `{"event":"e","messageId":"m"}`, "m")
	f(true, `{"messageId":"m"}`, "m") // failed events too
	f(true, `{}`, "generated-1")
	f(false, `{"event":"e"}`, "")
	f(false, `{}`, "")
}

func TestClockSkewIsCorrectedBySentAt(t *testing.T) {
	f := func(correct bool, members, wantTime, wantOriginal string) {
		t.Helper()
		m := newTestMapping()
		m.correctClockSkew = correct
		batch, err := decode(m, typeTrack, []byte(`{"event":"e"`+members+`}`))
		require.NoError(t, err)
		var reader event.Reader
		reader.Reset(batch)
		e := reader.Next()
		require.False(t, e.Failed, e.Failure)
		assert.Equal(t, wantTime, timeText(e.Time))
		var original string
		for _, p := range e.Context {
			if p.Key == "segment.originalTimestamp" {
				original = p.Value.Str()
			}
		}
		assert.Equal(t, wantOriginal, original)
	}
	// received is 03:04:10 by our clock
	f(true, `,"timestamp":"2026-05-01T00:00:00Z","sentAt":"2026-05-01T00:00:04Z"`, "2026-01-02T03:04:06Z", "2026-05-01T00:00:00Z")
	f(false, `,"timestamp":"2026-05-01T00:00:00Z","sentAt":"2026-05-01T00:00:04Z"`, "2026-05-01T00:00:00Z", "")
	f(true, `,"timestamp":"2026-05-01T00:00:00Z"`, "2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z")
	f(true, `,"timestamp":"2026-05-01T00:00:00Z","sentAt":"soon"`, "2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z")
	f(true, `,"timestamp":"2026-05-01T00:00:00Z","sentAt":5`, "2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z")
	f(true, `,"sentAt":"2026-05-01T00:00:04Z"`, "2026-01-02T03:04:10Z", "")
	f(true, `,"originalTimestamp":"2026-05-01T00:00:00Z","sentAt":"2026-05-01T00:00:01Z"`, "2026-01-02T03:04:09Z", "2026-05-01T00:00:00Z")
}

func TestAReusedRequestKeepsNothingOfTheLast(t *testing.T) {
	m := newTestMapping()
	r := newRequest(m, []byte(`{"writeKey":"k","batch":[{"type":"track","event":"e","x":1}],"context":{"a":1},"sentAt":"s"}`), "", testNow)
	require.NoError(t, r.scan())
	require.NoError(t, r.read(event.NewBuilder("", "", "")))
	r.release()
	assert.Nil(t, r.body)
	assert.Nil(t, r.writeKey)
	assert.Empty(t, r.messages)
	assert.Empty(t, r.shared)
	assert.False(t, r.hasBatch)
	assert.Zero(t, r.msg.fields)
}

// FuzzDecode holds: no panic; as many events as messages; what encoding/json reads as a body with a batch is
// taken; and what is not marked as failed was JSON and has a name.
func FuzzDecode(f *testing.F) {
	bodies, err := filepath.Glob("testdata/golden/*.body")
	require.NoError(f, err)
	for _, path := range bodies {
		body, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(body, strings.HasPrefix(filepath.Base(path), "batch"))
	}
	f.Fuzz(func(t *testing.T, body []byte, isBatch bool) {
		single := typePage
		if isBatch {
			single = ""
		}
		m := newTestMapping()
		r := newRequest(m, body, single, testNow)
		defer r.release()
		scanErr := r.scan()
		var problem *httpingest.AnswerError
		if scanErr != nil {
			require.ErrorAs(t, scanErr, &problem)
		}
		var outer struct{ Batch []json.RawMessage }
		if isBatch && json.Unmarshal(body, &outer) == nil && outer.Batch != nil && bytes.Count(body, []byte("atch")) == 1 &&
			bytes.Contains(body, []byte(`"batch"`)) && len(outer.Batch) <= m.maxBatchEvents {
			require.NoError(t, scanErr)
			require.Len(t, r.messages, len(outer.Batch))
		}
		if scanErr != nil {
			return
		}
		b := event.NewBuilder("", "", "")
		if err := r.read(b); err != nil {
			require.ErrorAs(t, err, &problem)
			require.False(t, json.Valid(body), "refused as no JSON, but it is")
			return
		}
		require.Equal(t, len(r.messages), b.Len())
		var reader event.Reader
		reader.Reset(b.Batch())
		i, failures := 0, len(r.failed)
		for e := reader.Next(); e != nil; e = reader.Next() {
			require.NotEmpty(t, e.Name)
			require.NotEmpty(t, e.ID)
			if e.Failed {
				failures--
			} else {
				require.True(t, json.Valid(r.messages[i].of(body)), "not JSON, but not failed: %q", r.messages[i].of(body))
			}
			i++
		}
		require.Zero(t, failures)
	})
}

func BenchmarkDecode(b *testing.B) {
	message := `{"type":"track","event":"Product Viewed","messageId":"node-next-1735787045678-0b1f6f3e-7c41-4d0e-9d0a-6f0d3f0c9a11",` +
		`"userId":"user-1234567","anonymousId":"2b6cf4ea-4d1c-4d0f-8d55-1df6ec2f7f7e","timestamp":"2026-01-02T03:04:05.678Z",` +
		`"properties":{"product_id":"sku-8812","name":"Trail Shoe","brand":"Northpeak","category":"shoes","price":129.9,` +
		`"currency":"EUR","quantity":1,"position":3,"in_stock":true,"tags":["outdoor","sale"]},` +
		`"context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"},"page":{"path":"/p/8812","url":"https://shop.example.com/p/8812"},"locale":"de-DE"},` +
		`"integrations":{},"_metadata":{"nodeVersion":"20.0.0","jsRuntime":"node"}}`
	const n = 100
	body := []byte(`{"batch":[` + strings.TrimSuffix(strings.Repeat(message+",", n), ",") + `],"writeKey":"k","sentAt":"2026-01-02T03:04:06.000Z"}`)
	m := newTestMapping()
	m.maxBatchEvents = n
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		batch, err := decode(m, "", body)
		if err != nil || batch.Len() != n {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
}
