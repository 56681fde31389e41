// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// kafka checks a receiver whose offsets are the acknowledgement: one that marks a message before the log has it, or
// that passes over one that the log did not take, loses it.
func (g *graph) kafka(id, name string, kafkas map[string]string) {
	receiver := child(child(g.root, "receivers"), name)
	marking := child(receiver, "message_marking")
	setting := func(m map[string]any, path, key string, want bool, reason string) {
		if got, _ := m[key].(bool); got != want {
			g.fail(id, name, reason, fmt.Sprintf("set receivers::%s::%s::%s: %t", name, path, key, want))
		}
	}
	setting(marking, "message_marking", "after", true, "marks a message as done before the log has it")
	setting(marking, "message_marking", "on_error", false, "marks a message as done that the log did not take")
	setting(marking, "message_marking", "on_permanent_error", false, "marks a message as done that the log did not take")
	setting(child(receiver, "error_backoff"), "error_backoff", "enabled", true, "passes over a message that the log did not take at once")
	backoff := child(receiver, "error_backoff")
	for _, key := range []string{"initial_interval", "max_interval"} {
		if d, known := durationOf(backoff[key]); known && d <= 0 {
			g.fail(id, name, "tries what the log did not take without a pause", fmt.Sprintf("set receivers::%s::error_backoff::%s: 1s, or more", name, key))
		}
	}
	if m, known := numberOf(backoff["multiplier"]); known && m < 1 {
		g.fail(id, name, "tries what the log did not take without a pause", fmt.Sprintf("set receivers::%s::error_backoff::multiplier: 1.5, or more", name))
	}
	if at, _ := receiver["initial_offset"].(string); at != "earliest" {
		g.fail(id, name, "begins at the end of a topic, so that a kill before the first mark loses what came before it",
			fmt.Sprintf("set receivers::%s::initial_offset: earliest", name))
	}
	// Offsets of two clusters mean different messages. The log knows topic, partition and offset, not the cluster.
	brokers := brokersOf(receiver["brokers"])
	if its, twice := kafkas[name]; twice && its == brokers {
		g.fail(id, name, "reaches the log on two paths, and a message that comes twice is taken for one that was delivered again",
			"let one pipeline have it")
	}
	for other, its := range kafkas {
		if other != name && its != brokers {
			g.fail(id, name, "reads another Kafka cluster than "+other+", and the log tells messages by topic, partition and offset alone",
				"give each cluster an event_log of its own")
		}
	}
	kafkas[name] = brokers
}

func brokersOf(v any) string {
	list := texts(v)
	slices.Sort(list)
	return strings.Join(list, ",")
}

// durationOf reads what the configuration or its defaults hold.
func durationOf(v any) (time.Duration, bool) {
	switch v := v.(type) {
	case time.Duration:
		return v, true
	case string:
		d, err := time.ParseDuration(v)
		return d, err == nil
	}
	n, known := numberOf(v)
	return time.Duration(n), known
}

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
