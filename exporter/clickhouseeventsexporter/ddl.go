// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// quote writes a name as an identifier.
func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

func (c *Config) onCluster() string {
	if c.Cluster == "" {
		return ""
	}
	return " ON CLUSTER " + quote(c.Cluster)
}

func createDatabase(c *Config) string {
	return "CREATE DATABASE IF NOT EXISTS " + quote(c.Database) + c.onCluster()
}

// tunedSettings are what a table of many, mostly empty columns wants otherwise than ClickHouse's defaults. Together
// they took a third of the server's CPU for inserting and merging (docs/benchmarks.md). A setting in the
// configuration goes before them.
var tunedSettings = map[string]string{
	// Fresh parts are one file rather than hundreds; merged ones are as ever.
	"min_level_for_wide_part": "1",
	// Merge column by column from the first row on.
	"vertical_merge_algorithm_min_rows_to_activate": "1",
	// Keep only the values of a Nullable column that is mostly NULL.
	"nullable_serialization_version": "allow_sparse",
	// No count of distinct values for every column at every merge.
	"auto_statistics_types": "",
}

// isReplicated says whether tables of the engine keep what they remember of INSERTs in Keeper.
func isReplicated(engine string) bool {
	return strings.HasPrefix(engine, "Replicated") || strings.HasPrefix(engine, "Shared")
}

// deduplicationSettings make a table remember INSERTs for as long as the event log may repeat them.
func deduplicationSettings(c *Config, engine string) map[string]string {
	window := strconv.Itoa(c.Deduplication.Window)
	if isReplicated(engine) {
		return map[string]string{
			settingReplicatedWindow: window, settingReplicatedSeconds: strconv.Itoa(int(c.Deduplication.ReplicatedWindow.Seconds())),
		}
	}
	return map[string]string{settingWindow: window}
}

// Settings of tables that say how long they remember INSERTs.
const (
	settingWindow            = "non_replicated_deduplication_window"
	settingReplicatedWindow  = "replicated_deduplication_window"
	settingReplicatedSeconds = "replicated_deduplication_window_seconds"
)

// modifySettings returns the statement that changes settings of a table.
func modifySettings(c *Config, table string, settings map[string]string) string {
	parts := make([]string, 0, len(settings))
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		parts = append(parts, k+" = "+settings[k])
	}
	return fmt.Sprintf("ALTER TABLE %s.%s%s\n    MODIFY SETTING %s", quote(c.Database), quote(table), c.onCluster(), strings.Join(parts, ", "))
}

// createTable returns the statement that creates a table. known are the tuned settings that the server has.
func createTable(c *Config, t *TableConfig, columns []column, known map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s.%s%s\n(\n", quote(c.Database), quote(t.Name), c.onCluster())
	for _, col := range columns {
		fmt.Fprintf(&b, "    %s %s,\n", quote(col.name), col.typ)
	}
	fmt.Fprintf(&b, "    %s %s\n", quote(deliveryColumn), deliveryColumnType)
	fmt.Fprintf(&b, ")\nENGINE = %s\n", t.Engine)
	if t.PartitionBy != "" {
		fmt.Fprintf(&b, "PARTITION BY %s\n", t.PartitionBy)
	}
	fmt.Fprintf(&b, "ORDER BY %s", t.OrderBy)
	if t.TTL != "" {
		fmt.Fprintf(&b, "\nTTL %s", t.TTL)
	}
	settings := deduplicationSettings(c, t.Engine)
	maps.Copy(settings, known)
	for k, v := range t.Settings {
		settings[k] = fmt.Sprint(v)
	}
	for i, k := range slices.Sorted(maps.Keys(settings)) {
		word := ",\n    "
		if i == 0 {
			word = "\nSETTINGS\n    "
		}
		value := settings[k]
		if !isNumber(value) {
			value = "'" + value + "'"
		}
		fmt.Fprintf(&b, "%s%s = %s", word, k, value)
	}
	return b.String()
}

func isNumber(s string) bool {
	return strings.Trim(s, "0123456789.") == "" && s != ""
}

func addColumns(c *Config, t *TableConfig, columns []column) string {
	parts := make([]string, len(columns))
	for i, col := range columns {
		parts[i] = fmt.Sprintf("ADD COLUMN IF NOT EXISTS %s %s", quote(col.name), col.typ)
	}
	return fmt.Sprintf("ALTER TABLE %s.%s%s\n    %s", quote(c.Database), quote(t.Name), c.onCluster(), strings.Join(parts, ",\n    "))
}
