// SPDX-License-Identifier: Apache-2.0

package eventlogconnector

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/segmentlog"
)

// Config is what users set.
type Config struct {
	// Directory holds the log. It is made if it is not there.
	Directory string `mapstructure:"directory"`
	// StateStore is the extension that keeps positions, plans and state.
	StateStore component.ID `mapstructure:"state_store"`
	// AcceptStateStore is the ID of a state store to go on with although the log was used with another one, which held
	// the consumers' positions: all of the log is then delivered again, as new.
	AcceptStateStore string `mapstructure:"accept_state_store"`

	// Partitions are fixed when the log is made.
	Partitions int `mapstructure:"partitions"`
	// PartitionBy names attributes: events that agree in the first one that they have go to one partition.
	PartitionBy []string `mapstructure:"partition_by"`
	// Compression of records: s2, zstd or none.
	Compression string `mapstructure:"compression"`

	Retention RetentionConfig `mapstructure:"retention"`
	// MaxBytes is the log's size on disk beyond which OnFull says what happens.
	MaxBytes int64 `mapstructure:"max_bytes"`
	// MinFreeBytes is what the log leaves free on the file system.
	MinFreeBytes int64 `mapstructure:"min_free_bytes"`
	// SegmentBytes is the size of a file of the log, which retention removes as a whole.
	SegmentBytes int64 `mapstructure:"segment_bytes"`
	// OnFull is backpressure: senders are told to come again (429, RESOURCE_EXHAUSTED).
	OnFull string `mapstructure:"on_full"`

	Delivery DeliveryConfig `mapstructure:"delivery"`
	// CheckpointInterval is the time after which a consumer's progress is made durable. What was delivered since comes again
	// after a crash, under its own name.
	CheckpointInterval time.Duration `mapstructure:"checkpoint_interval"`
	// CheckpointBytes is how much changed state makes a checkpoint due before its time.
	CheckpointBytes int `mapstructure:"checkpoint_bytes"`
	// TickInterval is how long a partition may be idle before the log tells components with state that time has passed.
	TickInterval time.Duration `mapstructure:"tick_interval"`
	// IdleTimeout is how long no event may have come to any partition before event time goes on with the clock, that far
	// behind it; 0 for never.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
	// StartAt is where a pipeline that the log does not know begins: beginning or end.
	StartAt string `mapstructure:"start_at"`
	// Retry between attempts at a delivery, without end.
	Retry RetryConfig `mapstructure:"retry_on_failure"`

	Deduplication DeduplicationConfig `mapstructure:"deduplication"`

	// Guarantee is effectively_once, or at_least_once to allow components that do not keep the promise.
	Guarantee string `mapstructure:"guarantee"`
	// Consumers are told one by one, by the pipeline's ID, what is not in the log's nature.
	Consumers map[string]ConsumerConfig `mapstructure:"consumers"`
	// Admin serves positions, resets and skips over HTTP. Off unless set.
	Admin configoptional.Optional[AdminConfig] `mapstructure:"admin"`
	// AcceptLost opens a log whose own books are lost: see the README before setting any.
	AcceptLost AcceptLostConfig `mapstructure:"accept_lost"`
}

// RetentionConfig says how long what every consumer has acknowledged is kept, for reprocessing. Whichever bound is
// reached first counts.
type RetentionConfig struct {
	Age   time.Duration `mapstructure:"age"`
	Bytes int64         `mapstructure:"bytes"`
	// DropUnconsumed makes the bounds count for what a consumer has not acknowledged too: it is lost to that consumer.
	DropUnconsumed bool `mapstructure:"drop_unconsumed"`
}

// DeliveryConfig bounds a delivery, which is one INSERT for each table.
type DeliveryConfig struct {
	MaxEvents int `mapstructure:"max_events"`
	// MaxBytes is the uncompressed size after which a delivery takes no further append.
	MaxBytes int `mapstructure:"max_bytes"`
	// MaxWait is how long an event may wait for others.
	MaxWait time.Duration `mapstructure:"max_wait"`
	// CacheBytes of what was just appended are kept in memory, decoded, for consumers that keep up.
	CacheBytes int64 `mapstructure:"cache_bytes"`
	// ShutdownGrace is how long deliveries under way may finish.
	ShutdownGrace time.Duration `mapstructure:"shutdown_grace"`
}

