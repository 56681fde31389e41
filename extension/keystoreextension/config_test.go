// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/keyring"
)

func TestErrorsOfTheConfigurationNameFieldValueAndMend(t *testing.T) {
	f := func(change func(*Config), want ...string) {
		t.Helper()
		c := createDefaultConfig().(*Config)
		c.Keys = []keyring.KeyConfig{{ID: "k1", File: "k1.key"}}
		require.NoError(t, confmap.Validate(c))
		change(c)
		err := confmap.Validate(c)
		if err != nil {
			require.Len(t, strings.Split(err.Error(), "\n"), 1, "said once")
		}
		if len(want) == 0 {
			require.NoError(t, err)
			return
		}
		for _, w := range want {
			require.ErrorContains(t, err, w)
		}
	}
	admin := func(a AdminConfig) func(*Config) {
		return func(c *Config) { c.Admin, c.Audit.Directory = &a, "audit" }
	}
	f(func(c *Config) { c.Keys = nil }, "keys: [] is empty")
	f(func(c *Config) { c.Keys[0].ID = "K 1" }, `keys::0: id: "K 1" must be`)
	f(func(c *Config) { c.Keys = append(c.Keys, c.Keys[0]) }, `keys[1].id: "k1" is keys[0]'s too`)
	f(func(c *Config) { c.ReloadInterval = 1 }, "reload_interval: 1ns must be 0 (off) or at least 10ms")
	f(func(c *Config) { c.ReloadInterval = 0 })
	f(func(c *Config) { c.Subjects.CacheKeys = 0 })
	f(func(c *Config) { c.Subjects.Enabled, c.Subjects.CacheKeys = true, -1 }, "subjects::cache_keys: -1 must be from 1", "use 100000")
	f(admin(AdminConfig{Endpoint: "127.0.0.1:8190", TokenFile: "t"}))
	f(admin(AdminConfig{Endpoint: "localhost:8190", TokenFile: "t"}))
	f(admin(AdminConfig{Endpoint: "[::1]:8190", TokenFile: "t"}))
	f(admin(AdminConfig{Endpoint: "8190", TokenFile: "t"}), `admin::endpoint: "8190" is no address`)
	f(admin(AdminConfig{Endpoint: ":8190", TokenFile: "t"}), "can be reached from other machines")
	f(admin(AdminConfig{Endpoint: "0.0.0.0:8190", TokenFile: "t", AllowRemote: true}), "admin::tls")
	f(admin(AdminConfig{Endpoint: "0.0.0.0:8190", TokenFile: "t", AllowRemote: true, TLS: &configtls.ServerConfig{Config: configtls.Config{CertFile: "c", KeyFile: "k"}}}))
	f(admin(AdminConfig{Endpoint: "127.0.0.1:8190"}), "admin::token_file: is empty")
	f(func(c *Config) { c.Admin = &AdminConfig{Endpoint: "127.0.0.1:8190", TokenFile: "t"} }, "audit::directory: is empty, and admin must not be used unrecorded")
}

func TestTheConfigurationIsRead(t *testing.T) {
	c := createDefaultConfig().(*Config)
	require.NoError(t, confmap.NewFromStringMap(map[string]any{
		"keys":       []any{map[string]any{"id": "k1", "env": "K1", "active_from": "2026-03-01T00:00:00Z"}},
		"storage":    "state_store/other",
		"subjects":   map[string]any{"enabled": true},
		"repair_key": map[string]any{"public_key_file": "r1.pub"},
		"audit":      map[string]any{"directory": "audit"},
		"admin":      map[string]any{"endpoint": "127.0.0.1:0", "token_file": "tokens"},
	}).Unmarshal(c))
	require.NoError(t, confmap.Validate(c))
	require.Equal(t, "K1", c.Keys[0].Env)
	require.Equal(t, 2026, c.Keys[0].ActiveFrom.Year())
	require.Equal(t, 100_000, c.Subjects.CacheKeys)
	require.Equal(t, []component.ID{component.MustNewIDWithName("state_store", "other"), component.MustNewID("state_store")}, (&keyStore{cfg: c}).Dependencies())
	c.Storage = nil
	require.Equal(t, []component.ID{component.MustNewID("state_store")}, (&keyStore{cfg: c}).Dependencies())
	c.Subjects.Enabled = false
	require.Empty(t, (&keyStore{cfg: c}).Dependencies())

	err := confmap.NewFromStringMap(map[string]any{"subject": map[string]any{}}).Unmarshal(createDefaultConfig().(*Config))
	require.ErrorContains(t, err, "did you mean subjects?")
}
