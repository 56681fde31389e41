// SPDX-License-Identifier: Apache-2.0

package clickhouseengineextension

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/millrace/millrace/internal/clickhouseengine"
)

func load(t *testing.T, id string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	sub, err := conf.Sub(id)
	require.NoError(t, err)
	cfg := createDefaultConfig()
	require.NoError(t, sub.Unmarshal(cfg))
	return cfg.(*Config)
}

func TestConfigIsReadFromYAML(t *testing.T) {
	plain := load(t, "clickhouse_engine")
	require.NoError(t, confmap.Validate(plain))
	require.Equal(t, createDefaultConfig(), component.Config(plain))

	all := load(t, "clickhouse_engine/all")
	require.NoError(t, confmap.Validate(all))
	require.Equal(t, &Config{
		Library: "/opt/engine/libchdb.so", DataDir: "/var/lib/millrace/clickhouse",
		TCPEndpoint: "[::1]:9001", HTTPEndpoint: "[::1]:8124",
		Users: []UserConfig{
			{Name: "app", Password: "secret"},
			{Name: "analyst", Password: "other", Databases: []string{"analytics"}, ReadOnly: true, Networks: []string{"10.0.0.0/8", "::1"}},
			{Name: "lake", Grants: []string{"SELECT ON *.*", "READ ON FILE"}},
		},
		Databases: []string{"analytics", "raw"},
		Settings:  map[string]any{"max_threads": 2, "log_comment": "millrace", "optimize_on_insert": false, "totals_auto_threshold": 0.25},
		Readable:  []string{"/var/lib/millrace/lake", "/srv/exports"}, Confined: true,
		MaxMemoryMiB: 2048, QueryLog: true, StartTimeout: time.Minute, StopTimeout: 5 * time.Second,
		Restart: RestartConfig{InitialInterval: time.Second, MaxInterval: 30 * time.Second},
	}, all)

	o := all.options()
	require.Equal(t, map[string]string{"max_threads": "2", "log_comment": "millrace", "optimize_on_insert": "0", "totals_auto_threshold": "0.25"}, o.Settings)
	require.EqualValues(t, 2<<30, o.MaxMemory)
	require.Equal(t, all.Readable, o.Readable)
	require.False(t, o.Unconfined)
	require.Equal(t, "secret", o.Users[0].Password)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", all, all, all), "secret")
	require.Equal(t, []clickhouseengine.User{{Name: "default"}}, plain.options().Users)
}

