// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/xpdata/entity"

	"github.com/millrace/millrace/internal/masking"
	"github.com/millrace/millrace/internal/seal"
)

// A batch that pipelines share is read-only: whoever writes to it ends the process.
func TestADryRunWritesToNothingWhateverGoesWrong(t *testing.T) {
	private, err := seal.Generate("r1")
	require.NoError(t, err)
	store := newTestStore(t)
	store.repair = private.Public()
	sink := new(consumertest.LogsSink)
	p := started(t, hostOf(newTestRegistry(compile(t, "signed_up", person)), store), sink, func(c *Config) {
		withKeys(c)
		c.DryRun, c.SealFailed = true, true
	})
	ld := oneEvent(t, "signed_up", `{"email":"ann@example.com","user.id":"ann@example.com","log.record.uid":"ann@example.com","by":{"ann@example.com":1},"ann@example.com":2,
		"event.failure.stage":"validation","event.failure.pointer":"/ann@example.com"}`)
	rl := ld.ResourceLogs().At(0)
	rl.SetSchemaUrl("of ann@example.com")
	rl.Resource().Attributes().PutStr("tenant.id", "ann@example.com")
	rl.Resource().Attributes().PutStr("owner", "ann@example.com")
	rl.Resource().Attributes().PutStr("ann@example.com", "owner")
	entity.ResourceEntityRefs(rl.Resource()).AppendEmpty().SetType("ann@example.com")
	rl.ScopeLogs().At(0).Scope().SetName("ann@example.com")
	v := recordOf(ld).Body()
	for range maxDepth + 2 {
		v = v.SetEmptySlice().AppendEmpty()
	}
	recordOf(ld).CopyTo(rl.ScopeLogs().At(0).LogRecords().AppendEmpty())
	before := plog.NewLogs()
	ld.CopyTo(before)
	ld.MarkReadOnly()
	for _, action := range []masking.Action{p.actions["email"], failing{}, panicking{}} {
		p.actions["email"] = action
		require.NoError(t, p.ConsumeLogs(context.Background(), ld))
	}
	after := plog.NewLogs()
	ld.CopyTo(after)
	require.Equal(t, before, after)
}
