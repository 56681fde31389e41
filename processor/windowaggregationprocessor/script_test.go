// SPDX-License-Identifier: Apache-2.0

package windowaggregationprocessor

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"

	"github.com/millrace/millrace/internal/delivery"
	"github.com/millrace/millrace/internal/delivery/deliverytest"
	"github.com/millrace/millrace/processor/windowaggregationprocessor/internal/metadata"
)

var update = flag.Bool("update", false, "write what comes out into testdata")

// script is a file of testdata: configurations behind "-- config --" lines, one for each processor in a row, then behind "-- steps --"
// what happens, and behind each step what came out of it, in lines that begin with ">".
//
//	partitions N
//	event P TIME NAME KEY=VALUE…     appends an event to partition P at the time of the script's clock; ISO time or 12:00:05
//	clock TIME                       sets the clock, which else follows the highest event time
//	tick P [TIME]                    appends a tick, which raises the partition to that event time
//	deliver P N                      N positions as one delivery
//	deliver                          all that there is
//	checkpoint, crash, restart
//	fail                             the next call of the sink fails after it has stored what it got
//	config N                         the second and later configurations of processor 1 take effect at the next start
type script struct {
	t        *testing.T
	configs  [][]string // by processor
	pipeline *deliverytest.Pipeline
	chosen   int
	clock    int64
	manual   bool
	shown    int
	out      []string
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.script"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".script"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			got := runScript(t, string(text))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
				return
			}
			require.Equal(t, string(text), got)
		})
	}
}

func runScript(t *testing.T, text string) string {
	t.Helper()
	s := &script{t: t}
	head, steps, ok := strings.Cut(text, "-- steps --\n")
	require.True(t, ok)
	for i, part := range strings.Split(head, "-- config --\n") {
		if i > 0 {
			s.configs = append(s.configs, strings.Split(part, "-- or --\n"))
		}
	}
	for line := range strings.Lines(steps) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		s.out = append(s.out, line)
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			s.step(words)
			s.show()
		}
	}
	return head + "-- steps --\n" + strings.Join(s.out, "\n") + "\n"
}

func (s *script) number(word string) int {
	n, err := strconv.Atoi(word)
	require.NoError(s.t, err)
	return n
}

func (s *script) step(words []string) {
	t := s.t
	p := s.pipeline
	switch words[0] {
	case "partitions":
		s.pipeline = deliverytest.New(t, s.number(words[1]), func(next consumer.Logs) (consumer.Logs, []component.Component) {
			return chain(t, func() []*Config {
				var all []*Config
				for _, texts := range s.configs {
					all = append(all, readConfig(t, texts[min(s.chosen, len(texts)-1)]))
				}
				return all
			})(next)
		})
	case "config":
		s.chosen = s.number(words[1]) - 1
	case "clock":
		s.clock, s.manual = at(t, words[1]), true
	case "event":
		when := at(t, words[2])
		if !s.manual {
			s.clock = max(s.clock, when)
		}
		p.Append(uint32(s.number(words[1])), s.clock, newEvent(when, words[3], words[4:]...))
	case "tick":
		eventTime := int64(0)
		if len(words) > 2 {
			eventTime = at(t, words[2])
		}
		p.Log.Tick(uint32(s.number(words[1])), s.clock, eventTime)
	case "deliver":
		if len(words) == 1 {
			p.DeliverAll(0)
			return
		}
		p.Deliver(uint32(s.number(words[1])), s.number(words[2]))
	case "checkpoint":
		p.Checkpoint()
	case "crash":
		p.Crash()
	case "restart":
		p.Restart()
	case "fail":
		p.Sink.Fail = func(*delivery.Delivery) (error, error) {
			p.Sink.Fail = nil
			return nil, errors.New("away")
		}
	default:
		t.Fatalf("there is no step %q", words[0])
	}
}

// show what came since the last step.
func (s *script) show() {
	if s.pipeline == nil {
		return
	}
	for _, b := range s.pipeline.Sink.Batches[s.shown:] {
		if last := fmt.Sprintf("%s/%d", metadata.Type, len(s.configs)); b.Logs.LogRecordCount() == 0 && b.ID.Stage != last {
			continue
		}
		if b.ID.Stage != "" {
			watermark := "nothing yet"
			if b.Watermark > 0 {
				watermark = clockText(b.Watermark)
			}
			s.out = append(s.out, "> watermark of "+b.ID.Stage+": "+watermark)
		}
		for _, rl := range b.Logs.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					s.out = append(s.out, ">   "+rowText(lr))
				}
			}
		}
	}
	s.shown = len(s.pipeline.Sink.Batches)
}
