// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lake"
)

// store is a MinIO that the lake is in. It belongs to one goroutine.
type store struct {
	binary, addr, dir string
	user, secret      string
	client            *minio.Client
	process           *child.Process // nil while it is down
}

const bucketName = "lake"

// errNoStore says why there is no MinIO.
var errNoStore = errors.New("no MinIO can be had here")

// newStore starts one, empty.
func newStore(ctx context.Context, root, dir string) (*store, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", "minio.sh"))
	cmd.Stderr = &said
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		return nil, fmt.Errorf("%w: %s", errNoStore, strings.TrimSpace(said.String()))
	}
	if err != nil {
		return nil, fmt.Errorf("building MinIO: %w\n%s", err, said.String())
	}
	addrs, err := freeport.Addrs(1)
	if err != nil {
		return nil, err
	}
	var secret [20]byte
	_, _ = rand.Read(secret[:]) // it never fails
	s := &store{binary: strings.TrimSpace(string(out)), addr: addrs[0], dir: dir, user: "millrace", secret: hex.EncodeToString(secret[:])}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		return nil, fmt.Errorf("preparing MinIO: %w", err)
	}
	s.client, err = minio.New(s.addr, &minio.Options{
		Creds: credentials.NewStaticV4(s.user, s.secret, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("making a client of MinIO: %w", err)
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	if err := s.client.MakeBucket(ctx, bucketName, minio.MakeBucketOptions{}); err != nil {
		return nil, errors.Join(fmt.Errorf("making a bucket: %w", err), s.end(syscall.SIGKILL))
	}
	return s, nil
}

// start returns when it answers.
func (s *store) start(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "minio.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting MinIO: %w", err)
	}
	cmd := exec.Command(s.binary, "server", "--quiet", "--address", s.addr, filepath.Join(s.dir, "data"))
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "MINIO_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "MINIO_ROOT_USER="+s.user, "MINIO_ROOT_PASSWORD="+s.secret, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
	if s.process, err = child.Start("MinIO", cmd, log, syscall.SIGKILL); err != nil {
		return err
	}
	return await(ctx, "MinIO answers", func() bool {
		askCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := s.client.ListBuckets(askCtx)
		return err == nil
	})
}

// end ends it by the signal.
func (s *store) end(signal syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	err := s.process.End(signal, patience)
	s.process = nil
	return err
}

func (s *store) signal(signal syscall.Signal) error {
	if err := syscall.Kill(s.process.PID(), signal); err != nil {
		return fmt.Errorf("sending %s to MinIO: %w", signal, err)
	}
	return nil
}

// storeKills breaks the store of the lake in turn with the collector.
func (p *phase) storeKills(ctx context.Context, n int) (err error) {
	s, err := newStore(ctx, p.o.Root, filepath.Join(p.o.Dir, "minio"))
	if errors.Is(err, errNoStore) {
		p.report.Skipped = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end(syscall.SIGKILL)) }() // after the collector has ended
	defer func() { err = p.close(ctx, err) }()
	source := lake.Bucket{Client: s.client, Name: bucketName}
	spec := Spec{Apart: true, Lake: source, Overlays: []string{fmt.Sprintf(bucket, s.addr, bucketName, s.user, s.secret)}}
	r := p.o.random(p.report.Phase)
	breaks := []struct {
		name string
		do   func() error
	}{
		{"MinIO killed", func() error {
			return errors.Join(s.end(syscall.SIGKILL), pause(ctx, between(r, 300*time.Millisecond, 1500*time.Millisecond)), s.start(ctx))
		}},
		{"collector killed while MinIO is down", func() error {
			if err := errors.Join(s.end(syscall.SIGKILL), pause(ctx, between(r, 0, 1500*time.Millisecond)), p.w.Kill()); err != nil {
				return err
			}
			if r.IntN(2) == 0 { // it must come up without its store
				return errors.Join(p.w.Start(ctx), s.start(ctx))
			}
			return errors.Join(s.start(ctx), p.w.Start(ctx))
		}},
		{"MinIO stopped and started", func() error {
			return errors.Join(s.end(syscall.SIGTERM), pause(ctx, between(r, 0, time.Second)), s.start(ctx))
		}},
		{"MinIO frozen, collector killed", func() error {
			err := errors.Join(s.signal(syscall.SIGSTOP), pause(ctx, between(r, 500*time.Millisecond, 3*time.Second)), p.w.Kill(), p.w.Launch(""))
			return errors.Join(err, pause(ctx, between(r, 0, time.Second)), s.signal(syscall.SIGCONT), p.serving(ctx))
		}},
	}
	for _, step := range []string{failpoint.FileWritten, failpoint.FilePut, failpoint.CataloguePut} {
		breaks = append(breaks, struct {
			name string
			do   func() error
		}{step, func() error {
			if err := p.w.Kill(); err != nil {
				return err
			}
			hit, err := p.killOnce(ctx, kill{step: step, count: 1 + r.IntN(often[step])})
			if err == nil && !hit { // it was drawn to be reached late
				hit, err = p.killOnce(ctx, kill{step: step, count: 1})
			}
			if err == nil && !hit {
				err = fmt.Errorf("%s was not reached within %s", step, stepPatience)
			}
			return errors.Join(err, p.w.Start(ctx))
		}})
	}
	each := len(breaks)
	if p.o.soon {
		each = 4
	}
	if err := p.open(ctx, spec, n*each); err != nil {
		return err
	}
	for range n {
		for _, at := range r.Perm(len(breaks))[:each] {
			b := &breaks[at]
			before := p.w.watcher.Seen().Files
			p.say("waiting for files")
			if err := await(ctx, "files come into the bucket", func() bool { return p.w.watcher.Seen().Files > before || !p.w.Running() }); err != nil {
				return err
			}
			p.say("%s", b.name)
			if err := b.do(); err != nil {
				return fmt.Errorf("%s: %w", b.name, err)
			}
			if !p.w.Running() {
				return fmt.Errorf("%s: %w", b.name, p.w.child.Died())
			}
			p.step(b.name)
		}
	}
	return nil
}

// serving waits until the collector that was launched serves.
func (p *phase) serving(ctx context.Context) error {
	served, err := p.w.awaitServing(ctx)
	if err == nil && !served {
		err = p.w.child.Died()
	}
	return err
}
