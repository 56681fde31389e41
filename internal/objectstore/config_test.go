// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
)

// holder is a component's configuration that has a store.
type holder struct {
	Store Config `mapstructure:"store"`
}

func (h *holder) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, h) }

func load(t *testing.T, store map[string]any) (*Config, error) {
	t.Helper()
	h := &holder{Store: NewDefaultConfig()}
	if err := confmap.NewFromStringMap(map[string]any{"store": store}).Unmarshal(h); err != nil {
		return nil, err
	}
	return &h.Store, confmap.Validate(h)
}

func TestAMistakeIsOneLineThatNamesFieldValueAndMend(t *testing.T) {
	f := func(want string, store map[string]any) {
		t.Helper()
		_, err := load(t, store)
		require.EqualError(t, err, "store: "+want)
	}
	s3 := func(want string, fields map[string]any) {
		t.Helper()
		all := map[string]any{"bucket": "lake"}
		for k, v := range fields {
			all[k] = v
		}
		f(want, map[string]any{"s3": all})
	}
	f("directory is empty and s3 is not set: give one of them", nil)
	f(`directory: "x" is set and s3 too: give one of them`, map[string]any{"directory": "x", "s3": map[string]any{"bucket": "lake"}})
	f(`directory: "s3://lake/x" is not a path: give a directory, or a bucket as s3`, map[string]any{"directory": "s3://lake/x"})
	s3(`s3.endpoint: "http://minio:9000" has a scheme: write "minio:9000" and insecure: true`, map[string]any{"endpoint": "http://minio:9000"})
	s3(`s3.endpoint: "https://minio:9000" has a scheme: write "minio:9000"`, map[string]any{"endpoint": "https://minio:9000"})
	for _, endpoint := range []string{"", "minio:port", "minio:0", "minio:70000", "a b", "minio/x"} {
		s3(fmt.Sprintf(`s3.endpoint: %q is not host or host:port: give one such as "s3.eu-central-1.amazonaws.com" or "minio.internal:9000"`, endpoint),
			map[string]any{"endpoint": endpoint})
	}
	s3(`s3.bucket: "Lake/x" is not the name of a bucket: use 3 to 63 lower-case letters, digits, dots and hyphens`, map[string]any{"bucket": "Lake/x"})
	s3(`s3.bucket: "" is not the name of a bucket: use 3 to 63 lower-case letters, digits, dots and hyphens`, map[string]any{"bucket": ""})
	s3(`s3.prefix: "a/../b" cannot stand before keys: use at most 512 bytes, without empty, "." or ".." parts`, map[string]any{"prefix": "a/../b"})
	s3(`s3.credentials: "magic" is unknown: use static, env, file, iam or chain`, map[string]any{"credentials": "magic"})
	s3(`s3.access_key_id and secret_access_key: one of them is empty: give both`, map[string]any{"access_key_id": "a"})
	s3(`s3.access_key_id and secret_access_key: one of them is empty: give both`, map[string]any{"secret_access_key": "a"})
	s3(`s3.access_key_id and secret_access_key: one of them is empty: give both`, map[string]any{"credentials": "static"})
	s3(`s3.session_token is set without access_key_id: give all three, or none`, map[string]any{"session_token": "a"})
	s3(`s3.credentials: "env" does not use access_key_id, secret_access_key and session_token: remove them or use static`,
		map[string]any{"credentials": "env", "access_key_id": "a", "secret_access_key": "b"})
	s3(`s3.sse.type: "aes" is unknown: use none, s3, kms or customer`, map[string]any{"sse": map[string]any{"type": "aes"}})
	s3(`s3.sse.kms_key_id: "k" has no use with type s3: use type kms`, map[string]any{"sse": map[string]any{"type": "s3", "kms_key_id": "k"}})
	s3(`s3.sse.customer_key goes with type customer, and this is s3: give both or none`, map[string]any{"sse": map[string]any{"type": "s3", "customer_key": "k"}})
	s3(`s3.sse.customer_key goes with type customer, and this is customer: give both or none`, map[string]any{"sse": map[string]any{"type": "customer"}})
	s3("s3.sse.customer_key is not 32 bytes in base64: make one, such as by `openssl rand -base64 32`",
		map[string]any{"sse": map[string]any{"type": "customer", "customer_key": "secret"}})
	s3(`s3.sse.type: customer would send the key over plain HTTP, which stores refuse: use TLS and remove insecure`,
		map[string]any{"insecure": true, "sse": map[string]any{"type": "customer", "customer_key": string(customerKey(1))}})
	s3(`s3.part_size: 1000 is out of range: use 5242880 to 5368709120 bytes`, map[string]any{"part_size": 1000})
	s3(`s3.concurrency: 0 is out of range: use 1 to 64`, map[string]any{"concurrency": 0})
	s3(`s3.max_retries: -1 is out of range: use 0 to 100`, map[string]any{"max_retries": -1})
	s3(`s3.timeout: 30ns is too short: use a duration with its unit, such as 1m`, map[string]any{"timeout": 30})
	_, err := load(t, map[string]any{"s3": map[string]any{"buket": "lake"}})
	require.ErrorContains(t, err, "store.s3.buket: there is no such field: did you mean bucket?")
}

