// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/sdk"
)

func stockSDK(t *testing.T, i *instance) {
	from := filepath.Join(root(), "receiver", "segmentreceiver", "testdata", "sdk")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	node := exec.CommandContext(ctx, "node", filepath.Join(from, "drive.cjs"), sdk.Install(t, from), i.url("MILLRACE_SEGMENT", ""), "millrace-dev", "5")
	var stdout, stderr bytes.Buffer
	node.Stdout, node.Stderr = &stdout, &stderr
	require.NoError(t, node.Run(), "driving the Segment SDK:\n%s", &stderr)
	var report struct {
		Calls  []struct{ Type, ID string }
		Failed []string
	}
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &report), "%s", &stdout)
	require.Empty(t, report.Failed)
	require.Len(t, report.Calls, 5*6)
	for _, call := range report.Calls {
		want := call.Type
		if call.Type == "track" {
			want = "Order Completed"
		}
		// Its orders lack most of what the tracking plan asks of one.
		table := "events"
		if call.Type == "track" {
			table = "failed_events"
		}
		require.Equal(t, "1|"+want+"|dev", i.one(t, "SELECT count(), any(event_name), any(tenant_id) FROM %s WHERE event_id = '%s'", table, call.ID))
	}
}
