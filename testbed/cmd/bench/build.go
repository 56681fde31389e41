// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/testbed/term"
)

// build measures a newcomer's first build: ocb and the binary on an empty build cache. The modules are there.
func (b *bench) build(ctx context.Context) (section, error) {
	s := section{
		title: "Binary and cold build",
		intro: "What `make build` compiles, into an empty build cache; the modules' source is already there.",
	}
	info, err := os.Stat(binary)
	if err != nil {
		return s, fmt.Errorf("reading the binary's size: %w", err)
	}
	cache := filepath.Join(b.dir, "gocache")
	env := []string{"GOCACHE=" + cache, "CGO_ENABLED=0", "GOFLAGS="}
	t := table{columns: []term.Column{{Name: "step"}, {Name: "CPU, s", Right: true}, {Name: "wall, s", Right: true}}}
	var cpu, wall float64
	for _, step := range []struct {
		name string
		args []string
	}{
		{"ocb, the collector builder", []string{"build", "-modfile=tools.mod", "-o", filepath.Join(b.dir, "ocb"), "go.opentelemetry.io/collector/cmd/builder"}},
		// As ocb calls the compiler.
		{"`bin/millrace`", []string{"build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(b.dir, "millrace"), "./distribution"}},
	} {
		b.out.Live("  build: " + markup.Replace(step.name))
		start := time.Now()
		_, used, err := b.runToEnd(ctx, env, "go", step.args...)
		if err != nil {
			return s, err
		}
		took := time.Since(start)
		cpu, wall = cpu+used.Seconds(), wall+took.Seconds()
		t.rows = append(t.rows, []string{step.name, fixed(used.Seconds(), 0), fixed(took.Seconds(), 0)})
	}
	t.rows = append(t.rows, []string{"both", fixed(cpu, 0), fixed(wall, 0)})
	s.tables = []table{t}
	s.notes = append(s.notes, fmt.Sprintf("`bin/millrace` is %s.", term.Bytes(info.Size())))
	return s, os.RemoveAll(cache)
}
