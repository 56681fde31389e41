// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
)

// Config says where objects are kept: exactly one of a directory and a bucket.
type Config struct {
	// Directory on a local disk, or one mounted like it. It is made when the first object is put.
	Directory string `mapstructure:"directory"`
	// S3 is a bucket of Amazon S3, MinIO or another store that speaks its protocol.
	S3 configoptional.Optional[S3Config] `mapstructure:"s3"`
}

// S3Config is a bucket, or what is below a prefix of it.
type S3Config struct {
	// Endpoint is host or host:port, without a scheme.
	Endpoint string `mapstructure:"endpoint"`
	Bucket   string `mapstructure:"bucket"`
	// Prefix comes before all keys, with a slash between.
	Prefix string `mapstructure:"prefix"`
	// Region of the bucket. Empty asks the store for it, which takes the right s3:GetBucketLocation.
	Region string `mapstructure:"region"`
	// PathStyle writes endpoint/bucket/key instead of bucket.endpoint/key.
	PathStyle bool `mapstructure:"path_style"`
	// Insecure sends over plain HTTP.
	Insecure bool `mapstructure:"insecure"`
	// CAFile has certificates, PEM, that are trusted beside the system's.
	CAFile string `mapstructure:"ca_file"`

	// Credentials is where the keys come from: static (the three fields below), env, file (~/.aws/credentials), iam (the
	// machine's or pod's role) or chain (env, file and iam, the first that has any). Empty is static where access_key_id is
	// set, else chain.
	Credentials     string              `mapstructure:"credentials"`
	AccessKeyID     string              `mapstructure:"access_key_id"`
	SecretAccessKey configopaque.String `mapstructure:"secret_access_key"`
	SessionToken    configopaque.String `mapstructure:"session_token"`

	SSE SSEConfig `mapstructure:"sse"`
	// StorageClass of what is put, such as STANDARD_IA. Empty is the bucket's.
	StorageClass string `mapstructure:"storage_class"`

	// PartSize in bytes: a larger file is uploaded in parts of it.
	PartSize int64 `mapstructure:"part_size"`
	// Concurrency is how many parts of one file are uploaded at a time.
	Concurrency int `mapstructure:"concurrency"`
	// MaxRetries is how often one request is tried again, within some seconds, before its caller hears of it.
	MaxRetries int `mapstructure:"max_retries"`
	// Timeout is how long a connection may stand still.
	Timeout time.Duration `mapstructure:"timeout"`
}

// SSEConfig is server-side encryption.
type SSEConfig struct {
	// Type is none (the bucket's own setting holds), s3, kms or customer.
	Type string `mapstructure:"type"`
	// KMSKeyID names the key of type kms. Empty is the store's default key.
	KMSKeyID string `mapstructure:"kms_key_id"`
	// CustomerKey is the key of type customer: 32 bytes in base64. Without it nobody can read what was put.
	CustomerKey configopaque.String `mapstructure:"customer_key"`
}

// What S3Config.Credentials may be.
const (
	credentialsStatic = "static"
	credentialsEnv    = "env"
	credentialsFile   = "file"
	credentialsIAM    = "iam"
	credentialsChain  = "chain"
)

// What SSEConfig.Type may be.
const (
	sseNone     = "none"
	sseS3       = "s3"
	sseKMS      = "kms"
	sseCustomer = "customer"
)

const (
	minPartSize = 5 << 20 // S3's own
	maxPartSize = 5 << 30
	maxParts    = 10_000
	minTimeout  = 100 * time.Millisecond // a number without a unit is nanoseconds
)

// NewDefaultConfig returns a Config that names no store yet.
func NewDefaultConfig() Config {
	return Config{S3: configoptional.Default(S3Config{
		Endpoint: "s3.amazonaws.com", SSE: SSEConfig{Type: sseNone},
		PartSize: 16 << 20, Concurrency: 4, MaxRetries: 4, Timeout: time.Minute,
	})}
}

// Validate names the field, its value and the mend.
func (c *Config) Validate() error {
	switch {
	case c.Directory == "" && !c.S3.HasValue():
		return errors.New("directory is empty and s3 is not set: give one of them")
	case c.Directory != "" && c.S3.HasValue():
		return fmt.Errorf("directory: %q is set and s3 too: give one of them", c.Directory)
	case c.S3.HasValue():
		return c.S3.Get().validate()
	case strings.Contains(c.Directory, "://"):
		return fmt.Errorf("directory: %q is not a path: give a directory, or a bucket as s3", c.Directory)
	}
	return nil
}

