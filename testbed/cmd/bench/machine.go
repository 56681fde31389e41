// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/testbed/term"
)

const (
	contribModule   = "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/clickhouseexporter"
	redactionModule = "github.com/open-telemetry/opentelemetry-collector-contrib/processor/redactionprocessor"
)

// machine says on what and of what the figures are.
func (b *bench) machine(ctx context.Context) section {
	cpu, memory := "unknown", "unknown"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		cpu = field(string(raw), "model name")
	}
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kb int64
		if _, err := fmt.Sscanf(field(string(raw), "MemTotal"), "%d kB", &kb); err == nil {
			memory = term.Bytes(kb << 10)
		}
	}
	row := func(name, value string) []string { return []string{name, value} }
	return section{
		name: "machine", title: "Machine and versions",
		intro: "Load, collector and ClickHouse share the machine.",
		tables: []table{{columns: []term.Column{{Name: "what"}, {Name: "which"}}, rows: [][]string{
			row("CPU", fmt.Sprintf("%s, %d cores", cpu, runtime.NumCPU())),
			row("Memory", memory),
			row("Kernel", firstOf(os.ReadFile("/proc/sys/kernel/osrelease"))),
			row("Go", runtime.Version()),
			row("ClickHouse", clickhouseengine.Version),
			row("contrib's `clickhouse` exporter", say(ctx, "go", "list", "-modfile=peers.mod", "-m", "-f", "{{.Version}}", contribModule)),
			row("contrib's `redaction` processor", say(ctx, "go", "list", "-modfile=peers.mod", "-m", "-f", "{{.Version}}", redactionModule)),
			row("Collector core", say(ctx, "go", "list", "-m", "-f", "{{.Version}}", "go.opentelemetry.io/collector/otelcol")),
			row("Last run", time.Now().UTC().Format("2006-01-02 15:04")+" UTC, revision "+revision(ctx)),
		}}},
	}
}

// when ends each section: they need not be of one run.
func (b *bench) when(ctx context.Context) string {
	return fmt.Sprintf("Measured %s at revision %s.", time.Now().UTC().Format(time.DateOnly), revision(ctx))
}

// revision is what is checked out, marked where Go code or configuration differs from it.
func revision(ctx context.Context) string {
	r := say(ctx, "git", "rev-parse", "--short=12", "HEAD")
	if changed := say(ctx, "git", "status", "--porcelain", "--untracked-files=no", "--", "*.go", "*.mod", "*.yaml"); changed != "" && changed != "unknown" {
		r += " with changes"
	}
	return r
}

// field returns the value of the first line "name: value".
func field(text, name string) string {
	for line := range strings.SplitSeq(text, "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// say returns what a command writes; what cannot be found out does not stop a measurement.
func say(ctx context.Context, name string, args ...string) string {
	return firstOf(exec.CommandContext(ctx, name, args...).Output())
}

func firstOf(text []byte, err error) string {
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
