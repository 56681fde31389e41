// SPDX-License-Identifier: Apache-2.0

package windowmetricsconnector

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/millrace/millrace/internal/configfields"
	"github.com/millrace/millrace/internal/window"
)

// Config is what users set.
type Config struct {
	window.Settings `mapstructure:",squash"`
	// Resource attributes of all metrics, beside or in place of service.name and service.instance.id.
	Resource map[string]string `mapstructure:"resource"`
	// MaxSeries is how many series a counter may have; what is beyond counts in one of their own.
	MaxSeries int `mapstructure:"max_series"`
	// ExpireAfter is how long, in event time, the total of a series without events is kept and repeated.
	ExpireAfter time.Duration `mapstructure:"expire_after"`
	// Aggregations whose results are metrics.
	Aggregations []Aggregation `mapstructure:"aggregations"`
}

// Definition is window.Definition, which the plan validates: core would call its Validate beside that.
type Definition window.Definition

// Aggregation is one, with the metrics that its values become.
type Aggregation struct {
	Definition `mapstructure:",squash"`
	// Metrics of the aggregation; one for each value that is a number if there are none.
	Metrics []Metric `mapstructure:"metrics"`
}

// Metric is what one value of an aggregation becomes.
type Metric struct {
	// Name by the conventions of OpenTelemetry, such as shop.orders.
	Name string `mapstructure:"name"`
	// Value is the name of one of the aggregation's values; it may be left out if there is one.
	Value string `mapstructure:"value"`
	// Type is gauge, counter or up_down_counter; counter for a count over tumbling windows, else gauge, if empty.
	Type string `mapstructure:"type"`
	// Unit by UCUM, such as s or {order}.
	Unit        string `mapstructure:"unit"`
	Description string `mapstructure:"description"`
}

// Metric.Type.
const (
	gauge         = "gauge"           // the window's value
	counter       = "counter"         // the total of all windows, which never falls
	upDownCounter = "up_down_counter" // the total of all windows
)

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
	_ confmap.Validator   = (*Config)(nil)
)

// Unmarshal names a field that cannot be read, and the mend.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return configfields.Unmarshal(conf, c) }

// defaultGroups is how many groups a window may have in a partition if it is not said: each is a series of every metric, and
// OpenTelemetry's SDKs stop at as many.
const defaultGroups = 2000

func createDefaultConfig() component.Config {
	return &Config{Settings: window.DefaultSettings(), MaxSeries: 10_000, ExpireAfter: 24 * time.Hour}
}

const (
	maxSeries = 1_000_000
	maxUnit   = 63
)

var (
	metricName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]{0,254}$`) // as of OpenTelemetry's instruments
	unitText   = regexp.MustCompile(`^[ -~]*$`)
)

// Validate names field, value and mend.
func (c *Config) Validate() error {
	if err := c.Check(); err != nil {
		return err
	}
	if c.MaxSeries < 1 || c.MaxSeries > maxSeries {
		return fmt.Errorf("max_series: %d: use a number from 1 to %d", c.MaxSeries, maxSeries)
	}
	if c.ExpireAfter < time.Minute {
		return fmt.Errorf("expire_after: %s: use at least 1m", c.ExpireAfter)
	}
	if err := window.ValidateTime("expire_after", c.ExpireAfter); err != nil {
		return err
	}
	for name := range c.Resource {
		if name == "" {
			return errors.New("resource: an attribute has no name: name it, such as service.name")
		}
	}
	_, err := c.plan()
	return err
}

// plan compiles the configuration.
func (c *Config) plan() (*plan, error) {
	definitions := make([]window.Definition, len(c.Aggregations))
	for i := range c.Aggregations {
		d := window.Definition(c.Aggregations[i].Definition)
		fail := func(field, mend string) error { return fmt.Errorf("aggregations::%d::%s: %s", i, field, mend) }
		switch t := d.Window.Type; {
		case t != window.Tumbling && t != window.Hopping && t != "":
			return nil, fail("window::type", fmt.Sprintf("%q has no metrics, which are values at regular times: use tumbling or hopping", t))
		case d.Early.Every != 0:
			return nil, fail("early", "a point cannot be taken back, so each window has one: leave it out, and use a smaller window")
		case d.Table.Name != "" || d.Table.TTL != 0 || len(d.Table.OrderBy) > 0:
			return nil, fail("table", "metrics have none: leave it out, or use the window_aggregation processor")
		}
		if d.CardinalityLimit == 0 {
			d.CardinalityLimit = defaultGroups
		}
		definitions[i] = d
	}
	engine, err := window.NewPlan(c.Options(), definitions)
	if err != nil {
		return nil, err
	}
	p := &plan{engine: engine, maxSeries: c.MaxSeries, expire: int64(c.ExpireAfter)}
	tables := engine.Tables()
	names := map[string]bool{}
	for i := range definitions {
		a := newAggregation(i, &definitions[i], tables[i])
		if err := a.addMetrics(c.Aggregations[i].Metrics); err != nil {
			return nil, fmt.Errorf("aggregations::%d::%w", i, err)
		}
		for _, m := range a.metrics {
			if names[m.name] {
				return nil, fmt.Errorf("aggregations::%d::metrics: %q is another one's name: choose another", i, m.name)
			}
			names[m.name] = true
			p.metrics = append(p.metrics, m)
		}
		p.aggregations = append(p.aggregations, a)
	}
	return p, nil
}
