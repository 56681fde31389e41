// SPDX-License-Identifier: Apache-2.0

// Package sdk installs the stock Segment SDK for a test, once for all of them.
package sdk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Install puts what the package-lock.json in the folder from pins into the cache, and returns where. It is there as a
// whole or not at all, so tests of several packages may install it at the same time.
func Install(tb testing.TB, from string) string {
	tb.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		tb.Fatal("npm is not there: install Node.js 20 or later with npm, with which the stock Segment SDK is run")
	}
	sum := sha256.New()
	files := map[string][]byte{}
	for _, name := range [...]string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(tb, err)
		_, _ = sum.Write(text)
		files[name] = text
	}
	cache := os.Getenv("MILLRACE_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		require.NoError(tb, err)
		cache = filepath.Join(dir, "millrace")
	}
	folder := filepath.Join(cache, "segment-sdk-"+hex.EncodeToString(sum.Sum(nil))[:12])
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	require.NoError(tb, os.MkdirAll(cache, 0o755))
	temporary, err := os.MkdirTemp(cache, "segment-sdk-")
	require.NoError(tb, err)
	defer func() { _ = os.RemoveAll(temporary) }()
	for name, text := range files {
		require.NoError(tb, os.WriteFile(filepath.Join(temporary, name), text, 0o644))
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = temporary
	out, err := npm.CombinedOutput()
	require.NoError(tb, err, "installing the Segment SDK:\n%s", out)
	if err := os.Rename(temporary, folder); err != nil {
		require.DirExists(tb, folder, "moving the Segment SDK into place: %v", err) // another test was first
	}
	return folder
}
