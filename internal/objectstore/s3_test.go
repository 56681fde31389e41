// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/millrace/millrace/testbed/miniotest"
)

// s3Config is of a bucket of the server, with what a test changes of it.
func s3Config(server *miniotest.Server, bucket string, change func(c *S3Config)) *Config {
	c := NewDefaultConfig()
	s := *c.S3.GetOrInsertDefault()
	s.Endpoint, s.Bucket, s.Region, s.PathStyle = server.Addr, bucket, "us-east-1", true
	s.AccessKeyID, s.SecretAccessKey = server.AccessKeyID, configopaque.String(server.SecretAccessKey)
	s.Insecure, s.CAFile = server.CAFile == "", server.CAFile
	s.MaxRetries, s.Timeout = 1, 10*time.Second
	if change != nil {
		change(&s)
	}
	c.S3 = configoptional.Some(s)
	return &c
}

func s3Store(t testing.TB, c *Config) *bucket {
	t.Helper()
	s, err := c.Open(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s.(*bucket)
}

var buckets atomic.Int64

// newBucket returns an empty bucket of a server that a whole test shares.
func newBucket(server *miniotest.Server) string {
	name := fmt.Sprintf("lake-%d", buckets.Add(1))
	server.CreateBucket(name)
	return name
}

func TestABucketKeepsTheContract(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	testContract(t, func(t *testing.T) Store {
		t.Helper()
		return s3Store(t, s3Config(server, newBucket(server), nil))
	})
}

func TestAPrefixOverTLSWithACustomersKeyKeepsTheContract(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{TLS: true})
	name := newBucket(server)
	n := 0
	testContract(t, func(t *testing.T) Store {
		t.Helper()
		n++
		return s3Store(t, s3Config(server, name, func(c *S3Config) {
			c.Prefix = fmt.Sprintf("/_lake/%d/", n)
			c.SSE = SSEConfig{Type: sseCustomer, CustomerKey: customerKey(1)}
			c.Region = "" // it is asked for
		}))
	})
}

func customerKey(b byte) configopaque.String {
	return configopaque.String(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)))
}

func TestALargeFileIsUploadedInPartsAndAppearsAtTheEnd(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	s := s3Store(t, s3Config(server, name, func(c *S3Config) { c.PartSize = 5 << 20 }))
	content := random(12 << 20)
	put(t, s, "a/big.parquet", content)
	require.True(t, bytes.Equal(content, get(t, s, "a/big.parquet")))
	info, err := server.Client().StatObject(t.Context(), name, "a/big.parquet", minio.StatObjectOptions{})
	require.NoError(t, err)
	require.Equal(t, "application/vnd.apache.parquet", info.ContentType)
	require.Contains(t, info.ETag, "-3", "three parts")
	require.Equal(t, []string{"a/big.parquet"}, keys(t, s, ""))
}

func openUploads(t *testing.T, server *miniotest.Server, name, object string) (ids []string) {
	t.Helper()
	core := minio.Core{Client: server.Client()}
	found, err := core.ListMultipartUploads(t.Context(), name, object, "", "", "", 100)
	require.NoError(t, err)
	for _, u := range found.Uploads {
		ids = append(ids, u.UploadID)
	}
	return ids
}

func TestAnUploadThatACrashCutOffIsUnseenAndAbortedByTheNextPutOfTheKey(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	s := s3Store(t, s3Config(server, name, func(c *S3Config) { c.PartSize, c.Prefix = 5<<20, "lake" }))
	core := minio.Core{Client: server.Client()}
	leave := func(object string) string {
		id, err := core.NewMultipartUpload(t.Context(), name, object, minio.PutObjectOptions{})
		require.NoError(t, err)
		_, err = core.PutObjectPart(t.Context(), name, object, id, 1, bytes.NewReader(random(5<<20)), 5<<20, minio.PutObjectPartOptions{})
		require.NoError(t, err)
		return id
	}
	mine, another := leave("lake/a/b"), leave("lake/a/bc")
	require.Empty(t, keys(t, s, ""))
	require.Equal(t, []string{mine}, openUploads(t, server, name, "lake/a/b"))

	put(t, s, "a/b", random(6<<20))
	require.Empty(t, openUploads(t, server, name, "lake/a/b"))
	require.Equal(t, []string{another}, openUploads(t, server, name, "lake/a/bc"))
	require.Equal(t, []string{"a/b"}, keys(t, s, ""))
}

