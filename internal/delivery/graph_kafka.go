// SPDX-License-Identifier: Apache-2.0

package delivery

import "fmt"

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
	// Offsets of two clusters mean different messages. The log knows topic, partition and offset, not the cluster.
	brokers := fmt.Sprint(receiver["brokers"])
	for other, its := range kafkas {
		if other != name && its != brokers {
			g.fail(id, name, "reads another Kafka cluster than "+other+", and the log tells messages by topic, partition and offset alone",
				"give each cluster an event_log of its own")
		}
	}
	kafkas[name] = brokers
}
