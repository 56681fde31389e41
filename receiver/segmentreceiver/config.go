// SPDX-License-Identifier: Apache-2.0

package segmentreceiver

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/httpingest"
)

// Config is the receiver's configuration.
type Config struct {
	// ServerConfig is the HTTP server: address, TLS, CORS, compression, time-outs, an authentication extension.
	confighttp.ServerConfig `mapstructure:",squash"`

	// WriteKeys lists who may send. Required.
	WriteKeys []httpingest.WriteKey `mapstructure:"write_keys"`

	// MaxBatchEvents is how many messages one request may hold. Default: 10,000.
	MaxBatchEvents int `mapstructure:"max_batch_events"`

	// MaxConcurrentRequests is how many requests are worked on at once; one more is answered with 429. Default: 1,000.
	MaxConcurrentRequests int `mapstructure:"max_concurrent_requests"`

	// MaxBytesInFlight is how many bytes of bodies, decompressed and with messageBytes for each message, are held
	// at once; what would be more is answered with 429. Default: 16 MiB.
	MaxBytesInFlight int64 `mapstructure:"max_bytes_in_flight"`

	// RetryAfter is sent with 429 and 503 as the time after which a sender may try again. Default: 10 s.
	RetryAfter time.Duration `mapstructure:"retry_after"`

	// GenerateMissingIDs gives a random ID to a message that has no messageId. Such an ID differs at every
	// attempt, so it cannot show that a message was sent twice. Default: true.
	GenerateMissingIDs bool `mapstructure:"generate_missing_ids"`

	// CorrectClockSkew replaces a message's time by the time received less the time between timestamp and sentAt
	// by the sender's clock, as Segment does. Default: false.
	CorrectClockSkew bool `mapstructure:"correct_clock_skew"`

	// PublicURL is where browsers reach this receiver, such as https://events.example.com. It is told to browser
	// SDKs in their settings. Default: the address that the settings were asked from.
	PublicURL string `mapstructure:"public_url"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var (
	_ component.Config  = (*Config)(nil)
	_ confmap.Validator = (*Config)(nil)

	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

const (
	defaultEndpoint              = "127.0.0.1:8181"
	defaultMaxRequestBodySize    = 5 << 20
	defaultMaxBatchEvents        = 10_000
	defaultMaxConcurrentRequests = 1000 // each waits for the pipeline; their memory is bounded by bytes
	defaultMaxBytesInFlight      = 16 << 20
	defaultRetryAfter            = 10 * time.Second

	maxRetryAfter = 300 * time.Second // SDKs do not wait longer
)

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = defaultEndpoint
	server.MaxRequestBodySize = defaultMaxRequestBodySize
	// What SDKs send. Of the others zstd and lz4 let a few bytes demand up to 512 MiB of window, and snappy reads
	// bodies before their sender is known and outside every bound.
	server.CompressionAlgorithms = []string{"", "gzip", "zlib", "deflate"}
	server.ReadHeaderTimeout = 10 * time.Second
	server.ReadTimeout = 30 * time.Second
	server.WriteTimeout = time.Minute
	server.IdleTimeout = time.Minute
	// What browser SDKs send; without these a preflight fails. Origins are the operator's to name.
	cors := confighttp.NewDefaultCORSConfig()
	cors.AllowedHeaders = []string{"Authorization", "Content-Type", "Content-Encoding", "X-Retry-Count"}
	cors.ExposedHeaders = []string{"Retry-After"}
	cors.MaxAge = 7200
	server.CORS = configoptional.Default(cors)
	return &Config{
		ServerConfig:          server,
		MaxBatchEvents:        defaultMaxBatchEvents,
		MaxConcurrentRequests: defaultMaxConcurrentRequests,
		MaxBytesInFlight:      defaultMaxBytesInFlight,
		RetryAfter:            defaultRetryAfter,
		GenerateMissingIDs:    true,
	}
}

// Validate checks the configuration. Every error names the field, its value and the mend.
func (c *Config) Validate() error {
	return errors.Join(
		httpingest.ValidateHTTP(&c.ServerConfig),
		httpingest.ValidateWriteKeys(c.WriteKeys),
		atLeastOne("max_batch_events", c.MaxBatchEvents),
		atLeastOne("max_concurrent_requests", c.MaxConcurrentRequests),
		c.validateMaxBytesInFlight(),
		c.validateRetryAfter(),
		c.validatePublicURL(),
	)
}

func atLeastOne(name string, n int) error {
	if n < 1 {
		return fmt.Errorf("%s is %d: give a number of at least 1", name, n)
	}
	return nil
}

func (c *Config) validateMaxBytesInFlight() error {
	least := c.MaxRequestBodySize + messageBytes*int64(c.MaxBatchEvents)
	if c.MaxBytesInFlight < least {
		return fmt.Errorf("max_bytes_in_flight is %d: give at least %d (max_request_body_size + %d × max_batch_events), or the largest request never passes",
			c.MaxBytesInFlight, least, messageBytes)
	}
	return nil
}

func (c *Config) validateRetryAfter() error {
	if c.RetryAfter < time.Second || c.RetryAfter > maxRetryAfter {
		return fmt.Errorf("retry_after is %s: give a time from 1s to %s", c.RetryAfter, maxRetryAfter)
	}
	return nil
}

func (c *Config) validatePublicURL() error {
	if c.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("public_url is %q: give scheme and host, such as https://events.example.com", c.PublicURL)
	}
	return nil
}