func (c *S3Config) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("s3."+format, args...)) }
	switch scheme, rest, found := strings.Cut(c.Endpoint, "://"); {
	case found && scheme == "http" && !c.Insecure:
		fail("endpoint: %q has a scheme: write %q and insecure: true", c.Endpoint, rest)
	case found:
		fail("endpoint: %q has a scheme: write %q", c.Endpoint, rest)
	case !validEndpoint(c.Endpoint):
		fail(`endpoint: %q is not host or host:port: give one such as "s3.eu-central-1.amazonaws.com" or "minio.internal:9000"`, c.Endpoint)
	}
	if err := s3utils.CheckValidBucketName(c.Bucket); err != nil {
		fail("bucket: %q is not the name of a bucket: use 3 to 63 lower-case letters, digits, dots and hyphens", c.Bucket)
	}
	if p := strings.Trim(c.Prefix, "/"); p != "" {
		if err := CheckKey(p); err != nil || len(p) > 512 {
			fail(`prefix: %q cannot stand before keys: use at most 512 bytes, without empty, "." or ".." parts`, c.Prefix)
		}
	}
	switch c.Credentials {
	case "", credentialsStatic, credentialsEnv, credentialsFile, credentialsIAM, credentialsChain:
	default:
		fail("credentials: %q is unknown: use static, env, file, iam or chain", c.Credentials)
	}
	if static := c.Credentials == credentialsStatic || c.Credentials == ""; static {
		if (c.AccessKeyID == "") != (c.SecretAccessKey == "") || c.Credentials != "" && c.AccessKeyID == "" {
			fail("access_key_id and secret_access_key: one of them is empty: give both")
		}
		if c.SessionToken != "" && c.AccessKeyID == "" {
			fail("session_token is set without access_key_id: give all three, or none")
		}
	} else if c.AccessKeyID != "" || c.SecretAccessKey != "" || c.SessionToken != "" {
		fail("credentials: %q does not use access_key_id, secret_access_key and session_token: remove them or use static", c.Credentials)
	}
	errs = append(errs, c.SSE.validate(c.Insecure))
	if c.PartSize < minPartSize || c.PartSize > maxPartSize {
		fail("part_size: %d is out of range: use %d to %d bytes", c.PartSize, minPartSize, int64(maxPartSize))
	}
	if c.Concurrency < 1 || c.Concurrency > 64 {
		fail("concurrency: %d is out of range: use 1 to 64", c.Concurrency)
	}
	if c.MaxRetries < 0 || c.MaxRetries > 100 {
		fail("max_retries: %d is out of range: use 0 to 100", c.MaxRetries)
	}
	if c.Timeout < minTimeout {
		fail("timeout: %s is too short: use a duration with its unit, such as 1m", c.Timeout)
	}
	return errors.Join(errs...)
}

func validEndpoint(endpoint string) bool {
	host := endpoint
	if h, port, err := net.SplitHostPort(endpoint); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return false
		}
		host = h
	}
	return host != "" && !strings.ContainsAny(host, " \t\r\n") && (s3utils.IsValidDomain(host) || s3utils.IsValidIP(host))
}

func (c *SSEConfig) validate(insecure bool) error {
	switch c.Type {
	case sseNone, sseS3, sseKMS, sseCustomer:
	default:
		return fmt.Errorf("s3.sse.type: %q is unknown: use none, s3, kms or customer", c.Type)
	}
	if c.KMSKeyID != "" && c.Type != sseKMS {
		return fmt.Errorf("s3.sse.kms_key_id: %q has no use with type %s: use type kms", c.KMSKeyID, c.Type)
	}
	if (c.CustomerKey != "") != (c.Type == sseCustomer) {
		return fmt.Errorf("s3.sse.customer_key goes with type customer, and this is %s: give both or none", c.Type)
	}
	if c.Type == sseCustomer {
		if _, err := c.customerKey(); err != nil {
			return err
		}
		if insecure {
			return errors.New("s3.sse.type: customer would send the key over plain HTTP, which stores refuse: use TLS and remove insecure")
		}
	}
	return nil
}

func (c *SSEConfig) customerKey() ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(string(c.CustomerKey))
	if err != nil || len(key) != 32 {
		return nil, errors.New("s3.sse.customer_key is not 32 bytes in base64: make one, such as by `openssl rand -base64 32`")
	}
	return key, nil
}

// Open returns the store. It checks what can be checked without it: a store that is away is one whose methods fail, until
// it is there again. See Check. The context is not kept.
func (c *Config) Open(ctx context.Context) (Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.Directory != "" {
		return openLocal(c.Directory)
	}
	return openS3(c.S3.Get())
}

// Check asks whether the store is there and lets itself be listed. A directory that is not there yet is an error here, as a
// bucket is, though it lists as empty.
func Check(ctx context.Context, s Store) error {
	if c, ok := s.(interface{ check(context.Context) error }); ok {
		return c.check(ctx)
	}
	return nil
}
