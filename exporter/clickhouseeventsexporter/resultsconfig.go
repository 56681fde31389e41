// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/result"
)

// ResultsConfig says how tables of results are created: what sessionization and window_aggregation emit. What is set here has
// no effect on a table that exists.
type ResultsConfig struct {
	// Accept says whose results are taken: stages, those that a processor of this collector has made, or any.
	Accept result.Accept `mapstructure:"accept"`
	// Engine is ReplacingMergeTree or ReplicatedReplacingMergeTree; with parameters they must name pane_index as the version.
	Engine string `mapstructure:"engine"`
	// TTL is how long rows are kept from their time column on. 0 is what the component says that emits them.
	TTL time.Duration `mapstructure:"ttl"`
	// Settings of the tables, such as storage_policy.
	Settings map[string]any `mapstructure:"settings"`
	// Tables are exceptions, by the name of the result's table, such as sessions.
	Tables map[string]ResultTableConfig `mapstructure:"tables"`
}

// ResultTableConfig is what one table has otherwise. What is empty is as for all.
type ResultTableConfig struct {
	Engine string        `mapstructure:"engine"`
	TTL    time.Duration `mapstructure:"ttl"`
	// PartitionBy is an expression over columns of the result's key.
	PartitionBy string         `mapstructure:"partition_by"`
	Settings    map[string]any `mapstructure:"settings"`
}

const replacing = "ReplacingMergeTree"

// of is what the table of that name has, with its settings over those of all.
func (c *ResultsConfig) of(table string) ResultTableConfig {
	own := c.Tables[table]
	if own.Engine == "" {
		own.Engine = c.Engine
	}
	if !strings.Contains(own.Engine, "(") {
		own.Engine += "(" + result.ColumnIndex + ")"
	}
	if own.TTL == 0 {
		own.TTL = c.TTL
	}
	settings := maps.Clone(c.Settings)
	if settings == nil {
		settings = map[string]any{}
	}
	maps.Copy(settings, own.Settings)
	own.Settings = settings
	return own
}

func (c *ResultsConfig) validate() error {
	check := func(field, engine string, ttl time.Duration, settings map[string]any) error {
		_, parameters, has := strings.Cut(engine, "(")
		switch {
		case !strings.Contains(engine, replacing):
			return fmt.Errorf("%s.engine: %q does not replace a result's earlier rows: use ReplacingMergeTree or ReplicatedReplacingMergeTree", field, engine)
		case has && !strings.Contains(parameters, result.ColumnIndex):
			return fmt.Errorf("%s.engine: %q does not name its version: give %s as the last parameter", field, engine, result.ColumnIndex)
		case ttl < 0 || ttl > 0 && ttl < time.Second || ttl > result.MaxTTL:
			return fmt.Errorf("%s.ttl: %s is out of range: use a duration such as 2160h, of 1s to %s", field, ttl, result.MaxTTL)
		}
		return validateSettings(field, settings)
	}
	if err := c.Accept.Validate(); err != nil {
		return fmt.Errorf("results.accept: %w", err)
	}
	if err := check("results", c.Engine, c.TTL, c.Settings); err != nil {
		return err
	}
	for _, table := range slices.Sorted(maps.Keys(c.Tables)) {
		own := c.Tables[table]
		field := "results.tables." + table
		if !identifier.MatchString(table) {
			return fmt.Errorf("results.tables: %q is not an identifier: give the name of a result's table, such as sessions", table)
		}
		if own.Engine == "" {
			own.Engine = c.Engine
		}
		if err := check(field, own.Engine, own.TTL, own.Settings); err != nil {
			return err
		}
	}
	return nil
}
