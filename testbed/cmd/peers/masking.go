// SPDX-License-Identifier: Apache-2.0

//go:build peers

package main

import (
	"context"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"

	"github.com/millrace/millrace/internal/detector"
)

// masking has internal/detector look at every attribute's text and writes its class in place of what it finds.
type masking struct {
	component.StartFunc
	component.ShutdownFunc
	detector *detector.Detector
	next     consumer.Logs
	found    []detector.Finding // reused; one caller at a time
}

func newMasking(_ context.Context, next consumer.Logs) (processor.Logs, error) {
	d, err := detector.New(detector.Config{})
	return &masking{detector: d, next: next}, err
}

func (m *masking) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

func (m *masking) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				for k, v := range r.Attributes().All() {
					if v.Type() == pcommon.ValueTypeStr {
						m.mask(k, v)
					}
				}
			}
		}
	}
	return m.next.ConsumeLogs(ctx, ld)
}

func (m *masking) mask(key string, v pcommon.Value) {
	text := v.Str()
	m.found = m.detector.Find(m.found[:0], text, detector.HintOf(key))
	if len(m.found) == 0 {
		return
	}
	var b strings.Builder
	at := 0
	for _, f := range m.found {
		b.WriteString(text[at:f.Start])
		b.WriteString("[" + string(f.Class) + "]")
		at = f.End
	}
	b.WriteString(text[at:])
	v.SetStr(b.String())
}
