// SPDX-License-Identifier: Apache-2.0

package parquetexporter

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/result"
)

// Config is what users set.
type Config struct {
	// Directory or S3 is where the files go.
	Directory string                                        `mapstructure:"directory"`
	S3        configoptional.Optional[objectstore.S3Config] `mapstructure:"s3"`

	// StateStore is the extension that remembers what is staged. SchemaRegistry is the one that has the schemas.
	StateStore     component.ID `mapstructure:"state_store"`
	SchemaRegistry component.ID `mapstructure:"schema_registry"`

	// PartitionBy is the folders of an event's file, by placeholders: {event_name}, {schema}, {tenant}, {date}, {hour}, {year},
	// {month}, {day}, of the event's time in UTC.
	PartitionBy string `mapstructure:"partition_by"`
	// ResultsPartitionBy is that of results, apart from the events that they were made of.
	ResultsPartitionBy string `mapstructure:"results_partition_by"`
	// FailedPartitionBy is that of failed events, by the time at which they were received.
	FailedPartitionBy string `mapstructure:"failed_partition_by"`

	// Results are what stateful processors emit.
	Results ResultsConfig `mapstructure:"results"`

	Staging   StagingConfig   `mapstructure:"staging"`
	File      FileConfig      `mapstructure:"file"`
	Retention RetentionConfig `mapstructure:"retention"`
	// Catalogue is the folder of what tells which files there are. Empty is none. Names that begin with _ are passed over by
	// readers of the files.
	Catalogue string `mapstructure:"catalogue"`
}

// ResultsConfig says what is a result.
type ResultsConfig struct {
	// Accept says whose results are taken: stages, those that a processor of this collector has made, or any.
	Accept result.Accept `mapstructure:"accept"`
}

// StagingConfig says where events wait for their file.
type StagingConfig struct {
	// Directory on a local disk that survives a restart, of this exporter alone and outside of the lake.
	Directory string `mapstructure:"directory"`
	// MaxBytes that may wait. Beyond, nothing is taken until files have left.
	MaxBytes int64 `mapstructure:"max_bytes"`
	// SegmentBytes is how large a staging file grows. It is removed when all in it has left.
	SegmentBytes int64 `mapstructure:"segment_bytes"`
}

// FileConfig says how files are made.
type FileConfig struct {
	// MaxAge is how long the first event of a file waits until it is closed, TargetBytes how large a file gets, about.
	MaxAge      time.Duration `mapstructure:"max_age"`
	TargetBytes int64         `mapstructure:"target_bytes"`
	// RowGroupRows and RowGroupBytes (before encoding) end a row group.
	RowGroupRows  int   `mapstructure:"row_group_rows"`
	RowGroupBytes int64 `mapstructure:"row_group_bytes"`
	PageBytes     int   `mapstructure:"page_bytes"`
	// CompressionLevel of zstd, 1 to 22.
	CompressionLevel int               `mapstructure:"compression_level"`
	BloomFilter      BloomFilterConfig `mapstructure:"bloom_filter"`
	// Compatibility is standard, or spark for files that Spark 3.x reads as they are.
	Compatibility string `mapstructure:"compatibility"`
	// MaxOpen files at a time. Events beyond that share files under __HIVE_DEFAULT_PARTITION__.
	MaxOpen int `mapstructure:"max_open"`
	// Writer is named in every file. Empty: the host's name.
	Writer string `mapstructure:"writer"`
}

// BloomFilterConfig says by which columns a reader can pass files over.
type BloomFilterConfig struct {
	Columns []string `mapstructure:"columns"`
	// FalsePositives is the share of row groups that are read in vain.
	FalsePositives float64 `mapstructure:"false_positives"`
}

