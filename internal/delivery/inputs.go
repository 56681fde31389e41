// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"slices"

	"go.opentelemetry.io/collector/component"
)

// Inputs are where the records come from that reach a component: partitions of the log, stages before it, or both. Each
// has a watermark of its own, and what spans inputs closes by the least of them. So a component must know all of its
// inputs before the first record of any has come: a stage's results come later than the events that pass it.
type Inputs struct {
	// Partitions says that events of the log reach the component: all of the log's partitions are inputs.
	Partitions bool
	// Stages whose results reach the component, by component ID, nearest the log first.
	Stages []string
	// Panes says that a stage may emit a result more than once: a later pane replaces its predecessor by result.id.
	Panes bool
}

type inputsKey struct{}

// InputsFrom returns the inputs of the component that is called with this context: those of the log alone if no stage
// stands between.
func InputsFrom(ctx context.Context) Inputs {
	if in, ok := ctx.Value(inputsKey{}).(Inputs); ok {
		return in
	}
	return Inputs{Partitions: true}
}

// WithStage returns the context that a stage calls its next consumer with, whether for events that pass, for results
// or for an empty batch. passes says that it hands on what it is given beside its results; panes that it may emit a result more
// than once.
func WithStage(ctx context.Context, stage component.ID, passes, panes bool) context.Context {
	in := InputsFrom(ctx)
	if !passes {
		in = Inputs{}
	}
	name := stage.String()
	if !slices.Contains(in.Stages, name) {
		in.Stages = append(slices.Clip(in.Stages), name)
	}
	in.Panes = in.Panes || panes
	return context.WithValue(ctx, inputsKey{}, in)
}
