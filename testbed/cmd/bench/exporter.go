// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/millrace/millrace/testbed/term"
)

// cost is what `peers export` prints.
type cost struct {
	Events     int     `json:"events"`
	CPUSeconds float64 `json:"cpu_seconds"`
	Wall       float64 `json:"wall_seconds"`
	PeakRSS    int64   `json:"peak_rss_bytes"`
}

// exporterCosts are one exporter's over the rounds; µs are of CPU, for one event.
type exporterCosts struct {
	client, insert, merge, server series // µs
	data, disk                    series // bytes for one event: of the columns, and with marks and indexes
	parts                         series // that were left unmerged
	peak                          series // of the exporting process, bytes
}

var batchSizes = []int{10_000, 50_000}

func (b *bench) exporterStep(ctx context.Context) (s section, err error) {
	ctx, e, err := b.startEngine(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = e.end(ctx, err) }()
	s = section{
		title: "Exporter step",
		intro: fmt.Sprintf("%s events a measurement, rounds: %d, contrib and Millrace in turn, each on a fresh table. CPU in µs an event: median (least to greatest).",
			term.Number(int64(b.events)), b.rounds),
	}
	var goals []goal
	for _, size := range batchSizes {
		costs := make([]exporterCosts, len(both))
		for round := range b.rounds {
			for i, p := range both {
				b.out.Live(fmt.Sprintf("  exporter: batches of %s, round %d of %d, %s", term.Number(int64(size)), round+1, b.rounds, p.name))
				if err := b.exportOnce(ctx, e, p, size, &costs[i]); err != nil {
					return s, fmt.Errorf("%s in batches of %d: %w", p.name, size, err)
				}
			}
		}
		contrib, ours := costs[0], costs[1]
		t := table{
			caption: "Batches of " + term.Number(int64(size)),
			columns: []term.Column{{Name: "an event costs"}, {Name: "contrib", Right: true}, {Name: "Millrace", Right: true}, {Name: "ratio, median", Right: true}, {Name: "ratio of each round"}},
		}
		row := func(name string, decimals int, contrib, ours series, dress string) {
			ratio := ours.over(contrib)
			t.rows = append(t.rows, []string{name, contrib.spread(decimals), ours.spread(decimals), dress + fixed(ratio.median(), 2) + dress, ratio.all()})
		}
		row("client CPU, µs", 2, contrib.client, ours.client, "**")
		row("server CPU: insert, µs", 2, contrib.insert, ours.insert, "")
		row("server CPU: merge, µs", 2, contrib.merge, ours.merge, "")
		row("server CPU: both, µs", 2, contrib.server, ours.server, "**")
		row("parts left after merging", 0, contrib.parts, ours.parts, "")
		row("bytes of data, compressed", 1, contrib.data, ours.data, "")
		row("bytes on disk, indexes included", 1, contrib.disk, ours.disk, "")
		row("peak RSS of the process, MB", 0, contrib.peak, ours.peak, "")
		s.tables = append(s.tables, t)
		label := term.Number(int64(size))
		goals = append(goals,
			atMost("client CPU against contrib, batches of "+label, ours.client.over(contrib.client).median(), 0.25),
			atMost("server CPU against contrib, batches of "+label, ours.server.over(contrib.server).median(), 1.0/3))
	}
	s.tables = append(s.tables, goalTable(goals))
	return s, nil
}

// exportOnce measures one exporter on a fresh table and appends to c.
func (b *bench) exportOnce(ctx context.Context, e *engine, p peer, size int, c *exporterCosts) error {
	full := database + "." + p.table
	if err := e.drop(ctx); err != nil {
		return err
	}
	// Exporters create their tables. That is not to be measured.
	if _, err := b.export(ctx, e, p, 1, 1); err != nil {
		return fmt.Errorf("creating the table: %w", err)
	}
	for _, sql := range []string{"TRUNCATE TABLE " + full + " SYNC", "SYSTEM STOP MERGES " + full} {
		if err := e.ch.Exec(ctx, sql); err != nil {
			return err
		}
	}
	start, err := e.cpu()
	if err != nil {
		return err
	}
	cost, err := b.export(ctx, e, p, b.events, size)
	if err != nil {
		return err
	}
	inserted, err := e.cpu()
	if err != nil {
		return err
	}
	rows, err := e.count(ctx, p.table)
	if err != nil {
		return err
	}
	if rows < int64(cost.Events) {
		return fmt.Errorf("%d events were acknowledged, but %s has only %d rows", cost.Events, full, rows)
	}
	parts, err := e.parts(ctx, p.table)
	if err != nil {
		return err
	}
	mergeFrom, err := e.cpu() // what the questions cost is nobody's
	if err != nil {
		return err
	}
	if err := e.ch.Exec(ctx, "SYSTEM START MERGES "+full); err != nil {
		return err
	}
	if err := e.merged(ctx, p.table, parts); err != nil {
		return err
	}
	merged, err := e.cpu()
	if err != nil {
		return err
	}
	data, err := e.bytesAnEvent(ctx, p.table, "data_compressed_bytes")
	if err != nil {
		return err
	}
	disk, err := e.bytesAnEvent(ctx, p.table, "bytes_on_disk")
	if err != nil {
		return err
	}
	left, err := e.parts(ctx, p.table)
	if err != nil {
		return err
	}
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(rows) }
	c.client = append(c.client, cost.CPUSeconds*1e6/float64(cost.Events))
	c.insert = append(c.insert, micros(inserted-start))
	c.merge = append(c.merge, micros(merged-mergeFrom))
	c.server = append(c.server, micros(inserted-start+merged-mergeFrom))
	c.data = append(c.data, data)
	c.disk = append(c.disk, disk)
	c.parts = append(c.parts, float64(left))
	c.peak = append(c.peak, float64(cost.PeakRSS)/1e6)
	return nil
}

// export runs `peers export`.
func (b *bench) export(ctx context.Context, e *engine, p peer, events, batch int, more ...string) (*cost, error) {
	args := append([]string{
		"export", "--exporter", p.exporter, "--endpoint", e.tcp, "--database", database,
		"--events", strconv.Itoa(events), "--batch", strconv.Itoa(batch),
	}, more...)
	out, _, err := b.runToEnd(ctx, nil, peers, args...)
	if err != nil {
		return nil, err
	}
	var c cost
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return nil, fmt.Errorf("reading what peers export printed: %w", err)
	}
	if c.Events < events {
		return nil, fmt.Errorf("peers export sent %d of %d events", c.Events, events)
	}
	return &c, nil
}
