// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64

package clickhouseengine_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/millrace/millrace/internal/clickhouseengine"
)

// confined starts an engine that may read root/lake, beside secrets that it may not, and returns root.
func confined(t *testing.T, o *clickhouseengine.Options) string {
	t.Helper()
	logs, seen := observer.New(zap.WarnLevel)
	o.Logger = zap.New(logs)
	root := t.TempDir()
	o.DataDir = filepath.Join(root, "clickhouse")
	o.Readable = []string{filepath.Join(root, "lake")}
	write := func(name, text string) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	write("state/secret", "secret\n")
	write("outside/1.csv", "id,x\n9,secret\n")
	start(t, *o)
	write("lake/event_name=a/date=2026-11-22/1.parquet", mustQuery(t, o.HTTPAddr, "SELECT 1 AS id, 'a' AS event_name, toNullable(7) AS x FORMAT Parquet"))
	write("lake/event_name=b/date=2026-11-22/1.parquet", mustQuery(t, o.HTTPAddr, "SELECT 2 AS id, 'b' AS event_name, toNullable(8) AS y FORMAT Parquet"))
	require.NoError(t, os.Symlink(filepath.Join(root, "state"), filepath.Join(root, "lake", "link")))
	require.NoError(t, os.Symlink(filepath.Join(root, "state", "secret"), filepath.Join(root, "lake", "link.csv")))
	require.Zero(t, seen.FilterMessageSnippet("confined").Len(), "this kernel has no Landlock: %v", seen.All())
	return root
}

func TestUsersReadFilesOfReadableDirectoriesTogether(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Users = append(o.Users, clickhouseengine.User{Name: "guest", ReadOnly: true})
	lake := confined(t, &o) + "/lake"
	f := func(want, sql string) {
		t.Helper()
		require.Equal(t, want, mustQuery(t, o.HTTPAddr, sql))
	}
	f("2\t2", "SELECT count(), uniqExact(id) FROM file('"+lake+"/event_name=*/**/*.parquet')")
	f("2\t2", "SELECT count(), uniqExact(id) FROM file('lake/event_name=*/**/*.parquet')")
	f("a\t2026-11-22\t1\t7\t\\N\nb\t2026-11-22\t1\t\\N\t8",
		"SELECT event_name, date, count(), sum(x), sum(y) FROM file('lake/event_name=*/**/*.parquet') GROUP BY ALL ORDER BY ALL")
	f("1", "SELECT count() FROM file('"+lake+"/**/*.parquet') WHERE event_name = 'b'")
	f("0", "SELECT count() FROM file('lake/link/*', 'LineAsString', 'line String')")
	status, _, body, err := query(o.HTTPAddr, "guest", "", "SELECT count() FROM file('lake/event_name={a,b}/**/*.parquet')")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "2", body)
}

