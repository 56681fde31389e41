// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
)

// threeResources has events a to f over resources and scopes; a user stands on some.
func threeResources() Batch {
	ld := plog.NewLogs()
	add := func(sl plog.ScopeLogs, name string) {
		lr := sl.LogRecords().AppendEmpty()
		lr.SetEventName(name)
		lr.Attributes().PutStr(keyID, "id-"+name)
		if name < "d" {
			lr.Attributes().PutStr(keyUser, "user-"+name)
		}
	}
	one := ld.ResourceLogs().AppendEmpty()
	one.Resource().Attributes().PutStr(keyTenant, "acme")
	one.Resource().Attributes().PutStr(keyServiceName, "web")
	one.SetSchemaUrl("resource-url")
	s := one.ScopeLogs().AppendEmpty()
	s.Scope().SetName("s1")
	s.SetSchemaUrl("scope-url")
	add(s, "a")
	add(s, "b")
	s = one.ScopeLogs().AppendEmpty()
	s.Scope().SetName("s2")
	add(s, "c")
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty() // nothing in it
	two := ld.ResourceLogs().AppendEmpty()
	two.Resource().Attributes().PutStr(keyUser, "resource's")
	s = two.ScopeLogs().AppendEmpty()
	add(s, "d")
	add(s, "e")
	add(s, "f")
	return FromLogs(ld)
}

func names(b Batch) string {
	var out []string
	var r Reader
	r.Reset(b)
	for e := r.Next(); e != nil; e = r.Next() {
		out = append(out, e.Name)
	}
	return strings.Join(out, "")
}

func TestKeysAreTheRecordsElseTheResources(t *testing.T) {
	var got []string
	NewKeyReader(FieldTenant, FieldID, FieldUser).Each(threeResources(), func(i int, k Keys) {
		got = append(got, fmt.Sprint(i, k.Values, k.Tenant, k.Source))
	})
	require.Equal(t, []string{
		"0 [acme id-a user-a]acmeweb", "1 [acme id-b user-b]acmeweb", "2 [acme id-c user-c]acmeweb",
		"3 [ id-d resource's]", "4 [ id-e resource's]", "5 [ id-f resource's]",
	}, got)
}

func TestSplitKeepsOrderResourceAndScope(t *testing.T) {
	b := threeResources()
	out := b.Split(3, []int{0, 1, 0, 1, -1, 0})
	require.Zero(t, b.Len())
	require.Equal(t, []string{"acf", "bd", ""}, []string{names(out[0]), names(out[1]), names(out[2])})
	first := out[0].logs.ResourceLogs()
	require.Equal(t, 2, first.Len())
	require.Equal(t, "resource-url", first.At(0).SchemaUrl())
	require.Equal(t, "scope-url", first.At(0).ScopeLogs().At(0).SchemaUrl())
	require.Equal(t, []string{"s1", "s2"}, []string{first.At(0).ScopeLogs().At(0).Scope().Name(), first.At(0).ScopeLogs().At(1).Scope().Name()})
	require.Equal(t, map[string]any{keyUser: "resource's"}, first.At(1).Resource().Attributes().AsRaw())
}

func TestSliceKeepsWhatItNames(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		from := rng.IntN(7)
		to := from + rng.IntN(8-from)
		b := threeResources()
		b.Slice(from, to)
		require.Equal(t, "abcdef"[from:min(to, 6)], names(b))
	}
}
