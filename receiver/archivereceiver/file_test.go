// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/pages"
)

// restoreFile returns a file's events, as far as it can be read.
func restoreFile(b []byte, s *selection) (plog.Logs, error) {
	r := event.NewRestorer()
	r.DropSchema = s.clearSchema
	file, err := pages.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return r.Batch().Logs(), err
	}
	m, err := newFileMap(file, s)
	if err != nil {
		return r.Batch().Logs(), err
	}
	f := &fileReader{file: file, mapping: m, restorer: r, budget: pages.NewBudget(32 << 20), skipped: map[string]int64{}, log: zap.NewNop(),
		r: &archiveReceiver{batchEvents: 1 << 30}}
	for g := range file.RowGroups() {
		f.next, f.size = 0, -1<<40 // nothing is passed on
		err = errors.Join(err, f.readGroup(context.Background(), g, 0, min(file.GroupRows(g), 100_000)))
	}
	return r.Batch().Logs(), err
}

func configured(change func(*Config)) *selection {
	cfg := createDefaultConfig().(*Config)
	change(cfg)
	return newSelection(cfg)
}

func TestADamagedFileIsAnErrorAndNeverAPanic(t *testing.T) {
	snap := shopSchemas(t)
	files := lake(t, snap, generated(t, snap, 300, 10), 40)
	foreign := foreignFile(t, foreignRows(30))
	rng := rand.New(rand.NewPCG(5, 6))
	kinds := []*selection{
		configured(func(*Config) {}), configured(func(c *Config) { c.Kind = parquetfile.KindFailedEvents }),
		configured(func(c *Config) { c.Mapping = configoptional.Some(purchases(MappingConfig{})) }),
	}
	for i, whole := range [][]byte{files["event_name=product_viewed/a.parquet"], files["failed_events/a.parquet"], foreign} {
		_, err := restoreFile(whole, kinds[i])
		require.NoError(t, err)
		for range 500 {
			b := slices.Clone(whole)
			for range 1 + rng.IntN(4) {
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			}
			_, _ = restoreFile(b, kinds[i])
		}
	}
}

func TestAColumnOfAnotherTypeThanTheFooterSaysIsAnErrorOfTheFile(t *testing.T) {
	snap := shopSchemas(t)
	file := lake(t, snap, generated(t, snap, 300, 0), 100)["event_name=product_viewed/a.parquet"]
	f := func(reason, old, with string) {
		t.Helper()
		require.Len(t, with, len(old))
		require.Equal(t, 1, strings.Count(string(file), old), old)
		_, err := restoreFile([]byte(strings.Replace(string(file), old, with, 1)), configured(func(*Config) {}))
		var problem *fileError
		require.ErrorAs(t, err, &problem)
		require.Equal(t, reason, problem.reason)
	}
	f(fileColumnType, `{"name":"name","path":["name"],"type":"String"}`, `{"name":"name","path":["name"],"type":"UInt64"}`)
	f(fileColumnMissing, `{"name":"name","path":["name"],"type":"String"}`, `{"name":"eman","path":["name"],"type":"String"}`)
	f(fileLayout, `{"name":"name","path":["name"],"type":"String"}`, `{"name":"name","path":["name"],"type":"Stringxx`)
	f(fileLayout, `{"name":"name","path":["name"],"type":"String"}`, `{"name":"name","path":[      ],"type":"String"}`)
}

func FuzzFile(f *testing.F) {
	snap := shopSchemas(f)
	files := lake(f, snap, generated(f, snap, 60, 20), 40)
	f.Add(files["event_name=order_refunded/a.parquet"], byte(0))
	f.Add(files["failed_events/a.parquet"], byte(1))
	f.Add(foreignFile(f, foreignRows(2)), byte(2))
	kinds := []*selection{
		configured(func(*Config) {}), configured(func(c *Config) { c.Kind = parquetfile.KindFailedEvents }),
		configured(func(c *Config) { c.Mapping = configoptional.Some(purchases(MappingConfig{})) }),
	}
	f.Fuzz(func(_ *testing.T, b []byte, kind byte) { _, _ = restoreFile(b, kinds[int(kind)%len(kinds)]) })
}

func BenchmarkRead(b *testing.B) {
	snap := shopSchemas(b)
	logs := generated(b, snap, 20_000, 0)
	var files [][]byte
	for _, file := range lake(b, snap, logs, 100_000) {
		files = append(files, file)
	}
	n := logs.LogRecordCount()
	s := configured(func(*Config) {})
	b.Run("archive", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read := 0
			for _, file := range files {
				got, err := restoreFile(file, s)
				if err != nil {
					b.Fatal(err)
				}
				read += got.LogRecordCount()
			}
			if read != n {
				b.Fatalf("%d events of %d", read, n)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
	})
	b.Run("unmarshal", func(b *testing.B) {
		wire, err := new(plog.ProtoMarshaler).MarshalLogs(logs)
		if err != nil {
			b.Fatal(err)
		}
		var u plog.ProtoUnmarshaler
		b.ReportAllocs()
		for b.Loop() {
			if _, err := u.UnmarshalLogs(wire); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
	})
}
