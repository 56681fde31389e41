// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func versionOf(tb testing.TB, subject, version, properties string) *Schema {
	tb.Helper()
	s, err := Compile(subject, version, []byte(`{"properties":{`+properties+`}}`))
	require.NoError(tb, err)
	return s
}

func TestVersionsAreOrderedByTheirNumbers(t *testing.T) {
	want := strings.Fields("0 1 1-0-0 1-0-9 1-0-10 1-2-0 1.2.3 1.10 2 02 2-beta 9 10 99999999999999999998 99999999999999999999 beta")
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareVersions)
	for i := range want { // "2" and "02" are equal in number: by text
		if want[i] == "2" {
			want[i], want[i+1] = want[i+1], want[i]
			break
		}
	}
	assert.Equal(t, want, got)
}

func TestSnapshotFindsByNameAndVersion(t *testing.T) {
	var schemas []*Schema
	for _, v := range []string{"10", "9", "1"} {
		schemas = append(schemas, versionOf(t, "order_completed", v, ""))
	}
	schemas = append(schemas, versionOf(t, "Cart Viewed", "1-0-0", ""), versionOf(t, "!!!", "1", ""), versionOf(t, "???", "1", ""))
	s, err := NewSnapshot(7, schemas)
	require.NoError(t, err)
	assert.Equal(t, uint64(7), s.Generation())
	var ids []string
	for _, sch := range s.Schemas() {
		ids = append(ids, sch.ID())
	}
	assert.Equal(t, []string{"!!!/1", "???/1", "Cart Viewed/1-0-0", "order_completed/1", "order_completed/9", "order_completed/10"}, ids)

	match := func(name, want string) {
		t.Helper()
		got := ""
		if found := s.Match(name); found != nil {
			got = found.ID()
		}
		assert.Equal(t, want, got, name)
	}
	match("order_completed", "order_completed/10")
	match("Order Completed", "order_completed/10")
	match("order.completed", "order_completed/10")
	match("--Order--Completed--", "order_completed/10")
	match("ordercompleted", "")
	match("cart_viewed", "Cart Viewed/1-0-0")
	match("???", "???/1")
	match("...", "")
	match("", "")
	match(strings.Repeat("x", 1000), "")

	assert.Equal(t, "order_completed/9", s.Find("order_completed", "9").ID())
	assert.Equal(t, "order_completed/10", s.Find("order_completed", "").ID())
	assert.Nil(t, s.Find("order_completed", "11"))
	assert.Nil(t, s.Find("nothing", ""))
	assert.Zero(t, testing.AllocsPerRun(10, func() { s.Match("Order Completed") }))
}

func TestCanonicalNameKeepsLettersAndDigits(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		assert.Equal(t, want, CanonicalName(name), name)
	}
	f("Order Completed", "order_completed")
	f("order.completed", "order_completed")
	f("  Step 2: paid! ", "step_2_paid")
	f("Größe ÄNDERN", "größe_ändern")
	f("注文", "注文")
	f("", "")
	f("---", "")
	f("a\xffb", "a\uFFFDb")
}

func TestSnapshotRefusesWhatContradicts(t *testing.T) {
	f := func(want string, schemas ...*Schema) {
		t.Helper()
		_, err := NewSnapshot(1, schemas)
		require.Error(t, err)
		assert.Equal(t, want, err.Error())
	}
	f(`schema "a/1" is there twice; remove one or raise its version`,
		versionOf(t, "a", "1", ""), versionOf(t, "a", "1", ""))
	f(`subjects "Order Completed" and "order_completed" are both "order_completed" to an event's name; rename one or make them versions of one subject`,
		versionOf(t, "order_completed", "1", ""), versionOf(t, "Order Completed", "1", ""))
	f(`column "total" is Int64 in schema "a/1" but Float64 in schema "a/2"; give both one type, or one of them another column with "x-column": {"name": "…"}`,
		versionOf(t, "a", "2", `"total":{"type":"number"}`), versionOf(t, "a", "1", `"total":{"type":"integer"}`))
	f(`column "tags" is String in schema "a/1" but Array(String) in schema "b/1"; give both one type, or one of them another column with "x-column": {"name": "…"}`,
		versionOf(t, "a", "1", `"tags":{"type":"string"}`), versionOf(t, "b", "1", `"tags":{"type":"array","items":{"type":"string"}}`))
	f(`column "t" is DateTime64(9, 'UTC') in schema "a/1" but DateTime64(3, 'UTC') in schema "b/1"; give both one type, or one of them another column with "x-column": {"name": "…"}`,
		versionOf(t, "a", "1", `"t":{"type":"string","format":"date-time"}`), versionOf(t, "b", "1", `"t":{"type":"string","format":"date-time","x-column":"DateTime64(3)"}`))
}

func TestLowCardinalityIsForColumnsWhereAllSchemasSaySo(t *testing.T) {
	few, free := versionOf(t, "a", "1", `"s":{"enum":["x"]},"only":{"enum":["x"]}`), versionOf(t, "b", "1", `"s":{"type":"string"}`)
	s, err := NewSnapshot(1, []*Schema{few, free})
	require.NoError(t, err)
	a := s.Find("a", "1")
	assert.Equal(t, "only", a.Properties[0].Column)
	assert.True(t, a.Properties[0].Type.LowCardinality)
	assert.False(t, a.Properties[1].Type.LowCardinality)
	assert.True(t, few.Properties[1].Type.LowCardinality, "the given schema is left as it is")
	assert.Equal(t, "enum", a.Validate(eventOf(t, map[string]any{"s": "y"})).Keyword, "the copy still judges")
}

func TestTwoArraysDoNotShareAPrefix(t *testing.T) {
	compile := func(subject, doc string) *Schema {
		t.Helper()
		s, err := Compile(subject, "1", []byte(doc))
		require.NoError(t, err)
		return s
	}
	list := `{"type":"array","items":{"type":"object","properties":{"x":{"type":"string"}}}}`
	other := `{"type":"array","items":{"type":"object","properties":{"y":{"type":"string"}}}}`
	inner := compile("inner", `{"type":"object","properties":{"o":{"type":"object","properties":{"p":`+list+`}}}}`)
	outer := compile("outer", `{"type":"object","properties":{"o_p":`+other+`}}`)
	_, err := NewSnapshot(1, []*Schema{inner, outer})
	require.EqualError(t, err, `column "o_p.x" in schema "inner/1" is of array "/o/p" but column "o_p.y" in schema "outer/1" of array "/o_p", `+
		`and ClickHouse takes "o_p" before the dot for one array; give one of them another column with "x-column": {"name": "…"}`)

	same := compile("same", `{"type":"object","properties":{"o":{"type":"object","properties":{"p":`+other+`}}}}`)
	_, err = NewSnapshot(1, []*Schema{inner, same})
	require.NoError(t, err, "two schemas may give one array different members")
}
