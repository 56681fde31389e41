// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"slices"
	"strings"
)

// sessionKey checks that all events of one key of a sessionization lie in one partition of the log, where its state is: some field of the key
// must be what the log partitions by, its alternatives in the same order.
func (g *graph) sessionKey(pipeline, name string) {
	log := child(child(g.root, "connectors"), g.log)
	if fmt.Sprint(log["partitions"]) == "1" {
		return
	}
	by := texts(log["partition_by"])
	key := texts(child(child(g.root, "processors"), name)["key"])
	if len(by) == 0 || len(key) == 0 {
		return // not the effective configuration, which has defaults
	}
	for _, field := range key {
		alternatives := strings.Split(field, "|")
		for i := range alternatives {
			alternatives[i] = strings.TrimSpace(alternatives[i])
		}
		if len(alternatives) <= len(by) && slices.Equal(alternatives, by[:len(alternatives)]) {
			return
		}
	}
	g.fail(pipeline, name, fmt.Sprintf("has the key %v, whose events the log may spread over partitions: it partitions by %v", key, by),
		fmt.Sprintf("let a field of the key have the alternatives that partition_by begins with, such as %q, or set connectors::%s::partitions: 1", by[0], g.log))
}
