// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// secretText returns a key's base64 text; each seed has its own.
func secretText(seed byte) string {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = seed + byte(i*7)
	}
	return base64.StdEncoding.EncodeToString(secret)
}

func writeKey(t *testing.T, seed byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.key")
	require.NoError(t, os.WriteFile(path, []byte(secretText(seed)+"\n"), 0o600))
	return path
}

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func TestTheCurrentKeyIsTheOneWhoseTimeCameLast(t *testing.T) {
	now := day(10)
	k := func(id string, from time.Time) KeyConfig {
		return KeyConfig{ID: id, ActiveFrom: from, File: writeKey(t, id[1])}
	}
	f := func(want string, keys ...KeyConfig) {
		t.Helper()
		r, err := Open(t.Context(), keys, Options{Now: func() time.Time { return now }})
		require.NoError(t, err)
		key, err := r.Current()
		if want == "" {
			require.ErrorIs(t, err, ErrNoKey)
			return
		}
		require.NoError(t, err)
		assert.Equal(t, want, key.ID())
		assert.Equal(t, want, r.IDs()[0])
		assert.Len(t, r.IDs(), len(keys))
	}
	always := time.Time{}
	f("k1", k("k1", always))
	f("k2", k("k1", always), k("k2", always))
	f("k2", k("k1", always), k("k2", day(10)))
	f("k1", k("k1", always), k("k2", day(11)))
	f("k3", k("k1", always), k("k3", day(9)), k("k2", day(8)))
	f("k2", k("k1", day(9)), k("k2", day(9)))
	f("", k("k1", day(11)))
}
