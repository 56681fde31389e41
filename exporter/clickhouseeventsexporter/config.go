// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter/exporterhelper"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/result"
)

// Config is what users set.
type Config struct {
	// Endpoints are the servers' native-protocol addresses, host:port. They are used in turn; one that does not
	// answer is passed over.
	Endpoints []string `mapstructure:"endpoints"`
	// Database holds the tables; it is created if absent.
	Database string              `mapstructure:"database"`
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`
	// TLS is off unless set.
	TLS configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
	// Compression of what is sent: lz4, zstd or none.
	Compression string `mapstructure:"compression"`
	// DialTimeout bounds connecting, login included.
	DialTimeout time.Duration `mapstructure:"dial_timeout"`

	// SchemaRegistry is the extension that has the schemas.
	SchemaRegistry component.ID `mapstructure:"schema_registry"`
	// CreateTables lets the exporter create the database and tables and add columns. Without it they must be
	// there, as the README's SQL makes them.
	CreateTables bool `mapstructure:"create_tables"`
	// Cluster, where set, makes every statement that creates or changes a table run ON CLUSTER.
	Cluster      string      `mapstructure:"cluster"`
	Events       TableConfig `mapstructure:"events"`
	FailedEvents TableConfig `mapstructure:"failed_events"`
	// Results are the tables of what stateful processors emit.
	Results ResultsConfig `mapstructure:"results"`
	// Existing says what becomes, behind an event_log, of an event that the table has already by its ID: store or skip.
	Existing string `mapstructure:"existing"`
	// Deduplication is of use behind an event_log.
	Deduplication DeduplicationConfig `mapstructure:"deduplication"`

	TimeoutConfig exporterhelper.TimeoutConfig                             `mapstructure:",squash"`
	RetryConfig   configretry.BackOffConfig                                `mapstructure:"retry_on_failure"`
	QueueConfig   configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
}

// TableConfig says how a table is created. What is set here has no effect on a table that exists.
type TableConfig struct {
	Name string `mapstructure:"name"`
	// Engine with its parameters, such as ReplicatedMergeTree or ReplacingMergeTree(received_time).
	Engine string `mapstructure:"engine"`
	// PartitionBy and OrderBy are expressions over the table's columns.
	PartitionBy string `mapstructure:"partition_by"`
	OrderBy     string `mapstructure:"order_by"`
	// TTL is a TTL clause, such as "toDateTime(event_time) + INTERVAL 90 DAY". Empty keeps rows for ever.
	TTL string `mapstructure:"ttl"`
	// Settings of the table, such as storage_policy.
	Settings map[string]any `mapstructure:"settings"`
}

// DeduplicationConfig bounds what the tables remember of INSERTs, by which one that is repeated is known.
type DeduplicationConfig struct {
	// Window is how many blocks a table remembers. An INSERT is a block for each of the table's partitions it touches.
	Window int `mapstructure:"window"`
	// ReplicatedWindow is how long a Replicated table remembers them: the longest outage of the collector's machine
	// after which what was under way is still known.
	ReplicatedWindow time.Duration `mapstructure:"replicated_window"`
	// Writers is how many collectors write into these tables. They share the window.
	Writers int `mapstructure:"writers"`
	// Views says what to do where a materialized view writes into a table that remembers less: refuse or warn.
	Views string `mapstructure:"views"`
}

// What to do about views that may count a repeated INSERT twice.
const (
	viewsRefuse = "refuse"
	viewsWarn   = "warn"
)

// minBudget is how many blocks a writer needs between two checkpoints of the log.
const minBudget = 100

// budget is how many blocks this process may send before the log has committed the first of them. It leaves room for what
// the table's own count of blocks has above ours: it counts repetitions, and from the checkpoint before.
func (c *DeduplicationConfig) budget() uint64 { return uint64(c.Window / c.Writers * 3 / 4) }

func (c *DeduplicationConfig) validate() error {
	switch {
	case c.Writers < 1:
		return fmt.Errorf("deduplication.writers: %d is not positive: give the number of collectors that write into these tables", c.Writers)
	case c.Window/c.Writers < minBudget:
		return fmt.Errorf("deduplication.window: %d is too small for %d writers: use at least %d", c.Window, c.Writers, minBudget*c.Writers)
	case c.ReplicatedWindow < time.Minute:
		return fmt.Errorf("deduplication.replicated_window: %s is too short: use the longest outage to survive, such as 168h", c.ReplicatedWindow)
	case c.Views != viewsRefuse && c.Views != viewsWarn:
		return fmt.Errorf("deduplication.views: %q is unknown: use refuse or warn", c.Views)
	}
	return nil
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

func createDefaultConfig() component.Config {
	queue := exporterhelper.NewDefaultQueueConfig()
	queue.Sizer = exporterhelper.RequestSizerTypeItems
	queue.QueueSize = 200_000
	queue.NumConsumers = 2
	queue.WaitForResult = true // an acknowledgement means: ClickHouse has it
	queue.Batch = configoptional.Some(exporterhelper.BatchConfig{
		FlushTimeout: 200 * time.Millisecond, MinSize: 20_000, MaxSize: 100_000,
		Sizer: exporterhelper.RequestSizerTypeItems,
	})
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = 500 * time.Millisecond
	retry.MaxInterval = 10 * time.Second
	// Then the sender, who still has the events, is told to try again later. Without an end, a shutdown while
	// ClickHouse is away would wait for senders that wait for ClickHouse.
	retry.MaxElapsedTime = 30 * time.Second
	return &Config{
		Endpoints:      []string{"127.0.0.1:9000"},
		Database:       "analytics",
		Username:       "default",
		Compression:    "lz4",
		DialTimeout:    5 * time.Second,
		SchemaRegistry: component.MustNewID("schema_registry"),
		CreateTables:   true,
		Events: TableConfig{
			Name: "events", Engine: "MergeTree",
			PartitionBy: "toYYYYMM(event_time)", OrderBy: "(tenant_id, event_name, event_time)",
		},
		FailedEvents: TableConfig{
			Name: "failed_events", Engine: "MergeTree",
			PartitionBy: "toYYYYMM(received_time)", OrderBy: "(tenant_id, received_time)",
		},
		Results:       ResultsConfig{Accept: result.AcceptStages, Engine: replacing},
		Existing:      existingStore,
		Deduplication: DeduplicationConfig{Window: 10_000, ReplicatedWindow: 7 * 24 * time.Hour, Writers: 1, Views: viewsRefuse},
		TimeoutConfig: exporterhelper.TimeoutConfig{Timeout: 30 * time.Second},
		RetryConfig:   retry,
		QueueConfig:   configoptional.Some(queue),
	}
}

var (
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// settingValue is a number or a plain word: it is written into SQL.
	settingValue = regexp.MustCompile(`^[A-Za-z0-9_.\-]+$`)
)

// minTimeout is below what any network needs.
const minTimeout = time.Millisecond

// Validate names the field, its value and the mend.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Endpoints) == 0 {
		fail(`endpoints is empty: give at least one host:port, such as "127.0.0.1:9000"`)
	}
	for _, e := range c.Endpoints {
		_, port, err := net.SplitHostPort(e)
		if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || n < 1 || n > 65535 {
			fail(`endpoints: %q is not host:port: give the native protocol's address, such as "127.0.0.1:9000"`, e)
		}
	}
	names := map[string]string{"database": c.Database, "events.name": c.Events.Name, "failed_events.name": c.FailedEvents.Name}
	if c.Cluster != "" {
		names["cluster"] = c.Cluster
	}
	for _, field := range []string{"database", "events.name", "failed_events.name", "cluster"} {
		if name, set := names[field]; set && !identifier.MatchString(name) {
			fail("%s: %q is not an identifier: use letters, digits and _, and begin with a letter", field, name)
		}
	}
	if c.Events.Name == c.FailedEvents.Name {
		fail("failed_events.name: %q is the events table's name too: name another", c.FailedEvents.Name)
	}
	switch c.Compression {
	case "lz4", "zstd", "none":
	default:
		fail("compression: %q is unknown: use lz4, zstd or none", c.Compression)
	}
	if c.Existing != existingStore && c.Existing != existingSkip {
		fail("existing: %q is unknown: use store, or skip to leave out events that the table has already", c.Existing)
	}
	if c.DialTimeout <= 0 {
		fail("dial_timeout: %s is not positive: use a duration such as 5s", c.DialTimeout)
	} else if c.DialTimeout < minTimeout { // a number without a unit is nanoseconds
		fail("dial_timeout: %s is too short for a connection: use a duration with its unit, such as 5s", c.DialTimeout)
	}
	if t := c.TimeoutConfig.Timeout; t > 0 && t < minTimeout {
		fail("timeout: %s is too short for an INSERT: use a duration with its unit, such as 30s", t)
	}
	errs = append(errs, c.Events.validate("events"), c.FailedEvents.validate("failed_events"), c.Results.validate(), c.Deduplication.validate())
	if q := c.QueueConfig; q.HasValue() && !q.Get().WaitForResult && c.RetryConfig.MaxElapsedTime > 0 {
		fail("retry_on_failure.max_elapsed_time: %s would drop events that were acknowledged, since sending_queue.wait_for_result is false: "+
			"set max_elapsed_time: 0 or wait_for_result: true", c.RetryConfig.MaxElapsedTime)
	}
	return errors.Join(errs...)
}

func (t *TableConfig) validate(field string) error {
	if !strings.Contains(t.Engine, "MergeTree") {
		return fmt.Errorf("%s.engine: %q is not of the MergeTree family: use MergeTree or a relative of it", field, t.Engine)
	}
	if t.OrderBy == "" {
		return fmt.Errorf(`%s.order_by is empty: give an expression, such as "(tenant_id, event_time)"`, field)
	}
	return validateSettings(field, t.Settings)
}

func validateSettings(field string, settings map[string]any) error {
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		if v := fmt.Sprint(settings[k]); !identifier.MatchString(k) || !settingValue.MatchString(v) {
			return fmt.Errorf("%s.settings: %s = %q is no setting: use a name and a plain number or word", field, k, v)
		}
	}
	return nil
}
