// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/millrace/millrace/internal/httpingest"
)

func load(t *testing.T, id string) *Config {
	t.Helper()
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := all.Sub(id)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, sub.Unmarshal(cfg))
	require.NoError(t, cfg.Validate())
	return cfg
}

func TestConfigDefaults(t *testing.T) {
	require.NoError(t, componenttest.CheckConfigStruct(createDefaultConfig()))
	cfg := load(t, "segment")
	assert.Equal(t, "127.0.0.1:8181", cfg.NetAddr.Endpoint)
	assert.Equal(t, int64(5<<20), cfg.MaxRequestBodySize)
	assert.Equal(t, 10_000, cfg.MaxBatchEvents)
	assert.Equal(t, 1000, cfg.MaxConcurrentRequests)
	assert.Equal(t, int64(16<<20), cfg.MaxBytesInFlight)
	assert.Equal(t, []string{"", "gzip", "zlib", "deflate"}, cfg.CompressionAlgorithms)
	assert.Equal(t, 10*time.Second, cfg.RetryAfter)
	assert.Equal(t, 30*time.Second, cfg.ReadTimeout)
	assert.Equal(t, time.Minute, cfg.IdleTimeout)
	assert.True(t, cfg.GenerateMissingIDs)
	assert.False(t, cfg.CorrectClockSkew)
	assert.False(t, cfg.CORS.HasValue())
	assert.Equal(t, []httpingest.WriteKey{{Key: "millrace-dev"}}, cfg.WriteKeys)
}

func TestConfigFull(t *testing.T) {
	cfg := load(t, "segment/full")
	assert.Equal(t, "0.0.0.0:8443", cfg.NetAddr.Endpoint)
	assert.Equal(t, "server.crt", cfg.TLS.Get().CertFile)
	require.True(t, cfg.CORS.HasValue())
	assert.Equal(t, []string{"https://shop.example.com"}, cfg.CORS.Get().AllowedOrigins)
	assert.Contains(t, cfg.CORS.Get().AllowedHeaders, "X-Retry-Count", "what browser SDKs send is allowed by default")
	assert.Equal(t, int64(1<<20), cfg.MaxRequestBodySize)
	assert.Equal(t, []httpingest.WriteKey{
		{Key: "web-key", Tenant: "shop", Source: "web"}, {Key: "app-key", Tenant: "shop", Source: "app"},
	}, cfg.WriteKeys)
	assert.Equal(t, 500, cfg.MaxBatchEvents)
	assert.Equal(t, 32, cfg.MaxConcurrentRequests)
	assert.Equal(t, 30*time.Second, cfg.RetryAfter)
	assert.False(t, cfg.GenerateMissingIDs)
	assert.True(t, cfg.CorrectClockSkew)
	assert.Equal(t, "https://events.example.com", cfg.PublicURL)
}

func TestConfigMistakesNameFieldValueAndMend(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		cfg.WriteKeys = []httpingest.WriteKey{{Key: "k"}}
		require.NoError(t, cfg.Validate())
		change(cfg)
		err := cfg.Validate()
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n", "one line")
	}
	f(func(c *Config) { c.NetAddr.Endpoint = "" }, "endpoint is empty: give an address")
	f(func(c *Config) { c.WriteKeys = nil }, "write_keys is empty: list at least one key")
	f(func(c *Config) { c.WriteKeys = []httpingest.WriteKey{{Tenant: "t"}} }, "write_keys[0].key is empty: give a key")
	f(func(c *Config) { c.WriteKeys = append(c.WriteKeys, c.WriteKeys[0]) }, "write_keys[1].key is the same as write_keys[0].key")
	f(func(c *Config) { c.MaxBatchEvents = 0 }, "max_batch_events is 0: give a number of at least 1")
	f(func(c *Config) { c.MaxConcurrentRequests = -1 }, "max_concurrent_requests is -1: give")
	f(func(c *Config) { c.MaxBytesInFlight = 5 << 20 }, "max_bytes_in_flight is 5242880: give at least 5562880 (max_request_body_size + 32")
	f(func(c *Config) { c.RetryAfter = time.Millisecond }, "retry_after is 1ms: give a time from 1s to 5m0s")
	f(func(c *Config) { c.RetryAfter = time.Hour }, "retry_after is 1h0m0s: give a time from 1s to 5m0s")
	f(func(c *Config) { c.MaxRequestBodySize = 0 }, "max_request_body_size is 0: give")
	f(func(c *Config) { c.ReadTimeout = 0 }, "read_timeout is 0s: give a time above 0")
	f(func(c *Config) { c.IdleTimeout = -1 }, "idle_timeout is -1ns: give a time above 0")
	f(func(c *Config) { c.CompressionAlgorithms = []string{"", "brotli"} }, `compression_algorithms has "brotli": use`)
	f(func(c *Config) { c.PublicURL = "events.example.com" }, `public_url is "events.example.com": give scheme and host`)
	f(func(c *Config) { c.PublicURL = "https://e.example.com/?a=b" }, `public_url is "https://e.example.com/?a=b": give`)
}

func TestConfigDoesNotPrintKeys(t *testing.T) {
	cfg := load(t, "segment/full")
	text, err := cfg.WriteKeys[0].Key.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, "[REDACTED]", string(text))
}