func TestWhatIsValidIsTakenWithItsDefaults(t *testing.T) {
	f := func(s3 map[string]any) *S3Config {
		t.Helper()
		c, err := load(t, map[string]any{"s3": s3})
		require.NoError(t, err)
		return c.S3.Get()
	}
	c := f(map[string]any{"bucket": "lake"})
	require.Equal(t, &S3Config{
		Endpoint: "s3.amazonaws.com", Bucket: "lake", SSE: SSEConfig{Type: "none"},
		PartSize: 16 << 20, Concurrency: 4, MaxRetries: 4, Timeout: time.Minute,
	}, c)
	for _, endpoint := range []string{"localhost:9000", "127.0.0.1:9000", "[::1]:9000", "minio", "s3.eu-central-1.amazonaws.com", "minio.svc.cluster.local:443"} {
		require.Equal(t, endpoint, f(map[string]any{"bucket": "lake", "endpoint": endpoint}).Endpoint)
	}
	c = f(map[string]any{"bucket": "lake", "access_key_id": "a", "secret_access_key": "hidden", "sse": map[string]any{"type": "customer", "customer_key": string(customerKey(7))}})
	text := fmt.Sprintf("%v %+v", c, c)
	require.NotContains(t, text, "hidden")
	require.NotContains(t, text, string(customerKey(7)))

	d, err := load(t, map[string]any{"directory": "lake"})
	require.NoError(t, err)
	s, err := d.Open(t.Context())
	require.NoError(t, err)
	abs, err := filepath.Abs("lake")
	require.NoError(t, err)
	require.Equal(t, "directory "+abs, s.String())
	require.NoDirExists(t, abs, "opening makes nothing")
}

func TestOpenRefusesCertificatesThatAreNone(t *testing.T) {
	f := func(file, want string) {
		t.Helper()
		c, err := load(t, map[string]any{"s3": map[string]any{"bucket": "lake", "ca_file": file}})
		require.NoError(t, err)
		_, err = c.Open(t.Context())
		require.ErrorContains(t, err, want)
	}
	f(filepath.Join(t.TempDir(), "none"), "s3.ca_file: open")
	f(source(t, []byte("no certificate")), "has no certificate: give a file in PEM")
}

func TestErrorsAreClassed(t *testing.T) {
	f := func(want bool, err error) {
		t.Helper()
		require.Equal(t, want, IsPermanent(err), "%v", err)
		require.Equal(t, want, IsPermanent(fmt.Errorf("putting it: %w", err)), "%v", err)
	}
	response := func(status int, code string) error { return minio.ErrorResponse{StatusCode: status, Code: code} }
	for _, code := range []string{"NoSuchBucket", "AccessDenied", "KMS.NotFoundException", "kms:KeyNotFound", "NotImplemented"} {
		f(true, response(0, code))
	}
	for _, status := range []int{400, 401, 403, 405, 301, 501} {
		f(true, response(status, "Unheard"))
	}
	for _, status := range []int{0, 404, 408, 409, 412, 425, 429, 499, 500, 502, 503, 504, 507, 520} {
		f(false, response(status, "Unheard"))
	}
	for _, code := range []string{"SlowDown", "ExpiredToken", "RequestTimeout", "NoSuchUpload", "BadDigest"} {
		f(false, response(400, code))
	}
	f(false, errors.New("unheard"))
	f(false, syscall.ECONNREFUSED)
	f(false, ErrFull)
	f(false, ErrNotExist)
	f(true, syscall.EACCES)
	f(true, ErrKey)
	require.False(t, IsPermanent(nil))

	for _, eof := range []error{io.EOF, io.ErrUnexpectedEOF} {
		err := responseError(&url.Error{Op: "Get", URL: "http://x", Err: eof})
		require.NotErrorIs(t, err, eof, "a reader would take it for the object's end")
		require.ErrorContains(t, err, `the answer is cut off: Get "http://x": `)
		f(false, err)
	}
}

func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"a/b", "", "/", "..", "a/../b", ".put/x", "_x", "ä", "\xff", "a\\b", strings.Repeat("x", 300)} {
		f.Add(seed, seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, key, prefix string) {
		s := localStore(t, filepath.Join(dir, "store"))
		err := CheckKey(key)
		path := source(t, []byte("x"))
		if putErr := s.Put(t.Context(), key, path); err != nil {
			require.ErrorIs(t, putErr, ErrKey)
			return
		} else if putErr != nil {
			require.True(t, IsPermanent(putErr), "%v", putErr) // a file stands where it needs a directory
			return
		}
		require.Equal(t, "x", string(get(t, s, key)))
		want := strings.HasPrefix(key, prefix) && !hidden(key, prefix)
		got := false
		for info, err := range s.List(t.Context(), prefix) {
			if err != nil {
				require.ErrorIs(t, err, ErrKey)
				want = false
				break
			}
			got = got || info.Key == key
		}
		require.Equal(t, want, got)
		require.NoError(t, s.Delete(t.Context(), key))
		// Whatever the key was, nothing came to stand beside the store.
		require.Equal(t, []string{"store"}, files(t, dir)[:1])
		for _, file := range files(t, dir) {
			require.True(t, file == "store" || file == filepath.Join("store", scratch), file)
		}
	})
}
