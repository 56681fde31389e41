// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sdk returns the folder of the pinned @segment/analytics-node, in the cache that it shares with the receiver's own tests.
func sdk(t *testing.T) (folder, script string) {
	t.Helper()
	from := filepath.Join(root(), "receiver", "segmentreceiver", "testdata", "sdk")
	script, err := filepath.Abs(filepath.Join(from, "drive.cjs"))
	require.NoError(t, err)
	cache := os.Getenv("MILLRACE_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		require.NoError(t, err)
		cache = filepath.Join(dir, "millrace")
	}
	require.NoError(t, os.MkdirAll(cache, 0o755))
	temporary, err := os.MkdirTemp(cache, "segment-sdk-")
	require.NoError(t, err)
	defer func() { _ = os.RemoveAll(temporary) }()
	sum := sha256.New()
	for _, name := range [...]string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		_, _ = sum.Write(text)
		require.NoError(t, os.WriteFile(filepath.Join(temporary, name), text, 0o600))
	}
	folder = filepath.Join(cache, "segment-sdk-"+hex.EncodeToString(sum.Sum(nil))[:12])
	if _, err := os.Stat(folder); err == nil {
		return folder, script
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = temporary
	out, err := npm.CombinedOutput()
	require.NoError(t, err, "installing the Segment SDK with npm:\n%s", out)
	if err := os.Rename(temporary, folder); err != nil {
		require.DirExists(t, folder, "moving the Segment SDK into place: %v", err) // another test was first
	}
	return folder, script
}

func stockSDK(t *testing.T, i *instance) {
	folder, script := sdk(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	node := exec.CommandContext(ctx, "node", script, folder, i.url("MILLRACE_SEGMENT", ""), "millrace-dev", "5")
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