func TestConfigMistakeIsOneLineWithFieldValueAndMend(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		change(cfg)
		require.EqualError(t, cfg.Validate(), want)
	}
	users := func(u ...UserConfig) func(*Config) { return func(c *Config) { c.Users = u } }

	f(func(c *Config) { c.DataDir = "" }, "data_dir is empty: name a directory, for example ./data/clickhouse")
	f(func(c *Config) { c.TCPEndpoint = "9000" }, `tcp_endpoint "9000" is no address: use IP:port, for example 127.0.0.1:9000`)
	f(func(c *Config) { c.TCPEndpoint = "db.example.com:9000" }, `tcp_endpoint "db.example.com:9000": the host must be an IP address or localhost, for example 127.0.0.1:9000, or 0.0.0.0 for all interfaces`)
	f(func(c *Config) { c.HTTPEndpoint = ":8123" }, `http_endpoint ":8123": the host must be an IP address or localhost, for example 127.0.0.1:8123, or 0.0.0.0 for all interfaces`)
	f(func(c *Config) { c.HTTPEndpoint = "127.0.0.1:0" }, `http_endpoint "127.0.0.1:0": the port must be 1 to 65535, for example 127.0.0.1:8123`)
	f(func(c *Config) { c.HTTPEndpoint = "127.0.0.1:65536" }, `http_endpoint "127.0.0.1:65536": the port must be 1 to 65535, for example 127.0.0.1:8123`)
	f(func(c *Config) { c.HTTPEndpoint = "0.0.0.0:8123" }, `http_endpoint "0.0.0.0:8123" is on another address than tcp_endpoint "127.0.0.1:9000": the engine listens on one, use the same IP for both`)
	f(func(c *Config) { c.HTTPEndpoint = "127.0.0.1:9000" }, `http_endpoint "127.0.0.1:9000" is the same as tcp_endpoint: choose another port`)

	f(users(UserConfig{}), `users[0].name "" is no user name: use letters, digits, _ and -`)
	f(users(UserConfig{Name: "a><b"}), `users[0].name "a><b" is no user name: use letters, digits, _ and -`)
	f(users(UserConfig{Name: "a"}, UserConfig{Name: "a"}), `users[1].name "a" stands twice: give each user one entry`)
	f(users(UserConfig{Name: "default", Password: "x"}), `users[0].password: the user "default" cannot have a password in this engine, whose own session logs in as it: name the user otherwise, and "default" is shut out`)
	f(users(UserConfig{Name: "default", Networks: []string{"10.0.0.0/8"}}), `users[0].networks ["10.0.0.0/8"] leave out 127.0.0.1, from where the engine's own session logs in as "default": add it, or name the user otherwise`)
	f(users(UserConfig{Name: "a", Networks: []string{"example.com"}}), `users[0].networks "example.com" is no IP address or prefix: use for example 10.0.0.0/8`)
	f(users(UserConfig{Name: "a", Databases: []string{"x.y"}}), `users[0].databases "x.y" is no database name: use letters, digits and _`)
	f(users(UserConfig{Name: "a", ReadOnly: true, Grants: []string{"SELECT ON *.*"}}), `users[0].grants replaces databases and readonly: set only one of them`)
	f(users(UserConfig{Name: "a", Grants: []string{" "}}), `users[0].grants holds an empty entry: remove it, or write for example SELECT ON analytics.*`)

	f(func(c *Config) { c.Databases = []string{"a-b"} }, `databases[0] "a-b" is no database name: use letters, digits and _`)
	f(func(c *Config) { c.Databases = []string{"System"} }, `databases[0] "System" is the engine's own: choose another name`)
	f(func(c *Config) { c.Databases = []string{"a", "a"} }, `databases[1] "a" stands twice: remove one`)
	f(func(c *Config) { c.Settings = map[string]any{"max threads": 1} }, `settings "max threads" is no setting's name: see the table system.settings`)
	f(func(c *Config) { c.Settings = map[string]any{"max_threads": []any{1}} }, `settings.max_threads [1] is neither text, number nor boolean: write one value`)
	f(func(c *Config) { c.MaxMemoryMiB = 100 }, `max_memory_mib 100 is too little for ClickHouse: use at least 256, or 0 for half of the memory`)
	f(func(c *Config) { c.MaxMemoryMiB = -1 }, `max_memory_mib -1 is too little for ClickHouse: use at least 256, or 0 for half of the memory`)
	f(func(c *Config) { c.StartTimeout = 0 }, `start_timeout 0s is not positive: use for example 10s`)
	f(func(c *Config) { c.StopTimeout = -time.Second }, `stop_timeout -1s is not positive: use for example 10s`)
	f(func(c *Config) { c.Restart.InitialInterval = time.Minute }, `restart.max_interval 10s is less than restart.initial_interval 1m0s: raise it`)

	f(func(c *Config) { c.Readable = []string{""} }, `readable[0] "" is no directory: name one, for example ./data/lake`)
	f(func(c *Config) { c.Readable = []string{"./data/lake", "./data"} }, `readable[1] "./data" and data_dir "./data/clickhouse" hold one another, and with it the engine's own files: name a directory beside it`)
	f(func(c *Config) { c.Readable = []string{"data/clickhouse/x/.."} }, `readable[0] "data/clickhouse/x/.." and data_dir "./data/clickhouse" hold one another, and with it the engine's own files: name a directory beside it`)
	f(func(c *Config) { c.Readable, c.Confined = []string{"./lake"}, false }, `readable ["./lake"] needs confined: true, or users could read every file that the collector can: for that, give a user the right READ ON FILE in grants`)

	good := func(change func(*Config)) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		change(cfg)
		require.NoError(t, cfg.Validate())
	}
	good(users(UserConfig{Name: "default", Networks: []string{"127.0.0.1"}}))
	good(users(UserConfig{Name: "default", Networks: []string{"::/0"}}))
	good(func(c *Config) { c.Readable = []string{"./data/clickhouse-lake", "../lake"} })
	good(func(c *Config) { c.Confined = false })
	good(func(c *Config) { c.TCPEndpoint, c.HTTPEndpoint = "0.0.0.0:9000", "0.0.0.0:8123" })
}

func TestLocalhostIsTheLoopbackAddress(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.TCPEndpoint, cfg.HTTPEndpoint = "localhost:19000", "127.0.0.1:18123"
	require.NoError(t, cfg.Validate())
	o := cfg.options()
	require.Equal(t, "127.0.0.1:19000", o.TCPAddr)
	require.Equal(t, "127.0.0.1:18123", o.HTTPAddr)
}
