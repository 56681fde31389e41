// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
)

const schemaDir = "../../configs/schemas"

func newGenerator(tb testing.TB, cfg GeneratorConfig) *Generator {
	tb.Helper()
	g, err := NewGenerator(cfg)
	require.NoError(tb, err)
	return g
}

// mixed is a configuration that has some of everything.
func mixed(events int64) GeneratorConfig {
	return GeneratorConfig{
		Seed: 7, Events: events, Paths: [3]float64{70, 10, 20}, Late: 0.05, Duplicates: 0.02, Bad: 0.03,
		Users: 5000,
	}
}

func TestGeneratorGivesTheSameBytesForTheSameSeed(t *testing.T) {
	marshal := func(seed uint64) []byte {
		cfg := mixed(3000)
		cfg.Seed = seed
		g := newGenerator(t, cfg)
		var out []byte
		for {
			logs := g.Next(500)
			if logs.LogRecordCount() == 0 {
				return out
			}
			b, err := (&plog.ProtoMarshaler{}).MarshalLogs(logs)
			require.NoError(t, err)
			out = append(out, b...)
		}
	}
	first := marshal(1)
	require.True(t, bytes.Equal(first, marshal(1)), "two runs of one seed differ")
	require.False(t, bytes.Equal(first, marshal(2)), "two seeds give the same")

	batches := func() []byte {
		b := newBatcher(newGenerator(t, mixed(3000)), batchSizes{otlp: 300, segment: 50})
		var out []byte
		for {
			batch := b.next()
			if batch == nil {
				return out
			}
			out = append(append(out, batch.path.String()...), batch.body...)
		}
	}
	require.True(t, bytes.Equal(batches(), batches()), "two runs of one seed differ in what is sent")
}

func TestGeneratorKeepsToItsProportions(t *testing.T) {
	const events = 60_000
	cfg := mixed(events)
	g := newGenerator(t, cfg)
	m := NewManifest(cfg)
	g.Record(m)
	var sent, late, repeats int
	var newest int64
	var sentTo []uint32
	for e := g.next(); e != nil; e = g.next() {
		sent++
		sentTo = append(sentTo, e.entry)
		switch {
		case g.repeat:
			repeats++
		case e.time < newest-int64(10*time.Second):
			late++
		}
		newest = max(newest, e.time)
	}
	m.count(sentTo, countSent)
	s := m.Summary()
	require.EqualValues(t, events, s.Events)
	require.EqualValues(t, sent, s.Sent)
	require.EqualValues(t, repeats, s.Duplicates)
	share := func(what string, got int64, want, tolerance float64) {
		t.Helper()
		require.InDelta(t, want, float64(got)/events, tolerance, what)
	}
	share("late", int64(late), 0.05, 0.008)
	share("duplicates", s.Duplicates, 0.02, 0.003)
	var bad int64
	for k := MissingRequired; k < numBadKinds; k++ {
		require.NotZero(t, s.Bad[k.String()], k)
		bad += s.Bad[k.String()]
	}
	share("bad", bad, 0.03, 0.004)
	share("otlp_grpc", s.ByPath["otlp_grpc"], 0.70, 0.04)
	share("segment", s.ByPath["segment"], 0.20, 0.04)
	share("product_viewed", s.ByName["product_viewed"], 0.45, 0.1)

	// The funnel narrows, and somebody comes out at its end.
	funnel := []int64{s.ByName["product_viewed"], s.ByName["product_added"], s.ByName["checkout_started"], s.ByName["order_completed"]}
	for i := 1; i < len(funnel); i++ {
		require.Less(t, funnel[i], funnel[i-1])
	}
	share("order_completed", funnel[3], 0.012, 0.009)
	for _, n := range eventNames[:numNames] {
		require.NotZero(t, s.ByName[n], n)
	}
	require.WithinRange(t, s.Last, g.cfg.End.Add(-time.Minute), g.cfg.End)
	require.WithinRange(t, s.First, g.cfg.End.Add(-g.cfg.Span), g.cfg.End.Add(-g.cfg.Span+time.Minute))
}