// RetryConfig is the pause between attempts, doubled up to the longest.
type RetryConfig struct {
	InitialInterval time.Duration `mapstructure:"initial_interval"`
	MaxInterval     time.Duration `mapstructure:"max_interval"`
}

// DeduplicationConfig says what a duplicate is: an event whose fields the log holds already, within the horizon.
type DeduplicationConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Fields are attributes of the event or, where it lacks them, of its resource. The last one is the ID: an event
	// without it has none.
	Fields  []string      `mapstructure:"fields"`
	Horizon HorizonConfig `mapstructure:"horizon"`
	// MissingID is what happens to an event without an ID: pass, or generate one.
	MissingID string `mapstructure:"missing_id"`
}

// HorizonConfig bounds what duplicates are known by. Whichever bound is reached first counts.
type HorizonConfig struct {
	Age   time.Duration `mapstructure:"age"`
	Count uint64        `mapstructure:"count"`
}

// ConsumerConfig tells one consumer.
type ConsumerConfig struct {
	// StartAt overrides the log's.
	StartAt string `mapstructure:"start_at"`
	// RenamedFrom is the pipeline's name before: it takes over that consumer's place.
	RenamedFrom string `mapstructure:"renamed_from"`
	// Removed says that the pipeline is gone for good: its positions and its state are deleted.
	Removed bool `mapstructure:"removed"`
	// Reset puts the consumer elsewhere, once for each name. What comes again is stored again.
	Reset configoptional.Optional[ResetConfig] `mapstructure:"reset"`
}

// ResetConfig is a reset by configuration.
type ResetConfig struct {
	// Name makes the reset one that happens once: a restart with the same name changes nothing.
	Name string `mapstructure:"name"`
	// To is beginning, end, or a time in RFC 3339: the first record appended at that time or later.
	To string `mapstructure:"to"`
}

// AdminConfig is where operators ask.
type AdminConfig struct {
	// Endpoint is host:port. There is no login: keep it on the loopback address.
	Endpoint string `mapstructure:"endpoint"`
}

