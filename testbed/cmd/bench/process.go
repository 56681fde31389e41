// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/millrace/millrace/testbed/child"
)

const stopTimeout = 30 * time.Second

// launch starts a child. Standard output goes to out, or to the log where it is nil.
func launch(name, log string, out *bytes.Buffer, env []string, path string, args ...string) (*child.Process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	cmd := exec.Command(path, args...) // no context: Stop ends it, in order
	if out != nil {
		cmd.Stdout = out
	}
	cmd.Env = append(os.Environ(), env...)
	return child.Start(name, cmd, f, syscall.SIGKILL)
}

// finish waits for a child that ends by itself.
func finish(ctx context.Context, p *child.Process) error {
	select {
	case <-p.Exited():
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.Stop(stopTimeout))
	}
	if p.Err() != nil {
		return p.Died()
	}
	return nil
}

// runToEnd runs a command and returns what it wrote and the CPU time of it and its children.
func (b *bench) runToEnd(ctx context.Context, env []string, path string, args ...string) (string, time.Duration, error) {
	name := filepath.Base(path)
	var out bytes.Buffer
	p, err := launch(name, filepath.Join(b.dir, name+".log"), &out, env, path, args...)
	if err != nil {
		return "", 0, err
	}
	if err := finish(ctx, p); err != nil {
		return "", 0, err
	}
	return out.String(), p.CPU(), nil
}

// poll asks until the answer is yes, or an error, or patience ends.
func poll(ctx context.Context, what string, every, patience time.Duration, f func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		ok, err := f()
		switch {
		case err != nil:
			return err
		case ok:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("after %s still not: %s", patience, what)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(every):
		}
	}
}
