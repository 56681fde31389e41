// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func loadConfig(t *testing.T, id string) *Config {
	t.Helper()
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := all.Sub(id)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, sub.Unmarshal(cfg))
	require.NoError(t, confmap.Validate(cfg))
	return cfg
}

func TestConfigDefaults(t *testing.T) {
	require.NoError(t, componenttest.CheckConfigStruct(createDefaultConfig()))
	cfg := loadConfig(t, "archive")
	assert.Equal(t, "/var/lib/millrace/lake", cfg.Source.Directory)
	assert.Equal(t, "*.parquet", cfg.Glob)
	assert.Equal(t, "events", cfg.Kind)
	assert.Equal(t, "default", cfg.Job)
	assert.Equal(t, component.MustNewID("state_store"), cfg.StateStore)
	assert.Equal(t, "idle", cfg.OnFinish)
	assert.Equal(t, 5000, cfg.BatchEvents)
	assert.Equal(t, 1, cfg.ParallelFiles)
	assert.Zero(t, cfg.RateLimit)
	assert.False(t, cfg.clearsSchema())
	assert.False(t, cfg.Mapping.HasValue())
}

func TestConfigFull(t *testing.T) {
	cfg := loadConfig(t, "archive/full")
	require.True(t, cfg.Source.S3.HasValue())
	assert.Equal(t, "lake", cfg.Source.S3.Get().Bucket)
	assert.Equal(t, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), cfg.From.UTC())
	assert.Equal(t, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), cfg.To.UTC())
	assert.Equal(t, []string{"order_completed", "page_viewed"}, cfg.EventNames)
	assert.Equal(t, []Filter{{Column: "reason", Values: []string{"schema_violation"}}}, cfg.Filters)
	assert.True(t, cfg.clearsSchema())
	assert.Equal(t, "mend-2026-11-22", cfg.Job)
	assert.Equal(t, component.MustNewIDWithName("state_store", "replay"), cfg.StateStore)
	assert.Equal(t, "shutdown", cfg.OnFinish)
	assert.Equal(t, 20_000, cfg.RateLimit)
	assert.Equal(t, 1000, cfg.BatchEvents)
	assert.Equal(t, 2, cfg.ParallelFiles)
}

func TestConfigForeign(t *testing.T) {
	cfg := loadConfig(t, "archive/foreign")
	assert.Equal(t, time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC), cfg.From.UTC())
	require.True(t, cfg.Mapping.HasValue())
	assert.Equal(t, MappingConfig{
		EventName: Field{Value: "order_imported"}, EventID: Field{Column: "id"}, EventTime: TimeField{Column: "created", Unit: "ms"},
		UserID: Field{Column: "customer.id"}, Tenant: Field{Value: "shop"}, Properties: []string{"total", "currency"},
	}, *cfg.Mapping.Get())
}

func TestConfigMistakesNameFieldValueAndMend(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		cfg.Source.Directory = "lake"
		require.NoError(t, confmap.Validate(cfg))
		change(cfg)
		err := confmap.Validate(cfg)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, strings.TrimSpace(err.Error()), "\n", "one line")
	}
	mapping := func(m MappingConfig) func(*Config) {
		return func(c *Config) { c.Mapping = configoptional.Some(purchases(m)) }
	}
	f(func(c *Config) { c.Source.Directory = "" }, "source: directory is empty and s3 is not set")
	f(func(c *Config) { c.Glob = "[" }, `glob: "[" is no pattern of a file's name`)
	f(func(c *Config) { c.Glob = "a/*" }, `glob: "a/*" is no pattern of a file's name`)
	f(func(c *Config) { c.Prefix = "/a" }, `prefix: "/a" begins with a slash`)
	f(func(c *Config) { c.Kind = "x" }, `kind: "x" is unknown: use events or failed_events`)
	f(func(c *Config) { c.ClearSchema = "x" }, `clear_schema: "x" is unknown: use auto or always or never`)
	f(func(c *Config) { c.OnFinish = "x" }, `on_finish: "x" is unknown: use idle or shutdown`)
	f(func(c *Config) { c.From, c.To = at(t, "2026-11-23T00:00:00Z"), at(t, "2026-11-22T00:00:00Z") },
		"to: 2026-11-22T00:00:00Z is not after from, 2026-11-23T00:00:00Z")
	f(func(c *Config) { c.From = at(t, "0026-11-23T00:00:00Z") }, "from: 0026-11-23T00:00:00Z is out of range")
	f(func(c *Config) { c.Filters = []Filter{{Values: []string{"a"}}} }, "filters[0].column is empty")
	f(func(c *Config) { c.Filters = []Filter{{Column: "a"}} }, "filters[0].values has 0 values")
	f(func(c *Config) { c.Job = "" }, `job: "" cannot name a job`)
	f(func(c *Config) { c.StateStore = component.ID{} }, "state_store is empty")
	f(func(c *Config) { c.RateLimit = -1 }, "rate_limit: -1 is out of range")
	f(func(c *Config) { c.BatchEvents = 0 }, "batch_events: 0 is out of range")
	f(func(c *Config) { c.ParallelFiles = 17 }, "parallel_files: 17 is out of range")
	f(func(c *Config) {
		mapping(MappingConfig{})(c)
		c.Kind = "failed_events"
	}, "mapping: is for files of events")
	f(func(c *Config) { c.Mapping = configoptional.Some(MappingConfig{EventTime: TimeField{Column: "t"}}) }, "mapping.event_name is empty")
	f(func(c *Config) { c.Mapping = configoptional.Some(MappingConfig{EventName: Field{Value: "a"}}) }, "mapping.event_time.column is empty")
	f(mapping(MappingConfig{Tenant: Field{Column: "a", Value: "b"}}), `mapping.tenant: column "a" and value "b" are both given`)
	f(mapping(MappingConfig{EventTime: TimeField{Column: "t", Unit: "h"}}), `mapping.event_time.unit: "h" is unknown: use s, ms, us or ns`)
	f(mapping(MappingConfig{EventID: Field{Value: "b"}}), `mapping.event_id.value: "b" would be the ID of all events`)
}

func TestAnUnknownFieldIsNamed(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	err := confmap.NewFromStringMap(map[string]any{"source": map[string]any{"directory": "x"}, "jobs": "y"}).Unmarshal(cfg)
	require.ErrorContains(t, err, "jobs: there is no such field")
	err = confmap.NewFromStringMap(map[string]any{"from": "yesterday"}).Unmarshal(cfg)
	require.ErrorContains(t, err, "from")
}
