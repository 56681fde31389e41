// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func read(t *testing.T, name string) (*Config, error) {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", name))
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	if err := cfg.Unmarshal(conf); err != nil {
		return nil, err
	}
	return cfg, cfg.Validate()
}

func TestConfigurationsAreRead(t *testing.T) {
	cfg, err := read(t, "directory.yaml")
	require.NoError(t, err)
	require.Equal(t, "/lake", cfg.Directory)
	require.Equal(t, 30*24*time.Hour, cfg.Retention.Age)
	require.Equal(t, []string{"event_id"}, cfg.File.BloomFilter.Columns)
	require.Equal(t, 1<<17, cfg.File.RowGroupRows, "what is not given has its default")

	cfg, err = read(t, "bucket.yaml")
	require.NoError(t, err)
	require.True(t, cfg.S3.HasValue())
	require.Equal(t, "events", cfg.S3.Get().Bucket)
}

func TestAMistakeIsNamedWithItsMend(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		cfg.Directory = "/lake"
		change(cfg)
		err := cfg.Validate()
		require.ErrorContains(t, err, want)
		require.Len(t, strings.Split(err.Error(), "\n"), 1, "one line")
	}
	f(func(c *Config) { c.Directory = "" }, "directory")
	f(func(c *Config) { c.PartitionBy = "x={nonsense}" }, `partition_by: "x={nonsense}" has an unknown placeholder: use {event_name}`)
	f(func(c *Config) { c.PartitionBy = "/x" }, `partition_by: "/x" is no path of folders`)
	f(func(c *Config) { c.PartitionBy = "_x={date}" }, "begins with _ or ., which readers pass over: rename it")
	f(func(c *Config) { c.FailedPartitionBy = "{" }, "failed_partition_by")
	f(func(c *Config) { c.Staging.Directory = "" }, "staging.directory is empty: give a directory")
	f(func(c *Config) { c.Staging.Directory = "/lake/staging" }, "lie in one another, so readers would meet what is half made: put them side by side")
	f(func(c *Config) { c.Staging.Directory = "/lake/../lake" }, "lie in one another")
	f(func(c *Config) { c.Staging.MaxBytes = 1 }, "staging.max_bytes: 1 is too small: use at least 134217728")
	f(func(c *Config) { c.Results.Accept = "all" }, `results.accept: "all" is unknown: use stages, or any where only your own collectors can write`)
	f(func(c *Config) { c.File.MaxAge = 0 }, "file.max_age: 0s is not positive")
	f(func(c *Config) { c.File.RowGroupBytes = 1 << 40 }, "file.row_group_bytes: 1099511627776 is too large")
	f(func(c *Config) { c.File.CompressionLevel = 23 }, "file.compression_level: 23 is no level of zstd: use 1 to 22")
	f(func(c *Config) { c.File.Compatibility = "hive" }, `file.compatibility: "hive" is unknown: use standard or spark`)
	f(func(c *Config) { c.File.BloomFilter.FalsePositives = 1 }, "file.bloom_filter.false_positives: 1: use a share between")
	f(func(c *Config) { c.File.MaxOpen = 0 }, "file.max_open: 0 is too small: use at least 1")
	f(func(c *Config) { c.Retention.Interval = 0 }, "retention.interval: 0s is not positive")
	f(func(c *Config) { c.Catalogue = "../x" }, `catalogue: "../x"`)
}

func TestAMisspeltFieldIsNamed(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	err := cfg.Unmarshal(confmap.NewFromStringMap(map[string]any{"file": map[string]any{"max_ages": "1m"}}))
	require.ErrorContains(t, err, "max_age")
}

// TestTheReadmeListsEveryField holds the table of the README against the struct.
func TestTheReadmeListsEveryField(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var walk func(v reflect.Type, prefix string)
	walk = func(v reflect.Type, prefix string) {
		for i := range v.NumField() {
			f := v.Field(i)
			name := prefix + f.Tag.Get("mapstructure")
			if f.Type.Kind() == reflect.Struct && strings.HasPrefix(f.Type.PkgPath(), "github.com/millrace/millrace/exporter/parquetexporter") {
				walk(f.Type, name+".")
				continue
			}
			require.Contains(t, string(readme), "`"+name+"`", name)
		}
	}
	walk(reflect.TypeFor[Config](), "")
}

func TestAFolderIsMadeOfTheTemplateAndNothingElse(t *testing.T) {
	f := func(template, name, tenant string, at time.Time, want string) {
		t.Helper()
		tm, err := parseTemplate(template)
		require.NoError(t, err)
		p := partition{name: name, tenant: tenant, hour: floor(at.UnixNano(), int64(time.Hour))}
		got := tm.expand(&p, false)
		require.Equal(t, want, got)
		for k, v := range partitionValues(got) {
			if k == "event_name" && !strings.Contains(got, noPartition) {
				require.Equal(t, name, v)
			}
		}
	}
	at := time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)
	f("event_name={event_name}/date={date}/hour={hour}", "a", "", at, "event_name=a/date=1969-12-31/hour=23")
	f("t={tenant}/{year}/{month}/{day}", "", "x/../y", at, "t=x%2F..%2Fy/1969/12/31")
	f("event_name={event_name}", "..", "", at, "event_name=%2E%2E")
	f("event_name={event_name}", "_hidden", "", at, "event_name=%5Fhidden")
	f("event_name={event_name}", "100%", "", at, "event_name=100%25")
	f("event_name={event_name}", "Bestellung für Größe 7", "", at, "event_name=Bestellung für Größe 7")
	f("event_name={event_name}", "a\x00\n*?", "", at, "event_name=a%00%0A%2A%3F")
	f("event_name={event_name}", "\xff\xfe", "", at, "event_name=%FF%FE")
	f("event_name={event_name}", strings.Repeat("x", 300), "", at, "event_name="+noPartition)
	f("event_name={event_name}", "", "", at, "event_name="+noPartition)
	f("", "a", "b", at, "")
}
