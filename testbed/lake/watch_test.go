// SPDX-License-Identifier: Apache-2.0

package lake

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
)

// event is a row as the exporter writes it, as far as is read here.
type event struct {
	ID       string  `parquet:"event_id"`
	Name     string  `parquet:"event_name"`
	Time     int64   `parquet:"event_time,timestamp(nanosecond)"`
	Received int64   `parquet:"received_time,timestamp(nanosecond)"`
	User     *string `parquet:"user_id"`
	Tenant   string  `parquet:"tenant_id"`
	Props    string  `parquet:"properties"`
	Total    *int64  `parquet:"total,decimal(2:18)"`
}

var at = time.Date(2026, 11, 22, 13, 5, 0, 7, time.UTC).UnixNano()

// parquetOf writes a file of the events.
func parquetOf(t *testing.T, metadata map[string]string, events ...event) []byte {
	t.Helper()
	var b bytes.Buffer
	var options []parquet.WriterOption
	for k, v := range metadata {
		options = append(options, parquet.KeyValueMetadata(k, v))
	}
	w := parquet.NewGenericWriter[event](&b, options...)
	_, err := w.Write(events)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// place makes the file appear at once.
func place(t *testing.T, dir, key string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(key))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	hidden := filepath.Join(dir, ".new")
	require.NoError(t, os.WriteFile(hidden, content, 0o600))
	require.NoError(t, os.Rename(hidden, path))
}

func TestAWatcherSeesEveryFaultAndNoOther(t *testing.T) {
	one, two := parquetOf(t, nil, event{ID: "1"}), parquetOf(t, nil, event{ID: "2"}, event{ID: "3"})
	const key = "event_name=a/date=2026-11-22/hour=13/x.parquet"
	const lines = "_catalogue/date=2026-11-22/hour=13/w.jsonl"
	line := []byte(`{"op":"add","file":"` + key + `","rows":1}` + "\n")
	f := func(name, want string, files, replaced int64, steps ...func(t *testing.T, dir string)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := Watch(Directory(dir), time.Millisecond, false)
			for _, step := range steps {
				step(t, dir)
				before := w.Seen().Listings
				require.Eventually(t, func() bool { return w.Seen().Listings > before+slots+1 }, time.Minute, time.Millisecond)
			}
			seen := w.Stop()
			require.Equal(t, files, seen.Files)
			require.Equal(t, replaced, seen.Replaced)
			if want == "" {
				require.Empty(t, seen.Faults)
				return
			}
			require.Len(t, seen.Faults, 1)
			require.Contains(t, seen.Faults[0], want)
		})
	}
	put := func(key string, content []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) { t.Helper(); place(t, dir, key, content) }
	}
	remove := func(t *testing.T, dir string) {
		t.Helper()
		require.NoError(t, os.Remove(filepath.Join(dir, filepath.FromSlash(key))))
	}
	f("nothing", "", 0, 0)
	f("a file", "", 1, 0, put(key, one))
	f("the same again", "", 1, 1, put(key, one), put(key, one))
	f("another content", "it has changed", 1, 0, put(key, one), put(key, two))
	f("half a file", "cannot be read", 1, 0, put(key, two[:len(two)/2]))
	f("a file without its end", "cannot be read", 1, 0, put(key, two[:len(two)-1]))
	f("an empty file", "cannot be read", 1, 0, put(key, nil))
	f("a file without rows", "0 rows", 1, 0, put(key, parquetOf(t, nil)))
	f("a file that goes", "has vanished", 1, 0, put(key, one), remove)
	f("what is no Parquet file", "takes it for data", 0, 0, put("event_name=a/x.tmp", one))
	f("what readers pass over", "", 0, 0, put("event_name=a/.x.parquet", one[:9]), put("_tmp/x.parquet", one[:9]))
	f("a catalogue", "", 1, 0, put(key, one), put(lines, line))
	f("a catalogue that grows", "", 1, 0, put(key, one), put(lines, line), put(lines, append(line, line...)))
	f("a catalogue that shrinks", "had 2 lines and has 1", 1, 0, put(key, one), put(lines, append(line, line...)), put(lines, line))
	f("a catalogue that is cut off", "cut off", 1, 0, put(key, one), put(lines, line[:len(line)-1]))
	f("a catalogue that is no JSON", "line 1", 0, 0, put(lines, []byte("nonsense\n")))
	f("a catalogue ahead of its files", "which is not there", 0, 0, put(lines, line))
}
