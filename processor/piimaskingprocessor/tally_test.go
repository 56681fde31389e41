// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
)

// A sender can make up as many keys as it likes: they are neither so many series, nor do they hide what schemas tag.
func TestMadeUpKeysAreBoundedInMetricsAndHideNoTag(t *testing.T) {
	registry := newTestRegistry(compile(t, "signed_up", person))
	p := started(t, hostOf(registry, newTestStore(t)), new(consumertest.LogsSink), withKeys)
	ld := oneEvent(t, "e", "{}")
	for i := range 3000 {
		recordOf(ld).Attributes().PutStr(fmt.Sprintf("key_%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676), "ann@example.com")
	}
	require.NoError(t, p.ConsumeLogs(context.Background(), ld))
	require.NoError(t, p.ConsumeLogs(context.Background(), oneEvent(t, "signed_up", `{"email":"ann@example.com"}`)))
	fields := map[string]int64{}
	for h, n := range p.counters.take() {
		fields[h.field] += n
	}
	require.Len(t, fields, maxFields+2)
	require.Equal(t, int64(3000-maxFields), fields[otherField])
	require.Equal(t, int64(1), fields["email"])
}
