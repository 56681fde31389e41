// SPDX-License-Identifier: Apache-2.0

package clickhouseengineextension

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/internal/configfields"
)

// Config of the clickhouse_engine extension.
type Config struct {
	// Library is the path of libchdb.so. Empty is where `make engine` puts it.
	Library string `mapstructure:"library"`
	// DataDir is the engine's own directory. It is created when missing.
	DataDir string `mapstructure:"data_dir"`
	// TCPEndpoint is the IP address and port of ClickHouse's native protocol.
	TCPEndpoint string `mapstructure:"tcp_endpoint"`
	// HTTPEndpoint is the same IP address and the port of ClickHouse's HTTP interface.
	HTTPEndpoint string `mapstructure:"http_endpoint"`
	// Users may log in. Empty is one user, default, without a password, from loopback.
	Users []UserConfig `mapstructure:"users"`
	// Databases are created (ENGINE = Atomic) before the ports open.
	Databases []string `mapstructure:"databases"`
	// Settings of ClickHouse for every user.
	Settings map[string]any `mapstructure:"settings"`
	// Readable are directories whose files users read by SELECT … FROM file(…). Empty is none.
	Readable []string `mapstructure:"readable"`
	// Confined has the kernel keep ClickHouse from every file but its own, those of Readable and what a program needs to run.
	Confined bool `mapstructure:"confined"`
	// MaxMemoryMiB bounds the engine's memory. 0 is half of the machine's or container's.
	MaxMemoryMiB int64 `mapstructure:"max_memory_mib"`
	// QueryLog keeps system.query_log and system.part_log until the next start.
	QueryLog bool `mapstructure:"query_log"`
	// StartTimeout bounds one start of the engine.
	StartTimeout time.Duration `mapstructure:"start_timeout"`
	// StopTimeout is how long the engine may finish what it does before it is killed.
	StopTimeout time.Duration `mapstructure:"stop_timeout"`
	// Restart is the wait between the engine's death and its next start.
	Restart RestartConfig `mapstructure:"restart"`
}

// UserConfig is one user of the engine.
type UserConfig struct {
	Name     string              `mapstructure:"name"`
	Password configopaque.String `mapstructure:"password"`
	// Databases bounds what the user sees. Empty is all.
	Databases []string `mapstructure:"databases"`
	// ReadOnly lets the user read only.
	ReadOnly bool `mapstructure:"readonly"`
	// Networks are IP addresses or prefixes. Empty is any with a password and loopback without.
	Networks []string `mapstructure:"networks"`
	// Grants replaces the rights that follow from the above: what stands in SQL between GRANT and TO.
	Grants []string `mapstructure:"grants"`
}

// RestartConfig is a wait that doubles from InitialInterval to MaxInterval. A run longer than MaxInterval resets it.
type RestartConfig struct {
	InitialInterval time.Duration `mapstructure:"initial_interval"`
	MaxInterval     time.Duration `mapstructure:"max_interval"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

var (
	userName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	settingName  = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

	reservedDatabases = []string{"default", "system", "information_schema"}
)

const minMemoryMiB = 256

// Validate reports every mistake, one line each.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if c.DataDir == "" {
		bad(`data_dir is empty: name a directory, for example ./data/clickhouse`)
	}
	c.validateEndpoints(bad)

	seen := map[string]bool{}
	for i := range c.Users {
		u := &c.Users[i]
		field := fmt.Sprintf("users[%d]", i)
		switch {
		case !userName.MatchString(u.Name):
			bad("%s.name %q is no user name: use letters, digits, _ and -", field, u.Name)
		case seen[u.Name]:
			bad("%s.name %q stands twice: give each user one entry", field, u.Name)
		case u.Name == clickhouseengine.InternalUser && u.Password != "":
			bad(`%s.password: the user "default" cannot have a password in this engine, whose own session logs in as it: name the user otherwise, and "default" is shut out`, field)
		case u.Name == clickhouseengine.InternalUser && len(u.Networks) > 0 && !permitsLoopback(u.Networks):
			bad(`%s.networks %q leave out 127.0.0.1, from where the engine's own session logs in as "default": add it, or name the user otherwise`, field, u.Networks)
		}
		seen[u.Name] = true
		for _, n := range u.Networks {
			if _, ok := parseNetwork(n); !ok {
				bad("%s.networks %q is no IP address or prefix: use for example 10.0.0.0/8", field, n)
			}
		}
		for _, db := range u.Databases {
			if !databaseName.MatchString(db) {
				bad("%s.databases %q is no database name: use letters, digits and _", field, db)
			}
		}
		if len(u.Grants) > 0 && (len(u.Databases) > 0 || u.ReadOnly) {
			bad("%s.grants replaces databases and readonly: set only one of them", field)
		}
		for _, g := range u.Grants {
			if strings.TrimSpace(g) == "" {
				bad("%s.grants holds an empty entry: remove it, or write for example SELECT ON analytics.*", field)
			}
		}
	}
	for i, db := range c.Databases {
		switch {
		case !databaseName.MatchString(db):
			bad("databases[%d] %q is no database name: use letters, digits and _", i, db)
		case slices.Contains(reservedDatabases, strings.ToLower(db)):
			bad("databases[%d] %q is the engine's own: choose another name", i, db)
		case slices.Index(c.Databases, db) < i:
			bad("databases[%d] %q stands twice: remove one", i, db)
		}
	}
	c.validateReadable(bad)
	for k, v := range c.Settings {
		if !settingName.MatchString(k) {
			bad("settings %q is no setting's name: see the table system.settings", k)
		}
		if _, ok := settingValue(v); !ok {
			bad("settings.%s %v is neither text, number nor boolean: write one value", k, v)
		}
	}
	if c.MaxMemoryMiB != 0 && c.MaxMemoryMiB < minMemoryMiB {
		bad("max_memory_mib %d is too little for ClickHouse: use at least %d, or 0 for half of the memory", c.MaxMemoryMiB, minMemoryMiB)
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"start_timeout", c.StartTimeout},
		{"stop_timeout", c.StopTimeout},
		{"restart.initial_interval", c.Restart.InitialInterval},
		{"restart.max_interval", c.Restart.MaxInterval},
	} {
		if d.value <= 0 {
			bad("%s %s is not positive: use for example 10s", d.field, d.value)
		}
	}
	if c.Restart.MaxInterval > 0 && c.Restart.MaxInterval < c.Restart.InitialInterval {
		bad("restart.max_interval %s is less than restart.initial_interval %s: raise it", c.Restart.MaxInterval, c.Restart.InitialInterval)
	}
	return errors.Join(errs...)
}