// RetentionConfig removes old files. Zero keeps them for ever.
type RetentionConfig struct {
	// Age since a file was written.
	Age time.Duration `mapstructure:"age"`
	// Bytes of all files; the oldest are removed first.
	Bytes int64 `mapstructure:"bytes"`
	// Interval between two looks.
	Interval time.Duration `mapstructure:"interval"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

func createDefaultConfig() component.Config {
	return &Config{
		S3:                 objectstore.NewDefaultConfig().S3,
		StateStore:         component.MustNewID("state_store"),
		SchemaRegistry:     component.MustNewID("schema_registry"),
		PartitionBy:        "event_name={event_name}/date={date}/hour={hour}",
		ResultsPartitionBy: "results/event_name={event_name}/date={date}/hour={hour}",
		FailedPartitionBy:  "failed_events/event_name={event_name}/date={date}/hour={hour}",
		Results:            ResultsConfig{Accept: result.AcceptStages},
		Staging:            StagingConfig{Directory: "./data/staging", MaxBytes: 10 << 30, SegmentBytes: 64 << 20},
		File: FileConfig{
			MaxAge: 10 * time.Minute, TargetBytes: 128 << 20, RowGroupRows: 1 << 17, RowGroupBytes: 128 << 20, PageBytes: 256 << 10,
			CompressionLevel: 3, Compatibility: standard, MaxOpen: 1000,
			BloomFilter: BloomFilterConfig{
				Columns:        []string{"event_id", "user_id", "anonymous_id", "session_id", "trace_id"},
				FalsePositives: 0.01,
			},
		},
		Retention: RetentionConfig{Interval: time.Minute},
		Catalogue: "_catalogue",
	}
}

func (c *Config) destination() *objectstore.Config {
	return &objectstore.Config{Directory: c.Directory, S3: c.S3}
}

// Validate names the field, its value and the mend.
func (c *Config) Validate() error {
	errs := []error{c.destination().Validate()}
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, t := range []struct{ field, template string }{{"partition_by", c.PartitionBy}, {"results_partition_by", c.ResultsPartitionBy}, {"failed_partition_by", c.FailedPartitionBy}} {
		if _, err := parseTemplate(t.template); err != nil {
			fail("%s: %q %w", t.field, t.template, err)
		}
	}
	if err := c.Results.Accept.Validate(); err != nil {
		fail("results.accept: %w", err)
	}
	if c.Staging.Directory == "" {
		fail("staging.directory is empty: give a directory on a local disk, such as /var/lib/millrace/staging")
	}
	if c.Directory != "" && c.Staging.Directory != "" && (within(c.Staging.Directory, c.Directory) || within(c.Directory, c.Staging.Directory)) {
		fail("staging.directory: %q and directory %q lie in one another, so readers would meet what is half made: put them side by side", c.Staging.Directory, c.Directory)
	}
	for _, n := range []struct {
		field      string
		value, min int64
	}{
		{"staging.segment_bytes", c.Staging.SegmentBytes, 1 << 20},
		{"staging.max_bytes", c.Staging.MaxBytes, 2 * c.Staging.SegmentBytes},
		{"file.target_bytes", c.File.TargetBytes, 1 << 10},
		{"file.row_group_rows", int64(c.File.RowGroupRows), 1},
		{"file.row_group_bytes", c.File.RowGroupBytes, 1 << 10},
		{"file.page_bytes", int64(c.File.PageBytes), 1 << 10},
		{"file.max_open", int64(c.File.MaxOpen), 1},
	} {
		if n.value < n.min {
			fail("%s: %d is too small: use at least %d", n.field, n.value, n.min)
		}
	}
	if c.File.RowGroupBytes > 1<<30 {
		fail("file.row_group_bytes: %d is too large, a row group is made in memory: use at most %d", c.File.RowGroupBytes, 1<<30)
	}
	if c.File.RowGroupRows > 1<<23 {
		fail("file.row_group_rows: %d is too large, a row group is made in memory: use at most %d", c.File.RowGroupRows, 1<<23)
	}
	if c.File.MaxAge <= 0 {
		fail("file.max_age: %s is not positive: say how long events may wait for their file, such as 10m", c.File.MaxAge)
	}
	if l := c.File.CompressionLevel; l < 1 || l > 22 {
		fail("file.compression_level: %d is no level of zstd: use 1 to 22", l)
	}
	if k := c.File.Compatibility; k != standard && k != spark {
		fail("file.compatibility: %q is unknown: use standard or spark", k)
	}
	if p := c.File.BloomFilter.FalsePositives; len(c.File.BloomFilter.Columns) > 0 && (p < 0.0001 || p > 0.5) {
		fail("file.bloom_filter.false_positives: %v: use a share between 0.0001 and 0.5, such as 0.01", p)
	}
	if slices.Contains(c.File.BloomFilter.Columns, "") {
		fail("file.bloom_filter.columns: a name is empty: leave it out")
	}
	if c.Retention.Age < 0 || c.Retention.Bytes < 0 {
		fail("retention: age %s and bytes %d: use 0 to keep files for ever", c.Retention.Age, c.Retention.Bytes)
	}
	if c.Retention.on() && c.Directory == "" {
		fail("retention: is for a directory: give the bucket lifecycle rules instead, see docs/how-to/lake-lifecycle.md")
	}
	if c.Retention.Interval <= 0 {
		fail("retention.interval: %s is not positive: use a time such as 1m", c.Retention.Interval)
	}
	if c.Catalogue != "" {
		if err := objectstore.CheckKey(c.Catalogue); err != nil {
			fail("catalogue: %q: %w: use a name such as _catalogue", c.Catalogue, err)
		}
	}
	return errors.Join(errs...)
}

// within says whether a path is, or lies in, a directory, as far as the names tell.
func within(path, dir string) bool {
	a, err := filepath.Abs(path)
	b, err2 := filepath.Abs(dir)
	if err != nil || err2 != nil {
		return false
	}
	rest, err := filepath.Rel(b, a)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, ".."+string(filepath.Separator))
}
