// SPDX-License-Identifier: Apache-2.0

// Package miniotest starts a real MinIO server, on one directory, for a test, in about a second.
//
//	server := miniotest.Start(t, miniotest.Options{})
//	server.CreateBucket("lake")
//	config.Endpoint, config.AccessKeyID, config.Insecure = server.Addr, server.AccessKeyID, true
//
// It is what scripts/minio.sh builds from MinIO's Go module. Where it cannot be had, the test is skipped and says so; with
// MILLRACE_REQUIRE_MINIO=1 it fails.
package miniotest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/fetched"
	"github.com/millrace/millrace/testbed/freeport"
)

// RequireVariable makes a missing MinIO a failure instead of a skip, if it is set to anything.
const RequireVariable = "MILLRACE_REQUIRE_MINIO"

// Options of a server. The zero value is one over plain HTTP without a key for encryption.
type Options struct {
	// TLS serves HTTPS under a certificate that the server's CAFile signed.
	TLS bool
	// KMS gives the server a key of its own, called KMSKey, for the encryptions S3 and KMS.
	KMS bool
}

// KMSKey is the name of the key of a server with Options.KMS.
const KMSKey = "millrace-test"

// Server is a running MinIO. Its methods fail the test on an error, so they belong to the test's own goroutine.
type Server struct {
	Addr                         string // 127.0.0.1:port
	AccessKeyID, SecretAccessKey string // of the root user
	CAFile                       string // of Options.TLS
	DataDir                      string

	tb      testing.TB
	options Options
	binary  string
	certs   string
	log     string
	env     []string
	process *child.Process
	paused  bool
}

const (
	startTimeout   = 3 * time.Minute // a busy machine
	stopTimeout    = time.Minute
	requestTimeout = time.Minute
)

