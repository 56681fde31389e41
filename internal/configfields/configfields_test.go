// SPDX-License-Identifier: Apache-2.0

package configfields

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

type Server struct {
	Endpoint string `mapstructure:"endpoint"`
}

type user struct {
	Name     string `mapstructure:"name"`
	ReadOnly bool   `mapstructure:"readonly"`
}

type Config struct {
	Server    `mapstructure:",squash"`
	Other     Server                          `mapstructure:"other"`
	Users     []user                          `mapstructure:"users"`
	TLS       configoptional.Optional[Server] `mapstructure:"tls"`
	DataDir   string                          `mapstructure:"data_dir"`
	Password  string                          `mapstructure:"password"`
	Timeout   time.Duration                   `mapstructure:"timeout"`
	Databases []string                        `mapstructure:"databases"`
}

func (c *Config) Unmarshal(conf *confmap.Conf) error { return Unmarshal(conf, c) }

func TestWhatCannotBeReadIsOneLineWithFieldAndMend(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		conf, err := confmaptest.LoadConf(writeFile(t, "c:\n  "+yaml))
		require.NoError(t, err)
		sub, err := conf.Sub("c")
		require.NoError(t, err)
		var c Config
		err = sub.Unmarshal(&c)
		if want == "" {
			require.NoError(t, err)
			return
		}
		require.Error(t, err)
		// Core's name of the whole stands before it.
		_, found, _ := strings.Cut(err.Error(), "'' ")
		require.Equal(t, want, found, err.Error())
	}
	f("{data_dir: a, timeout: 5s, users: [{name: x}], other: {endpoint: a}}", "")
	f("data_dri: a", "data_dri: there is no such field: did you mean data_dir?")
	f("endpont: a", "endpont: there is no such field: did you mean endpoint?")
	f("colour: a", "colour: there is no such field: use one of data_dir, databases, endpoint, other, password, timeout, tls, users")
	f("users: [{name: x, read_only: true}]", "users[0].read_only: there is no such field: did you mean readonly?")
	f("other: {port: 1}", "other.port: there is no such field: use one of endpoint")
	f("tls: {endpiont: 1}", "tls.endpiont: there is no such field: did you mean endpoint?")
	f("timeout: soon", `timeout: "soon": write a time with its unit, such as 30s`)
	f("data_dir: 5", "data_dir: 5: write a text, in quotes")
	f("password: 5", "password: write a text, in quotes")
	f("users: [x]", `users[0]: write its fields, one to a line; this is "string"`)
	f("users: [{name: a, readonly: maybe}]", "users[0].readonly: write true or false")
	f("{data_dri: a, timeout: soon, tls: {endpiont: 1}}", `tls.endpiont: there is no such field: did you mean endpoint?
timeout: "soon": write a time with its unit, such as 30s
data_dri: there is no such field: did you mean data_dir?`)
}

func TestDistanceCountsChanges(t *testing.T) {
	f := func(a, b string, want int) {
		t.Helper()
		require.Equal(t, want, distance(a, b))
		require.Equal(t, want, distance(b, a))
	}
	f("", "", 0)
	f("abc", "", 3)
	f("databse", "database", 1)
	f("kitten", "sitting", 3)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
