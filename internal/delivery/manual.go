// SPDX-License-Identifier: Apache-2.0

package delivery

import "context"

// StepNow does by hand what a partition's worker does in one turn: it passes a tick, or makes one attempt at the next
// delivery; before either, it sends what is left of the outbox. It says whether anything was passed; an attempt's error is
// the one that the pipeline returned. It is for a consumer that was not started, such as deliverytest's.
func (c *Consumer) StepNow(ctx context.Context, partition uint32) (bool, error) {
	if c.anyUnsent() {
		c.gate.Lock()
		defer c.gate.Unlock()
		return false, c.sendOutboxes(ctx)
	}
	c.gate.RLock()
	defer c.gate.RUnlock()
	o, _, err := c.step(ctx, c.partitions[partition])
	return o == advanced, err
}

// ProbeNow passes an empty batch, as a start does, so that components which the last checkpoint knows enrol.
func (c *Consumer) ProbeNow(ctx context.Context) {
	c.gate.Lock()
	defer c.gate.Unlock()
	c.probe(ctx)
}