func TestGeneratorUsersAreSkewedAndTheirIdentityHolds(t *testing.T) {
	g := newGenerator(t, mixed(30_000))
	perUser := map[string]int{}
	anonOf, tenantOf := map[string]string{}, map[string]uint8{}
	ids := map[ID]bool{}
	known := 0
	for e := g.next(); e != nil; e = g.next() {
		if g.repeat {
			require.True(t, ids[e.id] || len(g.held) > 0)
			continue
		}
		ids[e.id] = true
		perUser[e.anonID]++
		if !e.known {
			continue
		}
		known++
		if before, ok := anonOf[e.userID]; ok {
			require.Equal(t, before, e.anonID)
			require.Equal(t, tenantOf[e.userID], e.tenant)
		}
		anonOf[e.userID], tenantOf[e.userID] = e.anonID, e.tenant
	}
	require.Len(t, ids, 30_000)
	counts := make([]int, 0, len(perUser))
	for _, n := range perUser {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	top := 0
	for _, n := range counts[len(counts)*9/10:] {
		top += n
	}
	require.Greater(t, top, 30_000/4, "a tenth of the users makes over a quarter of the events")
	require.InDelta(t, 0.27, float64(known)/30_000, 0.08)
}

func TestGeneratorVisitsAreSpacedAsVisitorsAre(t *testing.T) {
	cfg := mixed(30_000)
	cfg.Late, cfg.Duplicates, cfg.Paths = 0, 0, [3]float64{1}
	g := newGenerator(t, cfg)
	last := map[string]int64{}
	var gaps []time.Duration
	for e := g.next(); e != nil; e = g.next() {
		if before, ok := last[e.session]; ok {
			gaps = append(gaps, time.Duration(e.time-before))
		}
		last[e.session] = e.time
	}
	slices.Sort(gaps)
	require.Greater(t, gaps[0], 500*time.Millisecond)
	require.Less(t, gaps[len(gaps)-1], 30*time.Minute)
	require.InDelta(t, 22, gaps[len(gaps)/2].Seconds(), 12)
}

func TestGeneratedEventsHaveTheSizeOfRealOnes(t *testing.T) {
	g := newGenerator(t, GeneratorConfig{Seed: 1})
	g.Next(45_000) // until the funnel is filled
	logs := g.Next(5000)
	size := (&plog.ProtoMarshaler{}).LogsSize(logs)
	attrs, long := 0, 0
	for _, rl := range logs.ResourceLogs().All() {
		for _, lr := range rl.ScopeLogs().At(0).LogRecords().All() {
			attrs += lr.Attributes().Len()
			for _, v := range lr.Attributes().All() {
				if len(v.AsString()) >= 40 && v.Str() != "" {
					long++
				}
			}
		}
	}
	t.Logf("mean: %d bytes, %.1f attributes, %.1f strings of 40 and more", size/5000, float64(attrs)/5000, float64(long)/5000)
	require.InDelta(t, 700, size/5000, 100)
	require.InDelta(t, 20, float64(attrs)/5000, 2)
	require.InDelta(t, 5, float64(long)/5000, 1.2)
}

func TestOTLPBytesAreWhatPdataWrites(t *testing.T) {
	g, twin := newGenerator(t, mixed(4000)), newGenerator(t, mixed(4000))
	head := newOTLPHead("shop-eu")
	for e := g.next(); e != nil; e = g.next() {
		record := e.appendRecord(nil)
		body := head.appendResourceLogs(nil, appendBytesField(nil, 2, record))
		req := plogotlp.NewExportRequest()
		require.NoError(t, req.UnmarshalProto(body))

		want := plog.NewLogs()
		twin.next().fill(fillResource(want.ResourceLogs().AppendEmpty(), "shop-eu").AppendEmpty())
		require.Equal(t, jsonOf(t, want), jsonOf(t, req.Logs()))
		again, err := req.MarshalProto()
		require.NoError(t, err)
		require.LessOrEqual(t, len(body), len(again), "the encoding is not the shortest")
	}
	require.Nil(t, twin.next())
}

func jsonOf(t *testing.T, logs plog.Logs) string {
	t.Helper()
	b, err := (&plog.JSONMarshaler{}).MarshalLogs(logs)
	require.NoError(t, err)
	return string(b)
}

// schemas compiles configs/schemas as the oracle: by subject, the versions from oldest to newest.
func schemas(t *testing.T) map[string][]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(schemaDir, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	slices.Sort(files)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	out := map[string][]*jsonschema.Schema{}
	for _, f := range files {
		m := regexp.MustCompile(`^([a-z_]+)\.v(\d+)\.json$`).FindStringSubmatch(filepath.Base(f))
		require.NotNil(t, m, "%s is not named <subject>.v<version>.json", f)
		s, err := c.Compile(f)
		require.NoError(t, err)
		out[m[1]] = append(out[m[1]], s)
		require.Equal(t, strconv.Itoa(len(out[m[1]])), m[2], "versions of %s have a gap", m[1])
	}
	return out
}

func TestEveryGoodEventFitsItsSchemaAndNoBadOneDoes(t *testing.T) {
	all := schemas(t)
	g := newGenerator(t, GeneratorConfig{Seed: 3, Events: 20_000, Bad: 0.4})
	seen := map[BadKind]map[string]bool{}
	for e := g.next(); e != nil; e = g.next() {
		var props any
		dec := json.NewDecoder(bytes.NewReader(appendJSONProps(nil, e.props)))
		dec.UseNumber()
		require.NoError(t, dec.Decode(&props))
		versions := all[eventNames[e.name]]
		if e.bad == UnknownName {
			require.Empty(t, versions)
			continue
		}
		require.NotEmpty(t, versions, eventNames[e.name])
		for i, s := range versions {
			err := s.Validate(props)
			if e.bad == Good {
				require.NoError(t, err, "%s v%d", eventNames[e.name], i+1)
				continue
			}
			if i == len(versions)-1 {
				require.Error(t, err, "%s: %s: %v", eventNames[e.name], e.bad, props)
			}
		}
		if seen[e.bad] == nil {
			seen[e.bad] = map[string]bool{}
		}
		seen[e.bad][eventNames[e.name]] = true
	}
	require.Len(t, seen[Good], int(numNames))
	for k := MissingRequired; k.Fails() && k < UnknownName; k++ {
		require.NotEmpty(t, seen[k], k)
	}
}

func TestRequiredPropertiesAreThoseOfTheSchemas(t *testing.T) {
	for subject, versions := range schemas(t) {
		n := slices.Index(eventNames, subject)
		require.GreaterOrEqual(t, n, 0, subject)
		var names []string
		for _, k := range required[n] {
			names = append(names, k.name)
		}
		require.ElementsMatch(t, versions[len(versions)-1].Required, names, subject)
	}
}

func TestSchemasMakeOneTableWithEveryKindOfColumn(t *testing.T) {
	envelope := strings.Fields("event_id event_name event_time received_time user_id anonymous_id session_id tenant_id source schema_name schema_version trace_id span_id resource properties")
	snap, err := Schemas(schemaDir)
	require.NoError(t, err, "two schemas give one column two types")
	kinds, personal := map[string]bool{}, map[string]bool{}
	for _, s := range snap.Schemas() {
		for _, p := range s.Properties {
			require.NotContains(t, envelope, p.Column, s.ID())
			k := p.Type.String()
			switch {
			case p.Array:
				k = "array of " + k
			case p.Each > 0:
				k = "each " + k
			case p.Type.LowCardinality:
				k = "low-cardinality " + k
			case len(p.Path) > 1:
				k = "nested " + k
			case p.Column != p.Path[0]:
				k = "renamed " + k
			}
			kinds[k], personal[p.PII] = true, true
		}
	}
	for _, k := range []string{
		"String", "low-cardinality String", "nested String", "renamed String", "array of String", "each String",
		"Int64", "UInt32", "Float64", "Decimal(18, 2)", "each Decimal(18, 2)", "Bool", "DateTime64(9, 'UTC')", "Date32", "UUID",
	} {
		require.True(t, kinds[k], "no schema declares a column of kind %s: %v", k, kinds)
	}
	for _, c := range []string{"email", "phone", "name", "address"} {
		require.True(t, personal[c], c)
	}
}

func TestHashPropertiesAgreesWithTheGenerators(t *testing.T) {
	g := newGenerator(t, mixed(5000))
	var buf []byte
	for e := g.next(); e != nil; e = g.next() {
		for _, useNumber := range []bool{true, false} {
			var want uint64
			want, buf = hashProps(e.props, buf)
			var props map[string]any
			dec := json.NewDecoder(bytes.NewReader(appendJSONProps(nil, e.props)))
			if useNumber {
				dec.UseNumber()
			}
			require.NoError(t, dec.Decode(&props))
			got, err := HashProperties(props)
			require.NoError(t, err)
			require.Equal(t, want, got)
			props["price"] = 0.07
			other, err := HashProperties(props)
			require.NoError(t, err)
			require.NotEqual(t, want, other)
		}
	}
}

func TestGeneratorRefusesNonsense(t *testing.T) {
	f := func(cfg GeneratorConfig, want string) {
		t.Helper()
		_, err := NewGenerator(cfg)
		require.ErrorContains(t, err, want)
	}
	f(GeneratorConfig{Late: 1.5}, "late: 1.5 is no share")
	f(GeneratorConfig{Bad: -1}, "bad: -1 is no share")
	f(GeneratorConfig{Events: -1}, "events: -1 is negative")
	f(GeneratorConfig{Users: -5}, "users: -5 is out of range")
	f(GeneratorConfig{Tenants: make([]string, 17)}, "tenants: 17 are too many")
	f(GeneratorConfig{Paths: [3]float64{1, -1, 1}}, "paths: -1 for otlp_http is negative")
}

// BenchmarkGenerator makes and encodes events as a run does.
func BenchmarkGenerator(b *testing.B) {
	f := func(name string, paths [3]float64, record bool) {
		b.Run(name, func(b *testing.B) {
			cfg := GeneratorConfig{Seed: 1, Paths: paths, Late: 0.02, Bad: 0.01}
			g := newGenerator(b, cfg)
			if record {
				g.Record(NewManifest(cfg))
			}
			batches := newBatcher(g, batchSizes{otlp: 1000, segment: 250})
			var events, size int
			for b.Loop() {
				batch := batches.next()
				events += batch.events
				size += len(batch.body)
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(size)/float64(events), "bytes/event")
		})
	}
	f("otlp", [3]float64{1, 0, 0}, false)
	f("otlp_recorded", [3]float64{1, 0, 0}, true)
	f("segment", [3]float64{0, 0, 1}, false)
	b.Run("plog", func(b *testing.B) {
		g := newGenerator(b, GeneratorConfig{Seed: 1})
		for b.Loop() {
			g.Next(1000)
		}
		b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
	})
}
