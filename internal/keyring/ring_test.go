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

func openFile(t *testing.T, c KeyConfig, o Options) *KeyRing {
	t.Helper()
	r, err := Open(t.Context(), Config{c}, o)
	require.NoError(t, err)
	return r
}

func kinds(changes []Change) []ChangeKind {
	var all []ChangeKind
	for _, c := range changes {
		all = append(all, c.What)
	}
	return all
}

func TestRotationOverlaps(t *testing.T) {
	now := day(1)
	r, err := Open(t.Context(), Config{{ID: "k1", File: writeKey(t, 1)}, {ID: "k2", File: writeKey(t, 2), ActiveFrom: day(2)}},
		Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	current := func() string {
		k, err := r.Current()
		require.NoError(t, err)
		return k.ID()
	}
	assert.Equal(t, "k1", current())
	now = day(2)
	assert.Equal(t, "k2", current(), "without a reload")
	assert.Equal(t, []string{"k2", "k1"}, r.IDs())
	old, err := r.Find("k1")
	require.NoError(t, err)
	assert.Equal(t, "k1", old.ID())
	changes, err := r.Reload(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Change{{KeyID: "k2", What: BecameCurrent}}, changes)
	changes, err = r.Reload(t.Context())
	require.NoError(t, err)
	assert.Empty(t, changes)
}

func TestAKeyThatIsTakenAwayServesNobodyUntilItIsBack(t *testing.T) {
	for _, how := range []string{"removed", "unreadable"} {
		path := writeKey(t, 1)
		r := openFile(t, KeyConfig{ID: "k1", File: path}, Options{})
		before, err := r.Current()
		require.NoError(t, err)
		away := path + ".away"
		switch {
		case how == "removed":
			require.NoError(t, os.Rename(path, away))
		case os.Geteuid() == 0:
			continue // root reads everything
		default:
			require.NoError(t, os.Chmod(path, 0))
		}
		changes, err := r.Reload(t.Context())
		require.NoError(t, err)
		require.Equal(t, []ChangeKind{Withdrawn}, kinds(changes))
		assert.Contains(t, changes[0].Reason, "put the file back")
		for _, get := range []func() (*Key, error){r.Current, func() (*Key, error) { return r.Find("k1") }} {
			_, err = get()
			require.ErrorIs(t, err, ErrNoKey)
			require.ErrorContains(t, err, "key k1")
			require.ErrorContains(t, err, "put the file back")
		}
		assert.Equal(t, []string{"k1"}, r.IDs())
		changes, err = r.Reload(t.Context())
		require.NoError(t, err)
		assert.Empty(t, changes, "it is said once")

		if how == "removed" {
			require.NoError(t, os.Rename(away, path))
		} else {
			require.NoError(t, os.Chmod(path, 0o600))
		}
		changes, err = r.Reload(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []ChangeKind{Returned}, kinds(changes))
		after, err := r.Current()
		require.NoError(t, err)
		assert.Same(t, before, after)
	}
}

func TestAWithdrawnKeyDoesNotMakeAnOlderOneCurrent(t *testing.T) {
	newer := writeKey(t, 2)
	r, err := Open(t.Context(), Config{{ID: "k1", File: writeKey(t, 1)}, {ID: "k2", File: newer}}, Options{})
	require.NoError(t, err)
	require.NoError(t, os.Remove(newer))
	_, err = r.Reload(t.Context())
	require.NoError(t, err)
	_, err = r.Current()
	require.ErrorIs(t, err, ErrNoKey)
	_, err = r.Find("k1")
	require.NoError(t, err)
	_, err = r.Find("k3")
	require.ErrorIs(t, err, ErrNoKey)
	_, err = r.Find("John Smith")
	require.ErrorIs(t, err, ErrNoKey)
	assert.NotContains(t, err.Error(), "John")
}

func TestAnotherKeyUnderTheSameIDIsNotTaken(t *testing.T) {
	path := writeKey(t, 1)
	r := openFile(t, KeyConfig{ID: "k1", File: path}, Options{})
	before, err := r.Current()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(secretText(2)), 0o600))
	changes, err := r.Reload(t.Context())
	require.NoError(t, err)
	require.Equal(t, []ChangeKind{Refused}, kinds(changes))
	assert.NotContains(t, changes[0].Reason, secretText(2)[:10])
	changes, err = r.Reload(t.Context())
	require.NoError(t, err)
	assert.Empty(t, changes, "it is said once")
	after, err := r.Current()
	require.NoError(t, err)
	assert.Same(t, before, after)

	require.NoError(t, os.WriteFile(path, []byte("short"), 0o600))
	changes, err = r.Reload(t.Context())
	require.ErrorContains(t, err, "key k1")
	assert.Empty(t, changes)
	_, err = r.Current()
	require.NoError(t, err, "what is not readable just now takes nothing away")

	require.NoError(t, os.WriteFile(path, []byte(secretText(1)), 0o600))
	changes, err = r.Reload(t.Context())
	require.NoError(t, err)
	require.Equal(t, []ChangeKind{Returned}, kinds(changes), "the old one put back is told, so that nobody is alarmed any more")
}

func TestAKeyThatIsNotTheOneOfBeforeIsRefused(t *testing.T) {
	path := writeKey(t, 1)
	check := openFile(t, KeyConfig{ID: "k1", File: path}, Options{}).CheckValues()["k1"]
	assert.Len(t, check, 16)
	known := Options{Known: func(id string) string {
		assert.Equal(t, "k1", id)
		return check
	}}
	openFile(t, KeyConfig{ID: "k1", File: path}, known)

	_, err := Open(t.Context(), Config{{ID: "k1", File: writeKey(t, 2)}}, known)
	require.ErrorContains(t, err, "another one than before")
	missing := filepath.Join(t.TempDir(), "missing")
	_, err = Open(t.Context(), Config{{ID: "k1", File: missing, Generate: true}}, known)
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.NoFileExists(t, missing, "it is not made anew")
}

func TestAMissingFileIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	c := KeyConfig{ID: "k1", File: filepath.Join(dir, "k1.key"), Generate: true}
	first := openFile(t, c, Options{}).CheckValues()
	assert.Equal(t, first, openFile(t, c, Options{}).CheckValues())
	info, err := os.Stat(c.File)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)

	r := openFile(t, c, Options{})
	require.NoError(t, os.Remove(c.File))
	changes, err := r.Reload(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []ChangeKind{Withdrawn}, kinds(changes), "not made while running")
	assert.NoFileExists(t, c.File)
}
