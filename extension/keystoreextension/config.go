// SPDX-License-Identifier: Apache-2.0

package keystoreextension

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/subjectkey"
)

// Config is what users set.
type Config struct {
	// Keys are those that values are masked with. New values are made with the one whose active_from came last.
	Keys []keyring.KeyConfig `mapstructure:"keys"`
	// ReloadInterval is how often the keys' sources are read anew; 0 turns that off.
	ReloadInterval time.Duration `mapstructure:"reload_interval"`
	// Storage is the state_store that remembers the keys' check values. Where it is left out the persons' one does.
	Storage *component.ID `mapstructure:"storage"`
	// Subjects are the keys of persons.
	Subjects SubjectsConfig `mapstructure:"subjects"`
	// RepairKey is what failed events are sealed to.
	RepairKey RepairKeyConfig `mapstructure:"repair_key"`
	// Audit is the record of what was done.
	Audit AuditConfig `mapstructure:"audit"`
	// Admin is the endpoint for those who may read values back or have a person forgotten. There is none where it is left out.
	Admin *AdminConfig `mapstructure:"admin"`
}

// SubjectsConfig says where the keys of persons are.
type SubjectsConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Storage is a state_store extension. One key_store uses it.
	Storage component.ID `mapstructure:"storage"`
	// CacheKeys bounds the keys that are kept unwrapped in memory.
	CacheKeys int `mapstructure:"cache_keys"`
}

// RepairKeyConfig names the repair key.
type RepairKeyConfig struct {
	PublicKeyFile string `mapstructure:"public_key_file"`
}

// AuditConfig says where the audit log is.
type AuditConfig struct {
	Directory string `mapstructure:"directory"`
}

// AdminConfig is the admin endpoint.
type AdminConfig struct {
	// Endpoint is host and port. Port 0 is any free one.
	Endpoint string `mapstructure:"endpoint"`
	// AllowRemote lets it listen on another address than the machine's own. It needs TLS.
	AllowRemote bool `mapstructure:"allow_remote"`
	// TokenFile has a line for each who may use it: NAME TOKEN [what: detokenize,erase,pseudonym].
	TokenFile string `mapstructure:"token_file"`
	// TLS serves HTTPS.
	TLS *configtls.ServerConfig `mapstructure:"tls"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

const (
	defaultReloadInterval = 30 * time.Second
	minReloadInterval     = 10 * time.Millisecond // keeps a mistyped unit from reading without pause
	maxCacheKeys          = 50_000_000
)

func createDefaultConfig() component.Config {
	return &Config{
		ReloadInterval: defaultReloadInterval,
		Subjects:       SubjectsConfig{Storage: component.MustNewID("state_store"), CacheKeys: subjectkey.DefaultCacheKeys},
	}
}

// Validate checks what can be checked without the sources. Each error is one line that names the field, the value and the mend.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	// The collector has each key validate itself, and says so twice if this does it too.
	if !slices.ContainsFunc(c.Keys, func(k keyring.KeyConfig) bool { return k.Validate() != nil }) {
		if err := keyring.Config(c.Keys).Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	if c.ReloadInterval < 0 || c.ReloadInterval > 0 && c.ReloadInterval < minReloadInterval {
		bad("reload_interval: %s must be 0 (off) or at least %s", c.ReloadInterval, minReloadInterval)
	}
	if c.Subjects.Enabled && (c.Subjects.CacheKeys < 1 || c.Subjects.CacheKeys > maxCacheKeys) {
		bad("subjects::cache_keys: %d must be from 1 to %d; use %d", c.Subjects.CacheKeys, maxCacheKeys, subjectkey.DefaultCacheKeys)
	}
	if a := c.Admin; a != nil {
		if err := a.validate(); err != nil {
			errs = append(errs, err)
		}
		if c.Audit.Directory == "" {
			bad("audit::directory: is empty, and admin must not be used unrecorded: set it to a directory that outlives the process, such as ./data/audit")
		}
	}
	return errors.Join(errs...)
}

func (a *AdminConfig) validate() error {
	host, _, err := net.SplitHostPort(a.Endpoint)
	if err != nil {
		return fmt.Errorf("admin::endpoint: %q is no address: give host and port, such as 127.0.0.1:8190", a.Endpoint)
	}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case !loopback && !a.AllowRemote:
		return fmt.Errorf("admin::endpoint: %q can be reached from other machines: use 127.0.0.1, or set admin::allow_remote to true", a.Endpoint)
	case !loopback && a.TLS == nil:
		return fmt.Errorf("admin::tls: %q would send tokens and personal data in clear: give cert_file and key_file", a.Endpoint)
	case a.TokenFile == "":
		return errors.New("admin::token_file: is empty: name a file with a line NAME TOKEN for each who may use it (`millrace keys token NAME` makes one)")
	}
	return nil
}
