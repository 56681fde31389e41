// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
)

// CollectorOptions say which collector runs where.
type CollectorOptions struct {
	Command []string // of the collector, up to --config, such as bin/millrace
	Root    string   // of the repository
	Queries []string // such as q5
	// Overlays are YAML that is merged over base.yaml and the queries.
	Overlays []string
	Data     string // directory
	Log      string // file
	// TCP and HTTP of a ClickHouse that runs already; the collector runs one of its own if empty.
	TCP, HTTP string
	Env       []string
}

// Collector runs queries as a process. Safe for concurrent use.
type Collector struct {
	*child.Process
	OTLP  string // host:port
	Admin string // http://host:port
	HTTP  string // of ClickHouse: http://host:port
}

// StartCollector returns when events can be sent. Stop it.
func StartCollector(ctx context.Context, o CollectorOptions) (c *Collector, err error) {
	for attempt := 1; ; attempt++ {
		var taken bool
		if c, taken, err = startCollector(ctx, &o); err == nil || !taken || attempt == 3 {
			return c, err
		}
	}
}

func startCollector(ctx context.Context, o *CollectorOptions) (c *Collector, taken bool, err error) {
	addrs, err := freeport.Addrs(5)
	if err != nil {
		return nil, false, err
	}
	tcp, clickhouse, extensions := addrs[3], addrs[4], "[clickhouse_engine, state_store]"
	if o.TCP != "" {
		tcp, clickhouse, extensions = o.TCP, o.HTTP, "[state_store]"
	}
	args := append([]string(nil), o.Command[1:]...)
	for _, name := range append([]string{"base"}, o.Queries...) {
		args = append(args, "--config", filepath.Join(o.Root, "configs", "nexmark", name+".yaml"))
	}
	for _, overlay := range append([]string{"connectors::event_log::admin::endpoint: " + addrs[1], "service::extensions: " + extensions}, o.Overlays...) {
		args = append(args, "--config", "yaml:"+overlay)
	}
	cmd := exec.Command(o.Command[0], args...) // no context: Stop ends it, in order
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "MILLRACE_") || strings.HasPrefix(kv, "MILLRACE_CACHE=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "MILLRACE_DATA_DIR="+o.Data, "MILLRACE_OTLP_GRPC="+addrs[0], "MILLRACE_METRICS="+addrs[2],
		"MILLRACE_CLICKHOUSE_TCP="+tcp, "MILLRACE_CLICKHOUSE_HTTP="+clickhouse)
	cmd.Env = append(cmd.Env, o.Env...)
	log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("starting the collector: %w", err)
	}
	p, err := child.Start("the collector", cmd, log, syscall.SIGKILL)
	if err != nil {
		return nil, false, err
	}
	c = &Collector{Process: p, OTLP: addrs[0], Admin: "http://" + addrs[1], HTTP: "http://" + clickhouse}
	if err := c.awaitReady(ctx); err != nil {
		said := p.Tail(15)
		err = errors.Join(fmt.Errorf("%w; it said:\n%s", err, said), p.Stop(stopTimeout))
		return nil, strings.Contains(said, "address already in use") || strings.Contains(said, "another program listens"), err
	}
	return c, false, nil
}

const (
	stopTimeout  = 60 * time.Second
	readyTimeout = 120 * time.Second
)

// awaitReady waits for the log: receivers start after it.
func (c *Collector) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		_, err := lag.Records(ctx, c.Admin)
		if err == nil {
			return nil
		}
		select {
		case <-c.Exited():
			return errors.New("the collector has ended")
		case <-ctx.Done():
			return fmt.Errorf("the collector is not ready: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop ends the collector in order, with a last checkpoint.
func (c *Collector) Stop() error { return c.Process.Stop(stopTimeout) }

// Reset hands the log to a consumer from the beginning, once more.
func (c *Collector) Reset(ctx context.Context, consumer string) error {
	return c.command(ctx, "reset", map[string]string{"consumer": consumer, "to": "beginning"})
}

// Checkpoint makes a consumer commit, and send the results that are due.
func (c *Collector) Checkpoint(ctx context.Context, consumer string) error {
	return c.command(ctx, "checkpoint", map[string]string{"consumer": consumer})
}

func (c *Collector) command(ctx context.Context, name string, body map[string]string) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Admin+"/consumers/"+name, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking for a %s: %w", name, err)
	}
	defer func() { _ = resp.Body.Close() }() // it is read to its end
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for a %s of %s: status %d: %s: %w", name, body["consumer"], resp.StatusCode, said, err)
	}
	return nil
}

// PartitionOf is where event_log puts the events of a user: the hash of user.id.
func PartitionOf(user string, partitions int) int {
	return int(xxhash.Sum64String(user) % uint64(partitions))
}
