// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/testbed/term"
)

const (
	liveEvery   = 150 * time.Millisecond
	plainEvery  = 3 * time.Second
	storedEvery = 500 * time.Millisecond
	rateWindow  = 2 * time.Second
)

// Watch shows how the run goes until done is closed: one live line on a terminal, else a line every few seconds.
// stored, if not nil, is asked about twice a second how many rows the sink holds.
func Watch(ctx context.Context, o *term.Out, r *Run, stored func(context.Context) (int64, error), done <-chan struct{}) {
	var rows atomic.Int64
	rows.Store(-1)
	ctx, stop := context.WithCancel(ctx)
	asking := make(chan struct{})
	go func() {
		defer close(asking)
		for stored != nil && ctx.Err() == nil {
			if n, err := stored(ctx); err == nil { // else the sink is away; the run's own counters show that
				rows.Store(n)
			}
			sleep(ctx, storedEvery)
		}
	}()
	defer func() {
		stop()
		<-asking
	}()
	every := liveEvery
	if !o.TTY() {
		every = plainEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	p := progress{o: o, run: r}
	for {
		select {
		case <-done:
			o.ClearLive()
			return
		case now := <-tick.C:
			o.Live(p.line(now, rows.Load()))
		}
	}
}

type progress struct {
	o     *term.Out
	run   *Run
	marks []mark // of the last rateWindow
}

type mark struct {
	at    time.Time
	acked int64
}

func (p *progress) line(now time.Time, stored int64) string {
	s := p.run.Stats()
	p.marks = append(p.marks, mark{now, s.Acked})
	for len(p.marks) > 2 && now.Sub(p.marks[0].at) > rateWindow {
		p.marks = p.marks[1:]
	}
	rate := 0.0
	if d := now.Sub(p.marks[0].at).Seconds(); d > 0 {
		rate = float64(s.Acked-p.marks[0].acked) / d
	} else if s.Elapsed > 0 {
		rate = float64(s.Acked) / s.Elapsed.Seconds()
	}
	part := p.run.Progress()
	left := ""
	if part > 0.01 {
		left = ", " + term.Clock(time.Duration(float64(s.Elapsed)*(1-part)/part)) + " left"
	}
	type field struct {
		text  string
		dress func(string) string
	}
	same := func(s string) string { return s }
	acknowledged := " acknowledged"
	if p.o.TTY() && p.o.Width() < 120 {
		acknowledged = " acked"
	}
	fields := []field{
		{fmt.Sprintf("%7s/s", term.Number(int64(rate))), same},
		{term.Number(s.Sent) + " sent", same},
		{term.Number(s.Acked) + acknowledged, same},
	}
	if stored >= 0 {
		fields = append(fields, field{term.Number(stored) + " stored", same})
	}
	if s.Refused > 0 {
		fields = append(fields, field{term.Number(s.Refused) + " refused", p.o.Bad})
	}
	if s.Behind > 0 {
		fields = append(fields, field{term.Number(s.Behind) + " behind", p.o.Accent})
	}
	if s.Retries > 0 {
		fields = append(fields, field{term.Number(s.Retries) + " retries", p.o.Dim})
	}
	fields = append(fields, field{term.Clock(s.Elapsed) + left, p.o.Dim})
	head := fmt.Sprintf("%3.0f%%", part*100)
	// A line that wraps cannot be replaced: on a narrow terminal the last fields give way, on a wide one the bar
	// takes what is left over.
	room := p.o.Width() - len(head) - 4
	var text strings.Builder
	for _, f := range fields {
		n := 2 + utf8.RuneCountInString(f.text)
		if p.o.TTY() && n > room {
			break
		}
		room -= n
		text.WriteString("  " + f.dress(f.text))
	}
	if p.o.TTY() && room >= 10 {
		return "  " + p.o.Bar(part, min(room-2, 24)) + " " + head + text.String()
	}
	return "  " + head + text.String()
}
