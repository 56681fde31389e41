// SPDX-License-Identifier: Apache-2.0

package schemaregistryextension

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/millrace/millrace/extension/schemaregistryextension/internal/metadata"
	"github.com/millrace/millrace/internal/schema"
)

// settleTime is how long after its last change a file is read again although it looks untouched: a change
// within one tick of the file system's clock leaves size and time as they were.
const settleTime = 10 * time.Second

// maxReported bounds the problems logged of one load; the rest follow when these are mended.
const maxReported = 10

// registry reads schemas from a directory. Whoever holds a snapshot keeps it: a reload puts another in its
// place and touches nothing in the old one, so that no batch is judged by two sets of schemas.
type registry struct {
	directory string
	interval  time.Duration
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	// newTicker, now and reloaded are set before Start only, by tests.
	newTicker func(time.Duration) (ticks <-chan time.Time, stop func())
	now       func() time.Time
	reloaded  func() // called after each look at the directory

	current atomic.Pointer[schema.Snapshot] // written by load; read by anyone

	// What follows belongs to Start until it returns, then to the goroutine that reloads.
	host       component.Host
	files      []file // as of the last load
	loadedAt   time.Time
	cache      map[string]compiledFile
	generation uint64
	problems   []string // of the last load, sorted: they are logged when they are new

	cancel context.CancelFunc // nil without a goroutine
	done   chan struct{}      // closed when the goroutine has ended
}

var (
	_ extension.Extension = (*registry)(nil)
	_ schema.Registry     = (*registry)(nil)
)

func newRegistry(cfg *Config, set component.TelemetrySettings) (*registry, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("creating telemetry: %w", err)
	}
	empty, err := schema.NewSnapshot(0, nil)
	if err != nil {
		return nil, fmt.Errorf("creating empty snapshot: %w", err)
	}
	r := &registry{
		directory: cfg.Directory,
		interval:  cfg.ReloadInterval,
		logger:    set.Logger,
		telemetry: telemetry,
		now:       time.Now,
		reloaded:  func() {},
		newTicker: func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		},
	}
	r.current.Store(empty)
	return r, nil
}

// Snapshot returns the schemas of this moment. Before Start there are none.
func (r *registry) Snapshot() *schema.Snapshot { return r.current.Load() }

// Start loads the schemas and fails where they cannot be used: running without schemas would let every event
// pass unjudged.
func (r *registry) Start(_ context.Context, host component.Host) error {
	r.host = host
	if problems := r.load(context.Background()); len(problems) > 0 {
		if more := len(problems) - 1; more > 0 {
			return fmt.Errorf("%w (and %d more problems of the schemas)", problems[0], more)
		}
		return problems[0]
	}
	if n := len(r.Snapshot().Schemas()); n == 0 {
		r.logger.Warn("The directory has no schemas: every event is unknown", zap.String("directory", r.directory))
	} else {
		r.logger.Info("Loaded the schemas", zap.String("directory", r.directory), zap.Int("schemas", n))
	}
	if r.interval == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan struct{})
	ticks, stop := r.newTicker(r.interval)
	go func() {
		defer close(r.done)
		defer stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks:
				r.reload(ctx)
				r.reloaded()
			}
		}
	}()
	return nil
}

// Shutdown ends reloading. Snapshots taken stay usable.
func (r *registry) Shutdown(context.Context) error {
	if r.cancel != nil {
		r.cancel()
		<-r.done
		r.cancel = nil
	}
	r.telemetry.Shutdown()
	return nil
}

// load reads the directory where it seems to have changed, and takes its schemas into use where all of them
// are good. It returns the problems that keep it from that, also when they are the same as before.
func (r *registry) load(ctx context.Context) []error {
	started := r.now()
	files, problems := scan(r.directory)
	if len(problems) == 0 && r.untouched(files) {
		return nil
	}
	var schemas []*schema.Schema
	if len(problems) == 0 {
		var changed bool
		schemas, r.cache, changed, problems = compileFiles(files, r.cache)
		if !changed && len(problems) == 0 && r.generation > 0 && len(r.problems) == 0 {
			r.files, r.loadedAt = files, started
			return nil
		}
	}
	if len(problems) == 0 && len(schemas) == 0 && len(r.Snapshot().Schemas()) > 0 {
		problems = append(problems, fmt.Errorf("directory %q: has no schemas any more; put them back, or restart to run without", r.directory))
	}
	if len(problems) == 0 {
		snapshot, err := schema.NewSnapshot(r.generation+1, schemas)
		if err != nil {
			problems = append(problems, fmt.Errorf("directory %q: %w", r.directory, err))
		} else {
			r.generation++
			r.current.Store(snapshot)
		}
	}
	r.files, r.loadedAt = files, started
	r.report(ctx, problems)
	return problems
}

// untouched says whether the last load took these files into use, long enough after their last change to have
// seen it. With a problem open the files are read each time: what mends it, such as a permission, may not show.
func (r *registry) untouched(files []file) bool {
	if r.generation == 0 || len(r.problems) > 0 || len(files) != len(r.files) {
		return false
	}
	for i := range files {
		if !files[i].sameAs(&r.files[i]) || r.loadedAt.Sub(files[i].modified) < settleTime {
			return false
		}
	}
	return true
}

// reload is load while running: the former schemas stay in use where the new ones are not good.
func (r *registry) reload(ctx context.Context) {
	before, generation := r.problems, r.generation
	problems := r.load(ctx)
	if len(problems) == 0 {
		if len(before) > 0 {
			r.logger.Info("The schemas are mended", zap.String("directory", r.directory), zap.Int("schemas", len(r.Snapshot().Schemas())))
			componentstatus.ReportStatus(r.host, componentstatus.NewEvent(componentstatus.StatusOK))
		} else if r.generation != generation {
			r.logger.Info("Reloaded the schemas", zap.String("directory", r.directory), zap.Int("schemas", len(r.Snapshot().Schemas())))
		}
		return
	}
	if slices.Equal(before, r.problems) {
		return
	}
	fresh := 0
	for _, p := range r.problems {
		if slices.Contains(before, p) {
			continue
		}
		if fresh++; fresh <= maxReported {
			r.logger.Error("Keeping the former schemas: " + p)
		}
	}
	if fresh > maxReported {
		r.logger.Error("Keeping the former schemas: there are more problems", zap.Int("not_logged", fresh-maxReported))
	}
	componentstatus.ReportStatus(r.host, componentstatus.NewRecoverableErrorEvent(errors.New(r.problems[0])))
}

// report counts a load and remembers its problems.
func (r *registry) report(ctx context.Context, problems []error) {
	texts := make([]string, 0, len(problems))
	for _, p := range problems {
		texts = append(texts, p.Error())
	}
	slices.Sort(texts)
	same := slices.Equal(texts, r.problems)
	r.problems = texts
	outcome := "success"
	if len(problems) > 0 {
		outcome = "failure"
	}
	if len(problems) == 0 || !same {
		r.telemetry.SchemaRegistryReloads.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
	}
	r.telemetry.SchemaRegistryProblems.Record(ctx, int64(len(problems)))
	r.telemetry.SchemaRegistrySchemas.Record(ctx, int64(len(r.Snapshot().Schemas())))
}
