// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/testbed/term"
)

// samples are a process' resident memory over time. Written by sample's goroutine, read when it has ended.
type samples struct {
	seconds, megabytes series
}

// sample appends each second until ctx ends or the process is gone.
func (s *samples) sample(ctx context.Context, pid int) {
	start := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		now, _, err := memoryOf(pid)
		if err != nil {
			return // gone: whoever sends notices
		}
		s.seconds = append(s.seconds, time.Since(start).Seconds())
		s.megabytes = append(s.megabytes, float64(now)/1e6)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *samples) csv() []byte {
	var b strings.Builder
	b.WriteString("seconds,rss_megabytes\n")
	for i := range s.seconds {
		fmt.Fprintf(&b, "%.1f,%.1f\n", s.seconds[i], s.megabytes[i])
	}
	return []byte(b.String())
}

// growth compares the last two tenths with the second and third: what is there at the first is the start. 1 of too few samples.
func growth(tenths series) float64 {
	if len(tenths) < 10 {
		return 1
	}
	return tenths[8:].mean() / tenths[1:3].mean()
}

func (b *bench) memory(ctx context.Context) (s section, err error) {
	ctx, e, err := b.startEngine(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = e.end(ctx, err) }()
	col, err := b.startCollector(ctx, e, both[1])
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, col.Stop(stopTimeout)) }()
	if err := b.awaitTable(ctx, e, col); err != nil {
		return s, err
	}
	b.out.Live(fmt.Sprintf("  memory: %s events", term.Number(int64(b.memoryEvents))))
	var taken samples
	sampling, stop := context.WithCancel(ctx)
	sampled := make(chan struct{})
	go func() {
		defer close(sampled)
		taken.sample(sampling, col.PID())
	}()
	took, err := b.send(ctx, e, col, b.memoryEvents, 3)
	stop()
	<-sampled
	if err != nil {
		return s, err
	}
	_, peak, err := memoryOf(col.PID())
	if err != nil {
		return s, err
	}
	parts := tenths(taken.megabytes)
	s = section{
		title: "Memory under a sustained run",
		intro: fmt.Sprintf("Millrace's collector as above: %s events at full speed in %s (%s a second until stored), its RSS sampled each second.",
			term.Number(int64(b.memoryEvents)), term.Clock(took), fixed(float64(b.memoryEvents)/took.Seconds(), 0)),
		image: "benchmarks/memory.svg",
	}
	columns := []term.Column{{Name: "tenth of the run"}}
	row := []string{"mean RSS, MB"}
	for i, v := range parts {
		columns = append(columns, term.Column{Name: strconv.Itoa(i + 1), Right: true})
		row = append(row, fixed(v, 0))
	}
	s.tables = []table{
		{columns: columns, rows: [][]string{row}},
		goalTable([]goal{atMost("flat: tenths 9 and 10 against 2 and 3", growth(parts), 1.1)}),
	}
	s.notes = append(s.notes, fmt.Sprintf("Peak RSS: **%s**. Samples: [memory.csv](benchmarks/memory.csv).", term.Bytes(peak)))
	p := plot{
		title:  fmt.Sprintf("Resident memory of bin/millrace, %s events at full speed", term.Number(int64(b.memoryEvents))),
		xLabel: "seconds", yLabel: "RSS, MB", x: taken.seconds, y: taken.megabytes,
	}
	b.csv, b.svg = taken.csv(), []byte(p.svg())
	return s, nil
}
