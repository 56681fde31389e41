// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// progress is how far a job is, for people. mu guards all of it.
type progress struct {
	mu      sync.Mutex
	began   time.Time
	total   int64   // bytes of the files that are to be read
	read    float64 // of them, by now
	events  int64   // since this start
	files   int
	done    int
	skipped struct{ files, rows int64 }
}

func (p *progress) begin(now time.Time, files int, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began, p.files, p.total, p.read = now, files, total, 0
}

func (p *progress) advance(bytes float64, events, skippedRows int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read += bytes
	p.events += events
	p.skipped.rows += skippedRows
}

// already takes bytes off that were read at an earlier start.
func (p *progress) already(bytes float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total -= int64(bytes)
}

func (p *progress) fileDone(skipped bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if skipped {
		p.skipped.files++
	}
}

// remaining is what is left in bytes, and in time as far as the rate since this start tells; 0 is not known.
func (p *progress) remaining(now time.Time) (bytes int64, eta time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := max(float64(p.total)-p.read, 0)
	if took := now.Sub(p.began).Seconds(); p.read > 0 && took > 0 && left > 0 {
		eta = time.Duration(min(left/p.read*took, 1e9)) * time.Second
	}
	return int64(left), eta
}

func (p *progress) fields(now time.Time) []zap.Field {
	bytes, eta := p.remaining(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	rate := 0.0
	if took := now.Sub(p.began).Seconds(); took > 0 {
		rate = float64(p.events) / took
	}
	return []zap.Field{
		zap.Int64("events", p.events), zap.Int("files", p.done), zap.Int("of_files", p.files), zap.Int64("events_per_second", int64(rate)),
		zap.Int64("remaining_bytes", bytes), zap.Duration("eta", eta), zap.Int64("skipped_rows", p.skipped.rows), zap.Int64("skipped_files", p.skipped.files),
	}
}

func (p *progress) eventsSoFar() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events
}
