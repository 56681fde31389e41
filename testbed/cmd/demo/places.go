// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/millrace/millrace/testbed/term"
)

// place is one address of the quickstart.
type place struct {
	env, what, addr string
	moved           string // the default address that was taken, or ""
}

// The addresses, by their environment variables.
const (
	otlpGRPC       = "MILLRACE_OTLP_GRPC"
	otlpHTTP       = "MILLRACE_OTLP_HTTP"
	segment        = "MILLRACE_SEGMENT"
	clickHouseTCP  = "MILLRACE_CLICKHOUSE_TCP"
	clickHouseHTTP = "MILLRACE_CLICKHOUSE_HTTP"
	metrics        = "MILLRACE_METRICS"
)

var placeOrder = []string{otlpGRPC, otlpHTTP, segment, clickHouseHTTP, clickHouseTCP, metrics}

// choosePlaces takes the addresses of the environment, else the default ones, else a free port where a default
// one is taken.
func choosePlaces() (map[string]*place, error) {
	places := map[string]*place{
		otlpGRPC:       {what: "OTLP/gRPC", addr: "127.0.0.1:4317"},
		otlpHTTP:       {what: "OTLP/HTTP", addr: "127.0.0.1:4318"},
		segment:        {what: "Segment", addr: "127.0.0.1:8181"},
		clickHouseTCP:  {what: "ClickHouse TCP", addr: "127.0.0.1:9000"},
		clickHouseHTTP: {what: "ClickHouse HTTP", addr: "127.0.0.1:8123"},
		metrics:        {what: "metrics", addr: "127.0.0.1:8888"},
	}
	// All are held until all are chosen, so that no free port is chosen twice.
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close() // only ever listened
		}
	}()
	for _, name := range placeOrder {
		p := places[name]
		p.env = name
		given := os.Getenv(name)
		if given != "" {
			p.addr = given
		}
		l, err := net.Listen("tcp", p.addr)
		switch {
		case err != nil && given != "":
			return nil, fmt.Errorf("%s is %q: %w: choose another address", name, given, err)
		case err != nil:
			p.moved = p.addr
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				return nil, fmt.Errorf("looking for a free port: %w", err)
			}
			p.addr = l.Addr().String()
		}
		held = append(held, l)
	}
	return places, nil
}

func printPlaces(out *term.Out, o *options, places map[string]*place) {
	out.Printf("  %-16s %s\n", "command", out.Bold(o.binary+" --config "+o.config))
	out.Printf("  %-16s %s\n", "data", o.dataDir)
	for _, name := range placeOrder {
		p := places[name]
		note := ""
		if p.moved != "" {
			note = "   " + out.Dim("(a free port, because "+p.moved+" is taken)")
		}
		out.Printf("  %-16s %s%s\n", p.what, p.addr, note)
	}
}

// marker says that a directory is a demo's, to be emptied by the next one, and which process uses it.
const marker = ".millrace-demo"

func manifestPath(o *options) string { return filepath.Join(o.dataDir, "manifest") }
func logPath(o *options) string      { return filepath.Join(o.dataDir, "millrace.log") }

// freshDirectory empties what an earlier demo left, and nothing else.
func freshDirectory(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("preparing the data directory: %w", err)
	}
	if len(entries) > 0 {
		b, err := os.ReadFile(filepath.Join(dir, marker))
		if err != nil {
			return fmt.Errorf("the data directory %s is not empty and no earlier demo made it: choose another with DEMO_DATA_DIR", dir)
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && alive(pid) {
			return fmt.Errorf("another demo (process %d) uses the data directory %s: end it, or choose another with DEMO_DATA_DIR", pid, dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("emptying the data directory: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("preparing the data directory: %w", err)
	}
	return mark(dir, strconv.Itoa(os.Getpid()))
}

// mark writes who uses the directory; "" is nobody any more.
func mark(dir, who string) error {
	if err := os.WriteFile(filepath.Join(dir, marker), []byte(who+"\n"), 0o644); err != nil {
		return fmt.Errorf("marking the data directory: %w", err)
	}
	return nil
}

func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	return pid > 1 && err == nil && p.Signal(syscall.Signal(0)) == nil
}