func TestAPutThatIsCancelledAbortsItsUpload(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	s := s3Store(t, s3Config(server, name, func(c *S3Config) { c.PartSize, c.Concurrency = 5<<20, 1 }))
	ctx, cancel := context.WithCancel(t.Context())
	path := source(t, nil)
	require.NoError(t, os.Truncate(path, 16<<30)) // of holes: uploading it would take until it is cancelled, whenever that is
	result := make(chan error)
	go func() { result <- s.Put(ctx, "big", path) }()
	require.Eventually(t, func() bool { return len(openUploads(t, server, name, "big")) == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	require.Empty(t, openUploads(t, server, name, "big"))
	require.Empty(t, keys(t, s, ""))
}

func TestAStoreThatIsAwayIsARetryableErrorAndTheRetrySucceeds(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	s := s3Store(t, s3Config(server, name, func(c *S3Config) { c.PartSize, c.MaxRetries, c.Timeout = 5<<20, 0, time.Second }))
	big, small := random(6<<20), random(1000)
	put(t, s, "a/before", random(2*tailBytes))
	o, err := s.Open(t.Context(), "a/before")
	require.NoError(t, err)
	defer func() { require.NoError(t, o.Close()) }()
	// Files of their own: nothing moves them, so each can be put again.
	bigPath, smallPath := source(t, big), source(t, small)
	fails := func() {
		t.Helper()
		// Side by side, since each waits for the timeout.
		var wg sync.WaitGroup
		for what, call := range map[string]func() error{
			"put":   func() error { return s.Put(t.Context(), "a/small", smallPath) },
			"parts": func() error { return s.Put(t.Context(), "a/big", bigPath) },
			"read":  func() error { _, err := o.ReadAt(make([]byte, 10), 0); return err },
			"open":  func() error { _, err := s.Open(t.Context(), "a/before"); return err },
			"list": func() (err error) {
				for _, err = range s.List(t.Context(), "") {
				}
				return err
			},
			"delete": func() error { return s.Delete(t.Context(), "a/none") }, // what is asked for now may be done later
			"check":  func() error { return Check(t.Context(), s) },
		} {
			wg.Go(func() {
				if err := call(); err == nil || IsPermanent(err) || errors.Is(err, ErrNotExist) {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		wg.Wait()
	}
	works := func() {
		t.Helper()
		again := func(call func() error) { // a server that is there may take its second too
			t.Helper()
			require.Eventually(t, func() bool { return call() == nil }, time.Minute, 10*time.Millisecond)
		}
		again(func() error { return Check(t.Context(), s) })
		again(func() error { return s.Put(t.Context(), "a/small", smallPath) })
		again(func() error { return s.Put(t.Context(), "a/big", bigPath) })
		require.True(t, bytes.Equal(big, get(t, s, "a/big")))
		require.Equal(t, small, get(t, s, "a/small"))
		_, err := o.ReadAt(make([]byte, 10), 0)
		require.NoError(t, err)
		require.NoError(t, s.Delete(t.Context(), "a/small"))
	}
	server.Kill()
	fails()
	server.Restart()
	works()
	server.Pause() // no refusal: connections stand still
	fails()
	server.Resume()
	works()
}

func TestAStoreThatIsAwayAtTheStartIsOpened(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	server.Stop()
	s := s3Store(t, s3Config(server, name, nil))
	err := Check(t.Context(), s)
	require.ErrorContains(t, err, "asking s3://"+name+"/ at "+server.Addr)
	require.False(t, IsPermanent(err))
	server.Restart()
	require.NoError(t, Check(t.Context(), s))
	put(t, s, "k", []byte("x"))
}

func TestAWrongConfigurationIsAPermanentErrorThatNamesItsCode(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{TLS: true})
	name := newBucket(server)
	f := func(code string, change func(c *S3Config)) {
		t.Helper()
		s := s3Store(t, s3Config(server, name, change))
		_, openErr := s.Open(t.Context(), "k")
		var listErr error
		for _, err := range s.List(t.Context(), "") {
			listErr = err
		}
		for _, err := range []error{s.Put(t.Context(), "k", source(t, []byte("x"))), openErr, listErr, Check(t.Context(), s)} {
			require.ErrorContains(t, err, code)
			require.True(t, IsPermanent(err), err)
			require.NotErrorIs(t, err, ErrNotExist)
			require.NotContains(t, err.Error(), server.SecretAccessKey)
		}
	}
	f("NoSuchBucket", func(c *S3Config) { c.Bucket = "another" })
	f("NoSuchBucket", func(c *S3Config) { c.Bucket, c.Region = "another", "" })
	f("InvalidAccessKeyId", func(c *S3Config) { c.AccessKeyID = "somebody" })
	f("SignatureDoesNotMatch", func(c *S3Config) { c.SecretAccessKey = "wrong-secret" })
	f("unknown authority", func(c *S3Config) { c.CAFile = "" })
	f("AccessDenied", func(c *S3Config) { c.AccessKeyID, c.SecretAccessKey, c.Credentials = "", "", credentialsEnv }) // nobody

	plain := miniotest.Start(t, miniotest.Options{})
	f("server gave HTTP response to HTTPS client", func(c *S3Config) { c.Endpoint = plain.Addr })
}

func TestEncryptionIsAskedForAndCustomersKeysAreNeededToRead(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{TLS: true, KMS: true})
	name := newBucket(server)
	f := func(key string, sse SSEConfig, header, want string) *bucket {
		t.Helper()
		s := s3Store(t, s3Config(server, name, func(c *S3Config) { c.SSE, c.PartSize = sse, 5<<20 }))
		for suffix, content := range map[string][]byte{"small": random(100), "tail": random(3 * tailBytes), "big": random(11 << 20)} {
			put(t, s, key+suffix, content)
			require.True(t, bytes.Equal(content, get(t, s, key+suffix)))
			options := minio.StatObjectOptions{}
			if sse.Type == sseCustomer {
				options.ServerSideEncryption = s.sse
			}
			info, err := server.Client().StatObject(t.Context(), name, key+suffix, options)
			require.NoError(t, err)
			require.Equal(t, want, info.Metadata.Get(header), key+suffix)
		}
		return s
	}
	const header, customer = "X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Customer-Algorithm"
	f("none/", SSEConfig{Type: sseNone}, header, "")
	f("s3/", SSEConfig{Type: sseS3}, header, "AES256")
	f("kms/", SSEConfig{Type: sseKMS, KMSKeyID: miniotest.KMSKey}, header, "aws:kms")
	f("customer/", SSEConfig{Type: sseCustomer, CustomerKey: customerKey(1)}, customer, "AES256")

	for _, sse := range []SSEConfig{{Type: sseNone}, {Type: sseCustomer, CustomerKey: customerKey(2)}} {
		other := s3Store(t, s3Config(server, name, func(c *S3Config) { c.SSE = sse }))
		_, err := other.Open(t.Context(), "customer/small")
		require.Error(t, err)
		require.True(t, IsPermanent(err), err)
	}
	missing := s3Store(t, s3Config(server, name, func(c *S3Config) { c.SSE = SSEConfig{Type: sseKMS, KMSKeyID: "no-such-key"} }))
	err := missing.Put(t.Context(), "k", source(t, []byte("x")))
	require.Error(t, err)
	require.True(t, IsPermanent(err), err)
}

func TestCredentialsComeFromWhereTheConfigurationSays(t *testing.T) {
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	for _, v := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "MINIO_ACCESS_KEY", "MINIO_ROOT_USER"} {
		t.Setenv(v, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	f := func(credentials string) {
		t.Helper()
		s := s3Store(t, s3Config(server, name, func(c *S3Config) {
			c.AccessKeyID, c.SecretAccessKey, c.Credentials = "", "", credentials
		}))
		require.NoError(t, Check(t.Context(), s), credentials)
	}
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n",
		server.AccessKeyID, server.SecretAccessKey), 0o600))
	f(credentialsFile)
	f(credentialsChain)
	f("")
	require.NoError(t, os.Remove(file))
	t.Setenv("AWS_ACCESS_KEY_ID", server.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.SecretAccessKey)
	f(credentialsEnv)
	f(credentialsChain)
	f("")
}

func TestAVersionedBucketIsReadAsItIsNow(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	require.NoError(t, server.Client().EnableVersioning(t.Context(), name))
	s := s3Store(t, s3Config(server, name, nil))
	put(t, s, "k", []byte("old"))
	put(t, s, "k", []byte("new"))
	put(t, s, "gone", []byte("x"))
	require.NoError(t, s.Delete(t.Context(), "gone"))
	require.Equal(t, "new", string(get(t, s, "k")))
	require.Equal(t, []string{"k"}, keys(t, s, ""))
	_, err := s.Open(t.Context(), "gone")
	require.ErrorIs(t, err, ErrNotExist)
}

func TestMoreThanAPageOfKeysIsListed(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	s := s3Store(t, s3Config(server, name, nil))
	path := source(t, []byte("x"))
	const n = 1050
	var wg sync.WaitGroup
	for first := range 10 {
		wg.Go(func() {
			for i := first; i < n; i += 10 {
				if err := s.Put(t.Context(), fmt.Sprintf("date=%d/%04d", i%3, i), path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all := keys(t, s, "")
	require.Len(t, all, n)
	require.Len(t, keys(t, s, "date=1/"), n/3)
}

func TestPartsAreFewEnough(t *testing.T) {
	f := func(size, configured, want int64) {
		t.Helper()
		require.Equal(t, want, partSize(size, configured))
		require.LessOrEqual(t, size, want*maxParts)
	}
	f(0, 5<<20, 5<<20)
	f(1<<30, 5<<20, 5<<20)
	f(10_000*5<<20, 5<<20, 5<<20)
	f(10_000*5<<20+1, 5<<20, 6<<20)
	f(5<<40, 16<<20, 525<<20)
}
