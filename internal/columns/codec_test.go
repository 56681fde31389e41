// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/result"
	"github.com/millrace/millrace/internal/schema"
)

func TestALayoutIsDecodedAsItWas(t *testing.T) {
	compile := func(subject, version, doc string) *schema.Schema {
		s, err := schema.Compile(subject, version, []byte(doc))
		require.NoError(t, err)
		return s
	}
	snap, err := schema.NewSnapshot(1, []*schema.Schema{
		compile("every", "1", `{"type":"object","properties":{"int":{"type":"integer"},"products":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}}}`),
		compile("every", "2", `{"type":"object","properties":{"int":{"type":"integer"},"more":{"type":"string","format":"date-time"},"price":{"type":"string","x-column":"Decimal(18, 2)"}}}`),
		compile("other", "1", `{"type":"object","properties":{"only":{"type":"boolean"}}}`),
	})
	require.NoError(t, err)
	l := New(snap, "", map[string]bool{"int": true})
	got, err := l.Encode().Decode()
	require.NoError(t, err)
	require.Equal(t, l, got)
	require.Same(t, got.plans[schemaKey{"every", ""}], got.plans[schemaKey{"every", "2"}], "events without a version have the latest")

	one := New(snap, "every", nil)
	var names []string
	for _, c := range one.Columns {
		names = append(names, c.Name)
	}
	require.ElementsMatch(t, []string{"int", "products.sku", "more", "price"}, names, "of one subject, all versions")
}

func TestALayoutOfResultsIsOfAllEventsAndDecodedAsItWas(t *testing.T) {
	l, err := ForResults(&result.Table{Name: "r", Columns: []result.Column{
		{Name: "k", Attribute: "user.id", Type: result.String}, {Name: "at", Type: result.Timestamp}, {Name: "source", Type: result.String}, {Name: "property_source", Type: result.Int64},
		{Name: "counts", Type: result.Counts}, {Name: "top", Type: result.Ranked}, {Name: "left", Type: result.Bool},
	}}, map[string]bool{"left": true})
	require.NoError(t, err)
	var names []string
	for i := range l.Columns {
		names = append(names, l.Columns[i].Name+" "+l.Columns[i].Definition())
	}
	require.Equal(t, []string{
		"at Nullable(DateTime64(9, 'UTC'))", "property_source Nullable(String)", "property_property_source Nullable(Int64)", "top.value Array(Nullable(String))", "top.count Array(Nullable(Int64))",
		"result_id Nullable(String)", "pane_timing LowCardinality(Nullable(String))", "pane_index Nullable(Int64)",
	}, names)
	got, err := l.Encode().Decode()
	require.NoError(t, err)
	require.Equal(t, l, got)

	bad := l.Encode()
	bad.Schemas = nil
	_, err = bad.Decode()
	require.EqualError(t, err, "reading a kept layout: it is of 0 schemas and not of one")
	bad = l.Encode()
	bad.Columns[1].Nanoseconds = true
	_, err = bad.Decode()
	require.EqualError(t, err, `reading a kept layout: column "property_source" is no time of nanoseconds`)
}
