// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// bucket is an S3 bucket, or what is below a prefix of it.
type bucket struct {
	core      *minio.Core
	transport *http.Transport
	name      string // of the bucket
	prefix    string // of all keys: empty, or ending with a slash
	config    S3Config
	sse       encrypt.ServerSide // nil: the bucket's own setting
	keys      [64]sync.Mutex     // by the key's hash: two Puts of one key follow one another
}

var _ Store = (*bucket)(nil)

func openS3(c *S3Config) (*bucket, error) {
	transport, err := newTransport(c)
	if err != nil {
		return nil, err
	}
	b := &bucket{transport: transport, name: c.Bucket, config: *c}
	if p := strings.Trim(c.Prefix, "/"); p != "" {
		b.prefix = p + "/"
	}
	if b.sse, err = c.SSE.serverSide(); err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupAuto // by Amazon's endpoints
	if c.PathStyle {
		lookup = minio.BucketLookupPath
	}
	b.core, err = minio.NewCore(c.Endpoint, &minio.Options{
		Creds: c.provider(), Secure: !c.Insecure, Transport: transport, Region: c.Region, BucketLookup: lookup,
		MaxRetries: c.MaxRetries + 1, // it counts attempts
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return b, nil
}

func (c *SSEConfig) serverSide() (encrypt.ServerSide, error) {
	switch c.Type {
	case sseS3:
		return encrypt.NewSSE(), nil
	case sseKMS:
		return encrypt.NewSSEKMS(c.KMSKeyID, nil)
	case sseCustomer:
		key, err := c.customerKey()
		if err != nil {
			return nil, err
		}
		return encrypt.NewSSEC(key)
	}
	return nil, nil
}

// metadataTimeout is for one request to the machine's own service for credentials, which is near or absent.
const metadataTimeout = 5 * time.Second

func (c *S3Config) provider() *credentials.Credentials {
	env := []credentials.Provider{&credentials.EnvAWS{}, &credentials.EnvMinio{}}
	file := &credentials.FileAWSCredentials{}
	iam := &credentials.IAM{Client: &http.Client{Timeout: metadataTimeout}, Region: c.Region}
	switch {
	case c.AccessKeyID != "":
		return credentials.NewStaticV4(c.AccessKeyID, string(c.SecretAccessKey), string(c.SessionToken))
	case c.Credentials == credentialsEnv:
		return credentials.NewChainCredentials(env)
	case c.Credentials == credentialsFile:
		return credentials.New(file)
	case c.Credentials == credentialsIAM:
		return credentials.New(iam)
	}
	return credentials.NewChainCredentials(append(env, file, iam))
}

func newTransport(c *S3Config) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &impatient{Conn: conn, timeout: c.Timeout}, nil
		},
		TLSHandshakeTimeout: c.Timeout, IdleConnTimeout: time.Minute,
		MaxIdleConns: 256, MaxIdleConnsPerHost: 64,
		DisableCompression: true, // an object is what was put
		TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("s3.ca_file: %w: give a file that can be read", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("s3.ca_file: %q has no certificate: give a file in PEM", c.CAFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// impatient is a connection that fails once it has stood still for the timeout. A whole upload may take as long as it needs.
type impatient struct {
	net.Conn
	timeout time.Duration
}

func (c *impatient) Read(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Write puts off the end of a Read too, which waits for an answer to what is being written.
func (c *impatient) Write(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (b *bucket) String() string {
	return fmt.Sprintf("s3://%s/%s at %s", b.name, b.prefix, b.config.Endpoint)
}

func (b *bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

func (b *bucket) check(ctx context.Context) error {
	for o := range b.list(ctx, b.prefix, 1) {
		if o.Err != nil {
			return fmt.Errorf("asking %s: %w", b, responseError(o.Err))
		}
		break
	}
	return ctx.Err()
}

// Put uploads the file, in parts if it is larger than one. The object appears when the store has all of it. Of an upload in
// parts that failed or crashed the store keeps the parts, which nobody sees and somebody pays: a failed one is aborted
// here, one that crashed when the key is put again. (A lifecycle rule is for those that never are.)
func (b *bucket) Put(ctx context.Context, key, file string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	lock := &b.keys[maphash.String(hashSeed, key)%uint64(len(b.keys))]
	lock.Lock()
	defer lock.Unlock()
	if err := b.put(ctx, key, file); err != nil {
		return fmt.Errorf("putting %s into %s: %w", key, b, responseError(err))
	}
	return nil
}

func (b *bucket) put(ctx context.Context, key, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	defer closeAll(f)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", file)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	options := minio.PutObjectOptions{ServerSideEncryption: b.sse, StorageClass: b.config.StorageClass, DisableMultipart: true}
	if path.Ext(key) == ".parquet" {
		options.ContentType = "application/vnd.apache.parquet"
	}
	size, part := info.Size(), partSize(info.Size(), b.config.PartSize)
	if size > part {
		return b.upload(ctx, b.prefix+key, f, size, part, options)
	}
	_, err = b.core.Client.PutObject(ctx, b.name, b.prefix+key, io.NewSectionReader(f, 0, size), size, options)
	return err
}

// partSize is the least size, from the configured one on, of which the file has few enough parts.
func partSize(size, configured int64) int64 {
	const step = 1 << 20
	least := (size + maxParts - 1) / maxParts
	return max(configured, (least+step-1)/step*step)
}

// abortLeftovers ends the uploads of the very key that are still open: one of ours that a crash cut off. It may lack the right
// to see them; then the lifecycle rule of the bucket does it.
func (b *bucket) abortLeftovers(ctx context.Context, object string) {
	found, err := b.core.ListMultipartUploads(ctx, b.name, object, "", "", "", 1000)
	if err != nil {
		return
	}
	for _, u := range found.Uploads {
		if u.Key == object {
			_ = b.core.AbortMultipartUpload(ctx, b.name, object, u.UploadID) // the next Put tries again
		}
	}
}

// Delete removes the object. In a versioned bucket that hides it and keeps its versions.
func (b *bucket) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := responseError(b.core.RemoveObject(ctx, b.name, b.prefix+key, minio.RemoveObjectOptions{}))
	if err != nil && !errors.Is(err, ErrNotExist) {
		return fmt.Errorf("deleting %s from %s: %w", key, b, err)
	}
	return nil
}

func (b *bucket) list(ctx context.Context, prefix string, page int) iter.Seq[minio.ObjectInfo] {
	owner := false
	return b.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{
		Prefix: prefix, Recursive: true, MaxKeys: page, FetchOwner: &owner,
	})
}

// List asks for one page of a thousand keys after another.
func (b *bucket) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield(Info{}, err)
			return
		}
		// MinIO refuses a prefix with a part "." or "..", which keys may begin with nevertheless.
		asked := prefix
		if last := path.Base(prefix); (last == "." || last == "..") && !strings.HasSuffix(prefix, "/") {
			asked = strings.TrimSuffix(prefix, last)
		}
		last := ""
		for o := range b.list(ctx, b.prefix+asked, 0) {
			if o.Err != nil {
				yield(Info{}, fmt.Errorf("listing %s: %w", b, responseError(o.Err)))
				return
			}
			key, ok := strings.CutPrefix(o.Key, b.prefix)
			if !ok || !strings.HasPrefix(key, prefix) || CheckKey(key) != nil || hidden(key, prefix) {
				continue // among them are the "directories" that some tools make, which end with a slash
			}
			if key <= last {
				yield(Info{}, fmt.Errorf("listing %s: it gives %s after %s: use a store that lists in the order of keys", b, key, last))
				return
			}
			last = key
			if !yield(Info{Key: key, Size: o.Size, Modified: o.LastModified}, nil) {
				return
			}
		}
		// The client ends silently when the context does.
		if err := ctx.Err(); err != nil {
			yield(Info{}, fmt.Errorf("listing %s: %w", b, err))
		}
	}
}
