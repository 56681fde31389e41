// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/columns"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/masking"
)

// typed are properties of every column type, and a value of each.
var typed = []struct{ name, schema, value string }{
	{"text", `{"type":"string"}`, `"Jane Roe"`},
	{"few", `{"type":"string","enum":["red","green"]}`, `"red"`},
	{"email", `{"type":"string","format":"email"}`, `"jane.roe@example.com"`},
	{"uuid", `{"type":"string","format":"uuid"}`, `"8f14e45f-ceea-467f-8e3d-1d2b8d6cf3a1"`},
	{"date", `{"type":"string","format":"date"}`, `"1984-05-17"`},
	{"time", `{"type":"string","format":"date-time"}`, `"1984-05-17T10:11:12.5Z"`},
	{"flag", `{"type":"boolean"}`, `true`},
	{"int8", `{"type":"integer","x-column":"Int8"}`, `-101`},
	{"int16", `{"type":"integer","x-column":"Int16"}`, `-31234`},
	{"int32", `{"type":"integer","x-column":"Int32"}`, `1234567890`},
	{"int64", `{"type":"integer"}`, `1234567890123456789`},
	{"uint8", `{"type":"integer","x-column":"UInt8"}`, `200`},
	{"uint16", `{"type":"integer","x-column":"UInt16"}`, `61234`},
	{"uint32", `{"type":"integer","x-column":"UInt32"}`, `4111111111`},
	{"uint64", `{"type":"integer","x-column":"UInt64"}`, `9111111111111111111`},
	{"float32", `{"type":"number","x-column":"Float32"}`, `1234.5`},
	{"float64", `{"type":"number"}`, `-12345678.25`},
	{"whole", `{"type":"number"}`, `12345678`},
	{"digits", `{"type":"string","pattern":"^[0-9.]+$","x-column":"Decimal(10,2)"}`, `"12345678.25"`},
	{"amount", `{"type":"number","x-column":"Decimal(10,2)"}`, `12345678`},
}

// small have fewer than a million others of their pattern, or decimals.
var small = map[string]bool{"few": true, "int8": true, "int16": true, "uint8": true, "uint16": true, "float32": true, "float64": true}

// actionsToTry are every action, by fields that matter to columns.
func actionsToTry() map[string]masking.Spec {
	none := -3
	return map[string]masking.Spec{
		"redact": {Action: masking.Redact}, "redact as text": {Action: masking.Redact, Replacement: "x"}, "redact as number": {Action: masking.Redact, Replacement: "1000"},
		"redact as date": {Action: masking.Redact, Replacement: "1970-01-01"}, "redact as address": {Action: masking.Redact, Replacement: "x@masked.invalid"},
		"partial": {Action: masking.Partial}, "partial at both ends": {Action: masking.Partial, KeepFirst: 2, KeepLast: 2},
		"truncate": {Action: masking.Truncate}, "truncate thousands": {Action: masking.Truncate, Decimals: &none}, "truncate text": {Action: masking.Truncate, KeepFirst: 2},
		"pseudonym": {Action: masking.Pseudonym}, "token": {Action: masking.Token}, "fpe": {Action: masking.FPE}, "erasable": {Action: masking.Erasable},
		"bucket": {Action: masking.Bucket, Width: 10}, "bucket with bounds": {Action: masking.Bucket, Bounds: []float64{-1000, 5000, 1e10}}, "drop": {Action: masking.Drop},
	}
}

// A value in a typed column is of that type after any action, or absent, and stays as it is from then on: a row that a sink refuses is an event that is lost for its table.
func TestMaskedValuesFitIntoTheirColumns(t *testing.T) {
	var properties []string
	for _, p := range typed {
		tagged := strings.Replace(p.schema, "{", `{"x-pii":"secret_thing",`, 1)
		properties = append(properties, fmt.Sprintf(`%q:%s`, p.name, tagged), fmt.Sprintf(`"%s_list":{"type":"array","items":%s}`, p.name, strings.Replace(tagged, `"x-column"`, `"x-ignored"`, 1)))
	}
	each := strings.Join(properties, ",")
	doc := `{"type":"object","properties":{` + strings.Join(properties, ",") + `,"o":{"type":"object","properties":{` + each + `}},"each":{"type":"array","items":{"type":"object","properties":{` + each + `}}}}}`
	registry := newTestRegistry(compile(t, "e", doc))
	layout := columns.New(registry.snapshot, "", nil)
	rows := columns.NewEvents(layout, "JSON")
	add := func(name string, ld plog.Logs) {
		t.Helper()
		var r event.Reader
		r.Reset(event.FromLogs(ld))
		e := r.Next()
		require.False(t, e.Failed, name)
		if err := rows.Add(e, r.ResourceIndex()); err != nil {
			require.Fail(t, name, "%s at %s", err.Reason, err.Pointer)
		}
	}
	send := func(action masking.Kind) plog.Logs {
		var values, lists []string
		for _, p := range typed {
			if action == masking.FPE && small[p.name] {
				continue // it cannot be done to those
			}
			values = append(values, fmt.Sprintf(`%q:%s`, p.name, p.value))
			lists = append(lists, fmt.Sprintf(`"%s_list":[%s,%s]`, p.name, p.value, p.value))
		}
		object := strings.Join(values, ",")
		return oneEvent(t, "e", `{"event.schema":"e","event.schema.version":"1","user.id":"u1",`+object+`,`+strings.Join(lists, ",")+
			`,"o":{`+object+`},"each":[{`+object+`},{`+object+`}]}`)
	}
	add("as it is", send(masking.Keep))
	store := newTestStore(t)
	store.subjects = newTestSubjects(t, store.ring)
	for name, action := range actionsToTry() {
		ld := send(action.Action)
		p := started(t, hostOf(registry, store), new(consumertest.LogsSink), func(c *Config) {
			c.KeyStore = &storeID
			c.DefaultAction = action
		})
		before := ""
		for i := range 3 { // at an agent, at a gateway, and when it is reprocessed
			require.NoError(t, p.ConsumeLogs(context.Background(), ld))
			add(name, ld)
			if i > 0 && action.Action != masking.FPE {
				require.Equal(t, before, attributesOf(t, ld), name)
			}
			before = attributesOf(t, ld)
		}
	}
}