// Each of these would read or write what lies outside; the test of what lies inside is above.
func TestAConfinedEngineOpensNothingElse(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Users = append(o.Users, clickhouseengine.User{Name: "limited", Password: "l", Databases: []string{"kept"}},
		clickhouseengine.User{Name: "all", Password: "a", Grants: []string{"ALL ON *.*"}})
	root := confined(t, &o)
	f := func(user, password, sql string) {
		t.Helper()
		status, _, body, err := query(o.HTTPAddr, user, password, sql)
		require.NoError(t, err)
		if strings.HasPrefix(sql, "SELECT * FROM") && body == "" {
			return // a pattern that found nothing
		}
		require.NotEqual(t, http.StatusOK, status, "%s answered %q", sql, body)
		require.NotContains(t, body, "root:")
		require.NotContains(t, body, "secret\n")
	}
	mustQuery(t, o.HTTPAddr, "CREATE TABLE kept.lines (line String) ENGINE = MergeTree ORDER BY line")
	for _, path := range []string{
		"/etc/passwd", "../../../../../../../../../../etc/passwd", root + "/state/secret", "state/secret", "lake/../state/secret", root + "/lake/link/secret",
		"lake/link.csv", root + "/{state,outside}/*", root + "/**/secret", "outside/1.csv", "{lake/x,state/secret}",
		o.DataDir + "/run/users.xml", o.DataDir + "/lock", "/proc/1/cmdline", "/proc/self/root/etc/passwd", "/proc/self/cwd/state/secret",
		"/proc/*/environ/../../1/cmdline",
	} {
		line := "', 'LineAsString', 'line String'"
		f("app", "secret", "SELECT * FROM file('"+path+line+")")
		f("all", "a", "SELECT * FROM url('file://"+path+line+")")
		f("all", "a", "INSERT INTO kept.lines FROM INFILE '"+path+"' FORMAT LineAsString")
		f("limited", "l", "INSERT INTO kept.lines FROM INFILE '"+path+"' FORMAT LineAsString")
	}
	require.Equal(t, "0", mustQuery(t, o.HTTPAddr, "SELECT count() FROM kept.lines"))
	f("limited", "l", "SELECT * FROM file('lake/event_name=a/**/*.parquet')") // tables of other databases are files too
	f("all", "a", "CREATE TABLE kept.f (line String) ENGINE = File(LineAsString, '/etc/passwd') AS SELECT 'x'")
	f("all", "a", "SELECT * FROM sqlite('"+root+"/state/secret', 't')")
	f("all", "a", "SELECT * FROM icebergLocal('"+root+"/state')")
	f("all", "a", "SELECT * FROM deltaLakeLocal('"+root+"/state')")
	f("all", "a", "SELECT throwIf(content IS NULL) FROM filesystem('"+root+"/state/secret')")
	f("all", "a", "SELECT * FROM executable('/bin/cat', 'LineAsString', 'line String', (SELECT 1))")
	f("all", "a", "CREATE DICTIONARY kept.d (k String) PRIMARY KEY k SOURCE(FILE(path '/etc/passwd' format 'LineAsString')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0);"+
		"SELECT * FROM dictionary('kept.d')")
	f("app", "secret", "SELECT 1 INTO OUTFILE '"+root+"/lake/out'")
	f("app", "secret", "INSERT INTO FUNCTION file('"+root+"/lake/out.csv') SELECT 1")
	f("all", "a", "INSERT INTO FUNCTION file('"+root+"/lake/out.csv') SELECT 1")
	f("all", "a", "INSERT INTO FUNCTION file('"+root+"/state/secret', 'CSV') SELECT 1")
	f("all", "a", "BACKUP TABLE kept.lines TO File('"+root+"/outside/backup')")
	f("app", "secret", "SELECT * FROM format(CSV, 'x Int8', 'no number') SETTINGS input_format_allow_errors_num = 1, "+
		"input_format_record_errors_file_path = '"+root+"/lake/errors'")

	found := []string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if rel := strings.TrimPrefix(path, root+"/"); !strings.HasPrefix(rel, "clickhouse") && path != root {
			found = append(found, rel)
		}
		return err
	}))
	require.NotContains(t, strings.Join(found, "\n"), "errors")
	secret, err := os.ReadFile(filepath.Join(root, "state", "secret"))
	require.NoError(t, err)
	require.Equal(t, "secret\n", string(secret))
	require.NoFileExists(t, filepath.Join(root, "lake", "out.csv"))
	require.NoDirExists(t, filepath.Join(root, "outside", "backup"))
}

func TestAnEngineThatIsNotConfinedGivesNobodyFiles(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Unconfined = true
	o.Readable = []string{t.TempDir()}
	start(t, o)
	_, code, body, err := query(o.HTTPAddr, "app", "secret", "SELECT * FROM file('"+o.Readable[0]+"/*', 'LineAsString', 'line String')")
	require.NoError(t, err)
	require.Equal(t, "497", code, body)
}

// What a server does all day moves files between directories of its own.
func TestAConfinedEngineKeepsItsTables(t *testing.T) {
	t.Parallel()
	o := options(t)
	confined(t, &o)
	f := func(sql string) { mustQuery(t, o.HTTPAddr, sql) }
	f("CREATE TABLE kept.t (x UInt64, d Date DEFAULT today()) ENGINE = MergeTree ORDER BY x PARTITION BY x % 2")
	f("INSERT INTO kept.t (x) SELECT number FROM numbers(1000)")
	f("INSERT INTO kept.t (x) SELECT number FROM numbers(1000)")
	f("OPTIMIZE TABLE kept.t FINAL")
	f("ALTER TABLE kept.t ADD COLUMN y UInt8")
	f("ALTER TABLE kept.t UPDATE y = 1 WHERE x < 10 SETTINGS mutations_sync = 2")
	f("ALTER TABLE kept.t DETACH PARTITION 0")
	f("ALTER TABLE kept.t ATTACH PARTITION 0")
	require.Equal(t, "2000\t20", mustQuery(t, o.HTTPAddr, "SELECT count(), sum(y) FROM kept.t"))
	f("RENAME TABLE kept.t TO kept.u")
	f("SELECT x FROM kept.u ORDER BY x SETTINGS max_bytes_before_external_sort = 1")
	f("DROP TABLE kept.u SYNC")
}
