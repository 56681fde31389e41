// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func TestEngineFilesAreAsWrittenDown(t *testing.T) {
	golden := func(name string, got []byte) {
		var tree struct{}
		require.NoError(t, xml.Unmarshal(got, &tree))
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	files := layout{root: "/data"}

	plain := Options{Users: []User{{Name: InternalUser}}}
	golden("default.users.xml", usersXML(&plain))
	golden("default.config.xml", configXML(files, &plain))

	full := Options{
		Users: []User{
			{Name: "app", Password: "se<cr>et&"},
			{Name: "analyst", Password: "x", Databases: []string{"analytics"}, ReadOnly: true, Networks: []string{"10.0.0.0/8"}},
			{Name: "writer", Databases: []string{"analytics", "raw"}},
			{Name: "lake", Password: "x", Grants: []string{"SELECT ON *.*", "READ ON FILE"}},
			{Name: "guest", ReadOnly: true},
		},
		Databases: []string{"analytics", "raw"},
		Settings:  map[string]string{"max_threads": "2", "date_time_input_format": "best_effort"},
		MaxMemory: 1 << 30, QueryLog: true, Readable: []string{"/data/lake"},
	}
	users := usersXML(&full)
	golden("full.users.xml", users)
	golden("full.config.xml", configXML(files, &full))
	require.NotContains(t, string(users), "se<cr>et&")
	require.NotContains(t, string(users), "se&lt;cr&gt;et&amp;")
}

func TestReplaceFileNarrowsModesAndLeavesAloneWhatIsRight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, []byte("same"), 0o644))
	require.NoError(t, os.WriteFile(path+".tmp", []byte("left over by a crash"), 0o644))
	require.NoError(t, replaceFile(path, []byte("same"), 0o600))
	first, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, first.Mode())

	require.NoError(t, replaceFile(path, []byte("same"), 0o600))
	second, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(first, second))

	require.NoError(t, replaceFile(path, []byte("other"), 0o600))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "other", string(got))
}

func TestQuoteIdentifierLeavesNoWayOut(t *testing.T) {
	f := func(in, want string) { require.Equal(t, want, quoteIdentifier(in)) }
	f("a", "`a`")
	f("a`b", "`a\\`b`")
	f(`a\`, "`a\\\\`")
}