// validateReadable keeps the engine's own files, and those above them, from being opened to users.
func (c *Config) validateReadable(bad func(string, ...any)) {
	if len(c.Readable) > 0 && !c.Confined {
		bad("readable %q needs confined: true, or users could read every file that the collector can: for that, give a user the right READ ON FILE in grants", c.Readable)
	}
	own, err := filepath.Abs(c.DataDir)
	if err != nil {
		return
	}
	for i, dir := range c.Readable {
		abs, err := filepath.Abs(dir)
		switch {
		case dir == "" || err != nil:
			bad("readable[%d] %q is no directory: name one, for example ./data/lake", i, dir)
		case within(own, abs) || within(abs, own):
			bad("readable[%d] %q and data_dir %q hold one another, and with it the engine's own files: name a directory beside it", i, dir, c.DataDir)
		}
	}
}

// within says whether path is dir or below it; both are absolute.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// loopback gives localhost its IPv4 address, which is what the engine asks for.
func loopback(host string) string {
	if host == "localhost" {
		return "127.0.0.1"
	}
	return host
}

// numeric returns an endpoint that Validate has seen, as IP:port.
func numeric(endpoint string) string {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return endpoint
	}
	return net.JoinHostPort(loopback(host), port)
}

func (c *Config) validateEndpoints(bad func(string, ...any)) {
	var addrs [2]netip.AddrPort
	for i, e := range []struct{ field, value, example string }{
		{"tcp_endpoint", c.TCPEndpoint, "127.0.0.1:9000"},
		{"http_endpoint", c.HTTPEndpoint, "127.0.0.1:8123"},
	} {
		host, port, err := net.SplitHostPort(e.value)
		if err != nil {
			bad("%s %q is no address: use IP:port, for example %s", e.field, e.value, e.example)
			continue
		}
		ip, err := netip.ParseAddr(loopback(host))
		if err != nil {
			bad("%s %q: the host must be an IP address or localhost, for example %s, or 0.0.0.0 for all interfaces", e.field, e.value, e.example)
			continue
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			bad("%s %q: the port must be 1 to 65535, for example %s", e.field, e.value, e.example)
			continue
		}
		addrs[i] = netip.AddrPortFrom(ip, uint16(n))
	}
	switch tcp, http := addrs[0], addrs[1]; {
	case !tcp.IsValid() || !http.IsValid():
	case tcp.Addr() != http.Addr():
		bad("http_endpoint %q is on another address than tcp_endpoint %q: the engine listens on one, use the same IP for both", c.HTTPEndpoint, c.TCPEndpoint)
	case tcp.Port() == http.Port():
		bad("http_endpoint %q is the same as tcp_endpoint: choose another port", c.HTTPEndpoint)
	}
}

// parseNetwork reads an address or a prefix.
func parseNetwork(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(ip, ip.BitLen()), true
}

func permitsLoopback(networks []string) bool {
	return slices.ContainsFunc(networks, func(n string) bool {
		p, ok := parseNetwork(n)
		return ok && (p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || p.Addr().Is6() && p.Bits() == 0)
	})
}

// settingValue writes a YAML scalar as ClickHouse reads it.
func settingValue(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "1", true
		}
		return "0", true
	case int, int64, uint64:
		return fmt.Sprint(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// options translates a valid Config.
func (c *Config) options() clickhouseengine.Options {
	o := clickhouseengine.Options{
		Library: c.Library, DataDir: c.DataDir, TCPAddr: numeric(c.TCPEndpoint), HTTPAddr: numeric(c.HTTPEndpoint),
		Databases: c.Databases, MaxMemory: c.MaxMemoryMiB << 20, QueryLog: c.QueryLog,
		StartTimeout: c.StartTimeout, StopTimeout: c.StopTimeout,
		RestartInitial: c.Restart.InitialInterval, RestartMax: c.Restart.MaxInterval,
		Readable: c.Readable, Unconfined: !c.Confined,
		Settings: make(map[string]string, len(c.Settings)),
	}
	for k, v := range c.Settings {
		o.Settings[k], _ = settingValue(v)
	}
	for _, u := range c.Users {
		o.Users = append(o.Users, clickhouseengine.User{
			Name: u.Name, Password: string(u.Password), Databases: u.Databases, ReadOnly: u.ReadOnly, Networks: u.Networks, Grants: u.Grants,
		})
	}
	if len(c.Users) == 0 {
		o.Users = []clickhouseengine.User{{Name: clickhouseengine.InternalUser}}
	}
	return o
}