// Start runs a server until the test ends.
func Start(tb testing.TB, options Options) *Server {
	tb.Helper()
	dir := tb.TempDir()
	s := &Server{
		AccessKeyID: "millrace", SecretAccessKey: random(20), DataDir: filepath.Join(dir, "data"),
		tb: tb, options: options, binary: executable(tb), certs: filepath.Join(dir, "certs"), log: filepath.Join(dir, "minio.log"),
	}
	for _, d := range []string{s.DataDir, s.certs} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	s.Addr = freeport.Must(tb, 1)[0]
	if options.TLS {
		if err := s.certify(); err != nil {
			tb.Fatalf("making a certificate for MinIO: %v", err)
		}
	}
	s.env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MINIO_") })
	s.env = append(s.env, "MINIO_ROOT_USER="+s.AccessKeyID, "MINIO_ROOT_PASSWORD="+s.SecretAccessKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
	if options.KMS {
		var key [32]byte
		_, _ = rand.Read(key[:]) // it never fails
		s.env = append(s.env, "MINIO_KMS_SECRET_KEY="+KMSKey+":"+base64.StdEncoding.EncodeToString(key[:]))
	}
	tb.Cleanup(func() {
		if s.process == nil {
			return
		}
		_ = s.process.End(syscall.SIGKILL, stopTimeout) // nothing of it is needed any more; a paused one ends by this too
		if tb.Failed() {
			tb.Logf("the end of MinIO's log:\n%s", s.process.Tail(20))
		}
	})
	if err := s.start(); err != nil {
		tb.Fatalf("starting MinIO: %v", err)
	}
	return s
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

var it = fetched.New("MinIO", "minio.sh", RequireVariable)

// executable returns the server's path, or ends the test.
func executable(tb testing.TB) string {
	tb.Helper()
	return it.Path(tb)
}

// start returns when the server serves requests.
func (s *Server) start() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.Command(s.binary, "server", "--quiet", "--address", s.Addr, "--certs-dir", s.certs, s.DataDir)
	cmd.Env = s.env
	if s.process, err = child.Start("MinIO", cmd, log, syscall.SIGKILL); err != nil {
		return err
	}
	s.paused = false
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	transport, err := s.transport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	for {
		if s.serves(ctx, client) {
			return nil
		}
		select {
		case <-s.process.Exited():
			return s.process.Died()
		case <-ctx.Done():
			return fmt.Errorf("no answer from MinIO on %s after %s. The end of its log:\n%s", s.Addr, startTimeout, s.process.Tail(20))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// serves asks for more than the port: a server that listens may not have read its users yet.
func (s *Server) serves(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/minio/health/ready", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false
	}
	mc, err := s.client(client.Transport)
	if err != nil {
		return false
	}
	_, err = mc.ListBuckets(ctx)
	return err == nil
}

// URL of the server.
func (s *Server) URL() string {
	if s.options.TLS {
		return "https://" + s.Addr
	}
	return "http://" + s.Addr
}

func (s *Server) transport() (*http.Transport, error) {
	t := &http.Transport{}
	if s.options.TLS {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

func (s *Server) client(transport http.RoundTripper) (*minio.Client, error) {
	return minio.New(s.Addr, &minio.Options{
		Creds:  credentials.NewStaticV4(s.AccessKeyID, s.SecretAccessKey, ""),
		Secure: s.options.TLS, Transport: transport, Region: "us-east-1", BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
	})
}

// Client returns a client with the root user's rights, for what a test has to arrange or to look at from outside.
func (s *Server) Client() *minio.Client {
	s.tb.Helper()
	t, err := s.transport()
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(t.CloseIdleConnections)
	c, err := s.client(t)
	if err != nil {
		s.tb.Fatalf("making a MinIO client: %v", err)
	}
	return c
}

// CreateBucket makes an empty bucket.
func (s *Server) CreateBucket(name string) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if err := s.Client().MakeBucket(ctx, name, minio.MakeBucketOptions{}); err != nil {
		s.tb.Fatalf("creating bucket %s: %v", name, err)
	}
}

// Kill ends the server by SIGKILL and leaves it down until Restart.
func (s *Server) Kill() {
	s.tb.Helper()
	if err := s.process.End(syscall.SIGKILL, stopTimeout); err != nil {
		s.tb.Fatalf("killing MinIO: %v", err)
	}
	s.paused = false
}

// Stop ends the server in order and leaves it down until Restart.
func (s *Server) Stop() {
	s.tb.Helper()
	s.Resume()
	if err := s.process.Stop(stopTimeout); err != nil {
		s.tb.Fatalf("stopping MinIO: %v", err)
	}
}

// Restart starts the server again on the same data and address, after Stop if it runs.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		s.tb.Fatalf("starting MinIO again: %v", err)
	}
}

// Pause freezes the server: connections stay open and nothing answers, until Resume.
func (s *Server) Pause() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
	s.paused = true
	for deadline := time.Now().Add(stopTimeout); !s.stopped(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.tb.Fatalf("MinIO did not stop within %s", stopTimeout)
		}
	}
}

// stopped says whether no thread runs any more: that comes some time after the signal.
func (s *Server) stopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.PID()))
	if err != nil || len(threads) == 0 {
		return true // not Linux
	}
	for _, t := range threads {
		// 12 (minio) T …
		b, err := os.ReadFile(t)
		if i := bytes.LastIndexByte(b, ')'); err == nil && !bytes.HasPrefix(b[i+1:], []byte(" T")) {
			return false
		}
	}
	return true
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.tb.Helper()
	if s.paused {
		s.signal(syscall.SIGCONT)
		s.paused = false
	}
}

func (s *Server) signal(signal syscall.Signal) {
	s.tb.Helper()
	if err := syscall.Kill(s.process.PID(), signal); err != nil {
		s.tb.Fatalf("sending %s to MinIO: %v", signal, err)
	}
}

// PID of the server's process.
func (s *Server) PID() int { return s.process.PID() }
