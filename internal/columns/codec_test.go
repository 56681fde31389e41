// SPDX-License-Identifier: Apache-2.0

package columns

import (
	"testing"

	"github.com/stretchr/testify/require"

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
