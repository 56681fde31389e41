// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/detector"
	"github.com/millrace/millrace/internal/masking"
)

// Config is what users set.
type Config struct {
	// Registry is the extension that has the schemas, whose x-pii says what is personal. Where it is left out the collector's
	// schema_registry is used if there is one.
	Registry *component.ID `mapstructure:"registry"`
	// KeyStore is the extension that has the keys. Actions that need none work without.
	KeyStore *component.ID `mapstructure:"key_store"`
	// Detectors find by value.
	Detectors DetectorsConfig `mapstructure:"detectors"`
	// Names find by key.
	Names NamesConfig `mapstructure:"names"`
	// IgnoreKeys are patterns of keys whose values are left as they are, whatever they look like.
	IgnoreKeys []string `mapstructure:"ignore_keys"`
	// Actions say what is done, by class of personal data; DefaultAction is for all other classes.
	Actions       map[string]masking.Spec `mapstructure:"actions"`
	DefaultAction masking.Spec            `mapstructure:"default_action"`
	// SealFailed encrypts the values of failed events to the key store's repair key.
	SealFailed bool `mapstructure:"seal_failed"`
	// DryRun counts and records what would be masked, and changes nothing.
	DryRun bool `mapstructure:"dry_run"`
	// AuditInterval is how often what was masked is summed up in the audit log.
	AuditInterval time.Duration `mapstructure:"audit_interval"`
}

// DetectorsConfig says what is looked for in texts.
type DetectorsConfig struct {
	// Classes to look for; all where it is left out, none where it is empty.
	Classes []string `mapstructure:"classes"`
	// Custom are detectors of the user's own.
	Custom []CustomConfig `mapstructure:"custom"`
}

// CustomConfig is a detector of the user's own.
type CustomConfig struct {
	Name    string `mapstructure:"name"`
	Class   string `mapstructure:"class"`
	Pattern string `mapstructure:"pattern"`
	// Keywords, one of which must be in the text or its key.
	Keywords []string `mapstructure:"keywords"`
}

// NamesConfig says which keys have personal data, at any depth.
type NamesConfig struct {
	// Builtin are the names that the README lists.
	Builtin bool `mapstructure:"builtin"`
	// Rules come before them, the first that matches.
	Rules []NameRule `mapstructure:"rules"`
}

// NameRule gives the values of some keys a class.
type NameRule struct {
	// Keys are patterns: "email" is a key of that name, "*_ref" one that ends so, "customer.*" one below customer. Case, '-' and
	// '_' make no difference, and customerRef is customer_ref.
	Keys []string `mapstructure:"keys"`
	// Class of personal data; "none" leaves the values to the detectors alone.
	Class string `mapstructure:"class"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

func createDefaultConfig() component.Config {
	return &Config{
		Names:         NamesConfig{Builtin: true},
		DefaultAction: masking.Spec{Action: masking.Redact},
		AuditInterval: time.Minute,
	}
}

// noClass is the class of a NameRule that takes a name out.
const noClass = "none"

var className = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// Validate names field, value and mend.
func (c *Config) Validate() error {
	for i, class := range c.Detectors.Classes {
		if !slices.Contains(detector.Classes[:], detector.Class(class)) {
			return fmt.Errorf("detectors::classes::%d: %q is none that is found by value: use some of %v", i, class, detector.Classes)
		}
	}
	if _, err := detector.New(c.detectorConfig()); err != nil {
		return fmt.Errorf("detectors: %w", err)
	}
	for i, rule := range c.Names.Rules {
		if !className.MatchString(rule.Class) {
			return fmt.Errorf("names::rules::%d::class: %q must be a class such as email, of lower-case letters, digits and '_', or none", i, rule.Class)
		}
		if len(rule.Keys) == 0 {
			return fmt.Errorf("names::rules::%d::keys: is empty: name keys such as \"*_email\", or remove the rule", i)
		}
		for _, key := range rule.Keys {
			if err := checkPattern(key); err != nil {
				return fmt.Errorf("names::rules::%d::keys: %q %w", i, key, err)
			}
		}
	}
	for _, key := range c.IgnoreKeys {
		if err := checkPattern(key); err != nil {
			return fmt.Errorf("ignore_keys: %q %w", key, err)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(c.Actions)) {
		if !className.MatchString(class) || class == noClass {
			return fmt.Errorf("actions: %q is no class: write one such as email", class)
		}
		spec := c.Actions[class]
		if err := c.checkAction(&spec); err != nil {
			return fmt.Errorf("actions::%s: %w", class, err)
		}
	}
	if err := c.checkAction(&c.DefaultAction); err != nil {
		return fmt.Errorf("default_action: %w", err)
	}
	if c.SealFailed && c.KeyStore == nil {
		return errors.New("seal_failed: true needs a repair key: name a key_store extension that has one in key_store, or set it to false")
	}
	if c.AuditInterval < time.Second || c.AuditInterval > 24*time.Hour {
		return fmt.Errorf("audit_interval: %s must be from 1s to 24h", c.AuditInterval)
	}
	return nil
}

// checkAction checks what a Spec by itself does not know; the collector validates each.
func (c *Config) checkAction(s *masking.Spec) error {
	switch s.Action {
	case masking.Pseudonym, masking.FPE, masking.Token, masking.Erasable:
		if c.KeyStore == nil {
			return fmt.Errorf("action: %s needs keys: name a key_store extension in key_store, or choose an action that needs none, such as redact", s.Action)
		}
	}
	return nil
}

// erases says whether values are encrypted under keys of persons.
func (c *Config) erases() bool {
	for _, s := range c.Actions {
		if s.Action == masking.Erasable {
			return true
		}
	}
	return c.DefaultAction.Action == masking.Erasable
}

func (c *Config) detectorConfig() detector.Config {
	out := detector.Config{Skip: masking.Masked}
	if c.Detectors.Classes != nil {
		out.Classes = make([]detector.Class, 0, len(c.Detectors.Classes))
		for _, class := range c.Detectors.Classes {
			out.Classes = append(out.Classes, detector.Class(class))
		}
	}
	for _, d := range c.Detectors.Custom {
		out.Custom = append(out.Custom, detector.Custom{Name: d.Name, Class: detector.Class(d.Class), Pattern: d.Pattern, Keywords: d.Keywords})
	}
	return out
}

func checkPattern(p string) error {
	switch {
	case strings.Trim(p, "*. ") == "":
		return errors.New("would match every key: name one such as \"*_email\"")
	case strings.ContainsAny(p, "?[]{}()|^$\\"):
		return errors.New("has a character that patterns of keys lack: use '*' for anything, and '.' between levels")
	}
	return nil
}