// AcceptLostConfig is for after a disaster.
type AcceptLostConfig struct {
	Mark bool `mapstructure:"mark"`
	IDs  bool `mapstructure:"ids"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

const (
	beginning = "beginning"
	end       = "end"

	effectivelyOnce = "effectively_once"
	atLeastOnce     = "at_least_once"

	missingPass     = "pass"
	missingGenerate = "generate"

	mebibyte = 1 << 20
	gibibyte = 1 << 30
)

func createDefaultConfig() component.Config {
	return &Config{
		Directory:          "./data/log",
		StateStore:         component.MustNewID("state_store"),
		Partitions:         4,
		PartitionBy:        []string{event.FieldUser, event.FieldAnonymous, event.FieldSession},
		Compression:        "s2",
		Retention:          RetentionConfig{Age: 24 * time.Hour, Bytes: 10 * gibibyte},
		MaxBytes:           20 * gibibyte,
		MinFreeBytes:       gibibyte,
		SegmentBytes:       128 * mebibyte,
		OnFull:             "backpressure",
		Delivery:           DeliveryConfig{MaxEvents: 20_000, MaxBytes: 64 * mebibyte, MaxWait: 200 * time.Millisecond, CacheBytes: 32 * mebibyte, ShutdownGrace: 10 * time.Second},
		CheckpointInterval: 5 * time.Second,
		CheckpointBytes:    16 * mebibyte,
		TickInterval:       5 * time.Second,
		IdleTimeout:        time.Minute,
		StartAt:            beginning,
		Retry:              RetryConfig{InitialInterval: 500 * time.Millisecond, MaxInterval: 30 * time.Second},
		Deduplication: DeduplicationConfig{
			Enabled: true, Fields: []string{event.FieldTenant, event.FieldID},
			Horizon: HorizonConfig{Age: 24 * time.Hour, Count: 10_000_000}, MissingID: missingPass,
		},
		Guarantee: effectivelyOnce,
	}
}

// Bounds beyond which a number is a mistake.
const (
	minSegmentBytes = 1 << 16
	maxEvents       = 1_000_000
	maxHorizon      = 1 << 31
	minDuration     = time.Millisecond
)

// Validate names the field, its value and the mend.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	oneOf := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			fail("%s: %q is unknown: use one of %q", field, value, allowed)
		}
	}
	duration := func(field string, d time.Duration) {
		if d < minDuration { // a number without a unit is nanoseconds
			fail("%s: %s is too short: use a duration with its unit, such as 5s", field, d)
		}
	}
	if c.Directory == "" {
		fail("directory is empty: name the folder that is to hold the log, such as ./data/log")
	}
	if c.Partitions < 1 || c.Partitions > segmentlog.MaxPartitions {
		fail("partitions: %d is not between 1 and %d: use about as many as there are processors", c.Partitions, segmentlog.MaxPartitions)
	}
	if len(c.PartitionBy) > maxKeyFields {
		fail("partition_by: %d attributes are more than %d: name fewer", len(c.PartitionBy), maxKeyFields)
	}
	if slices.Contains(c.PartitionBy, "") {
		fail("partition_by has an empty name: name an attribute, such as user.id, or leave it out")
	}
	if _, ok := compressions[c.Compression]; !ok {
		fail("compression: %q is unknown: use one of %q", c.Compression, slices.Sorted(maps.Keys(compressions)))
	}
	if c.SegmentBytes < minSegmentBytes {
		fail("segment_bytes: %d is too small: use %d or more", c.SegmentBytes, minSegmentBytes)
	}
	if c.MaxBytes < 4*c.SegmentBytes {
		fail("max_bytes: %d is less than 4 segments of segment_bytes: %d: use %d or more", c.MaxBytes, c.SegmentBytes, 4*c.SegmentBytes)
	}
	if c.MinFreeBytes < 0 {
		fail("min_free_bytes: %d is negative: use 0 or more", c.MinFreeBytes)
	}
	if c.Retention.Bytes < 0 || c.Retention.Bytes > c.MaxBytes {
		fail("retention.bytes: %d is not between 0 and max_bytes: %d: lower the one or raise the other", c.Retention.Bytes, c.MaxBytes)
	}
	if c.Retention.Age > 0 {
		duration("retention.age", c.Retention.Age)
	}
	if c.Retention.Age < 0 {
		fail("retention.age: %s is negative: use 0 to keep nothing that every consumer has, or a duration such as 24h", c.Retention.Age)
	}
	oneOf("on_full", c.OnFull, "backpressure")
	oneOf("start_at", c.StartAt, beginning, end)
	oneOf("guarantee", c.Guarantee, effectivelyOnce, atLeastOnce)
	if c.Delivery.MaxEvents < 1 || c.Delivery.MaxEvents > maxEvents {
		fail("delivery.max_events: %d is not between 1 and %d: use some 20000", c.Delivery.MaxEvents, maxEvents)
	}
	if c.Delivery.MaxBytes < 1 {
		fail("delivery.max_bytes: %d is not positive: use some 67108864", c.Delivery.MaxBytes)
	}
	if c.Delivery.CacheBytes < 0 {
		fail("delivery.cache_bytes: %d is negative: use 0 for no cache", c.Delivery.CacheBytes)
	}
	if c.Delivery.MaxWait < 0 {
		fail("delivery.max_wait: %s is negative: use a duration such as 250ms", c.Delivery.MaxWait)
	} else if c.Delivery.MaxWait > 0 {
		duration("delivery.max_wait", c.Delivery.MaxWait)
	}
	duration("delivery.shutdown_grace", c.Delivery.ShutdownGrace)
	duration("checkpoint_interval", c.CheckpointInterval)
	duration("tick_interval", c.TickInterval)
	if c.IdleTimeout < 0 {
		fail("idle_timeout: %s is negative: use 0 for never, or a duration such as 1m", c.IdleTimeout)
	} else if c.IdleTimeout > 0 {
		duration("idle_timeout", c.IdleTimeout)
	}
	duration("retry_on_failure.initial_interval", c.Retry.InitialInterval)
	if c.Retry.MaxInterval < c.Retry.InitialInterval {
		fail("retry_on_failure.max_interval: %s is less than initial_interval: %s: raise it", c.Retry.MaxInterval, c.Retry.InitialInterval)
	}
	if c.CheckpointBytes < 1 {
		fail("checkpoint_bytes: %d is not positive: use some 16777216", c.CheckpointBytes)
	}
	errs = append(errs, c.Deduplication.validate(), c.validateConsumers())
	if c.Admin.HasValue() {
		if _, _, err := net.SplitHostPort(c.Admin.Get().Endpoint); err != nil {
			fail("admin.endpoint: %q is not host:port: use one such as 127.0.0.1:13134", c.Admin.Get().Endpoint)
		}
	}
	return errors.Join(errs...)
}

func (d *DeduplicationConfig) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !d.Enabled {
		return nil
	}
	if len(d.Fields) == 0 || len(d.Fields) > maxKeyFields {
		fail("deduplication.fields: %d names are not between 1 and %d: use [tenant.id, log.record.uid]", len(d.Fields), maxKeyFields)
	}
	if slices.Contains(d.Fields, "") {
		fail("deduplication.fields has an empty name: name an attribute, or leave it out")
	}
	if d.Horizon.Count < 1 || d.Horizon.Count > maxHorizon {
		fail("deduplication.horizon.count: %d is not between 1 and %d: an ID takes about 27 bytes of memory", d.Horizon.Count, maxHorizon)
	}
	if d.Horizon.Age < time.Second {
		fail("deduplication.horizon.age: %s is too short for any sender's retry: use a duration such as 24h", d.Horizon.Age)
	}
	if d.MissingID != missingPass && d.MissingID != missingGenerate {
		fail("deduplication.missing_id: %q is unknown: use pass or generate", d.MissingID)
	}
	return errors.Join(errs...)
}

func (c *Config) validateConsumers() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(c.Consumers)) {
		consumer := c.Consumers[name]
		var id pipeline.ID
		if err := id.UnmarshalText([]byte(name)); err != nil || id.Signal() != pipeline.SignalLogs {
			fail("consumers: %q is not a logs pipeline: name it as in service::pipelines, such as logs/clickhouse", name)
		}
		if s := consumer.StartAt; s != "" && s != beginning && s != end {
			fail("consumers::%s::start_at: %q is unknown: use beginning or end", name, s)
		}
		if consumer.Removed && (consumer.RenamedFrom != "" || consumer.Reset.HasValue()) {
			fail("consumers::%s::removed: a removed consumer can neither be renamed nor reset: leave one out", name)
		}
		if consumer.Reset.HasValue() {
			r := consumer.Reset.Get()
			if r.Name == "" {
				fail("consumers::%s::reset::name is empty: give one, such as today's date, so that the reset happens once", name)
			}
			if _, err := parseTarget(r.To); err != nil {
				fail("consumers::%s::reset::to: %w", name, err)
			}
		}
	}
	return errors.Join(errs...)
}

var compressions = map[string]segmentlog.Compression{"s2": segmentlog.S2, "zstd": segmentlog.Zstd, "none": segmentlog.None}

// target is where a reset goes.
type target struct {
	beginning, end bool
	at             time.Time
}

func parseTarget(s string) (target, error) {
	switch s {
	case beginning:
		return target{beginning: true}, nil
	case end:
		return target{end: true}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return target{}, fmt.Errorf("%q is neither beginning nor end nor a time: use one such as 2026-01-31T00:00:00Z", s)
	}
	return target{at: at}, nil
}
