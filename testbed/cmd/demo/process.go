// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/child"
)

// start runs the collector. If the demo is killed, it is told to stop, and stops its engine.
func start(o *options, places map[string]*place) (*child.Process, error) {
	if _, err := os.Stat(o.binary); err != nil {
		return nil, fmt.Errorf("%s is missing: run make build first", o.binary)
	}
	log, err := os.Create(logPath(o))
	if err != nil {
		return nil, fmt.Errorf("starting the collector: %w", err)
	}
	cmd := exec.Command(o.binary, "--config", o.config)
	cmd.Env = append(os.Environ(), "MILLRACE_DATA_DIR="+o.dataDir, lakeMaxAge+"="+env(lakeMaxAge, demoLakeMaxAge))
	for name, p := range places {
		cmd.Env = append(cmd.Env, name+"="+p.addr)
	}
	return child.Start("the collector", cmd, log, syscall.SIGTERM)
}

// awaitReady returns when ClickHouse answers and every receiver listens.
func awaitReady(ctx context.Context, p *child.Process, o *options, ch *chhttp.Client, places map[string]*place) error {
	deadline := time.NewTimer(readyTimeout)
	defer deadline.Stop()
	for {
		if ready(ctx, ch, places) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Exited():
			return p.Died()
		case <-deadline.C:
			return fmt.Errorf("the collector is not ready after %s. The end of %s:\n%s", readyTimeout, logPath(o), p.Tail(12))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ready(ctx context.Context, ch *chhttp.Client, places map[string]*place) bool {
	for _, name := range []string{otlpGRPC, otlpHTTP, segment} {
		conn, err := net.DialTimeout("tcp", places[name].addr, time.Second)
		if err != nil {
			return false
		}
		_ = conn.Close() // nothing was said
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := ch.Int(ctx, "SELECT count() FROM system.databases WHERE name = 'analytics'")
	return err == nil
}

const stopTimeout = 20 * time.Second

// stop ends the collector, and with it the engine that it supervises.
func stop(p *child.Process) error {
	select {
	case <-p.Exited():
		return nil // by itself, which has been said
	default:
	}
	if err := p.Stop(stopTimeout); err != nil {
		return err
	}
	if p.Err() != nil {
		return fmt.Errorf("stopping the collector: %w", p.Died())
	}
	return nil
}
