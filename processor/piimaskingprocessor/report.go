// SPDX-License-Identifier: Apache-2.0

package piimaskingprocessor

import (
	"cmp"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/audit"
)

// reporter sums up in the audit log, now and then and at the end, what was masked. What a crash takes is what was counted since the last
// time; the metrics had it.
type reporter struct {
	p    *piiMasking
	log  audit.Log
	stop chan struct{}
	done chan struct{}
}

func startReporter(p *piiMasking, log audit.Log) *reporter {
	r := &reporter{p: p, log: log, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for {
			select {
			case <-r.stop:
				r.report()
				return
			case <-p.after(p.cfg.AuditInterval):
				r.report()
			}
		}
	}()
	return r
}

func (r *reporter) report() {
	since := r.p.counters.take()
	if len(since) == 0 {
		return
	}
	action := audit.Masked
	if r.p.cfg.DryRun {
		action = audit.WouldMask
	}
	now := r.p.now()
	records := make([]audit.Record, 0, len(since))
	for h, n := range since {
		records = append(records, audit.Record{
			Time: now, Action: action, Component: r.p.id, Class: h.class, Field: h.field, Rule: h.rule, Masking: string(h.action), Count: n,
		})
	}
	slices.SortFunc(records, func(a, b audit.Record) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Masking, b.Masking))
	})
	if err := r.log.Write(records...); err != nil {
		r.p.counters.giveBack(since)
		r.p.logger.Error("The audit log did not take what was masked: it is told again", zap.Error(err))
	}
}

func (r *reporter) close() {
	close(r.stop)
	<-r.done
}

// complainEvery is how often the log says why events are held back.
const complainEvery = time.Minute
