// SPDX-License-Identifier: Apache-2.0

package window

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"

	"github.com/millrace/millrace/internal/event"
)

// OTTL is read in the context of a log record, as contrib's filter processor does. Whoever uses it pays for it: the batch is decoded.

type record = *ottllog.TransformContext

// expression is an OTTL value expression. compiled is nil in a Plan that is read only.
type expression struct {
	text     string
	compiled *ottl.ValueExpression[record]
}

// filter is an OTTL condition. compiled is nil in a Plan that is read only.
type filter struct {
	text     string
	compiled *ottl.Condition[record]
}

// functions are those whose value is the same at every replay, without the few that bring large libraries (XML, grok,
// user agents).
func functions() map[string]ottl.Factory[record] {
	return ottl.CreateFactoryMap(
		ottlfuncs.NewBase64DecodeFactory[record](), ottlfuncs.NewBoolFactory[record](), ottlfuncs.NewCoalesceFactory[record](),
		ottlfuncs.NewConcatFactory[record](), ottlfuncs.NewContainsValueFactory[record](), ottlfuncs.NewConvertCaseFactory[record](),
		ottlfuncs.NewDayFactory[record](), ottlfuncs.NewDoubleFactory[record](), ottlfuncs.NewDurationFactory[record](),
		ottlfuncs.NewExtractPatternsFactory[record](), ottlfuncs.NewFnvFactory[record](), ottlfuncs.NewFormatFactory[record](),
		ottlfuncs.NewFormatTimeFactory[record](), ottlfuncs.NewHasPrefixFactory[record](), ottlfuncs.NewHasSuffixFactory[record](),
		ottlfuncs.NewHourFactory[record](), ottlfuncs.NewHoursFactory[record](), ottlfuncs.NewIndexFactory[record](),
		ottlfuncs.NewIntFactory[record](), ottlfuncs.NewIsBoolFactory[record](), ottlfuncs.NewIsDoubleFactory[record](),
		ottlfuncs.NewIsEmptyFactory[record](), ottlfuncs.NewIsInCIDRFactory[record](), ottlfuncs.NewIsIntFactory[record](),
		ottlfuncs.NewIsListFactory[record](), ottlfuncs.NewIsMapFactory[record](), ottlfuncs.NewIsMatchFactory[record](),
		ottlfuncs.NewIsStringFactory[record](), ottlfuncs.NewLenFactory[record](), ottlfuncs.NewLogFactory[record](),
		ottlfuncs.NewMillisecondsFactory[record](), ottlfuncs.NewMinuteFactory[record](), ottlfuncs.NewMinutesFactory[record](),
		ottlfuncs.NewMonthFactory[record](), ottlfuncs.NewNanosecondsFactory[record](), ottlfuncs.NewParseIntFactory[record](),
		ottlfuncs.NewParseJSONFactory[record](), ottlfuncs.NewParseKeyValueFactory[record](), ottlfuncs.NewSecondFactory[record](),
		ottlfuncs.NewSecondsFactory[record](), ottlfuncs.NewSHA256Factory[record](), ottlfuncs.NewSplitFactory[record](),
		ottlfuncs.NewStringFactory[record](), ottlfuncs.NewSubstringFactory[record](), ottlfuncs.NewTimeFactory[record](),
		ottlfuncs.NewToLowerCaseFactory[record](), ottlfuncs.NewToUpperCaseFactory[record](), ottlfuncs.NewTrimFactory[record](),
		ottlfuncs.NewTrimPrefixFactory[record](), ottlfuncs.NewTrimSuffixFactory[record](), ottlfuncs.NewTruncateTimeFactory[record](),
		ottlfuncs.NewUnixFactory[record](), ottlfuncs.NewUnixMicroFactory[record](), ottlfuncs.NewUnixMilliFactory[record](),
		ottlfuncs.NewUnixNanoFactory[record](), ottlfuncs.NewUnixSecondsFactory[record](), ottlfuncs.NewURLFactory[record](),
		ottlfuncs.NewWeekdayFactory[record](), ottlfuncs.NewXXH3Factory[record](), ottlfuncs.NewYearFactory[record](),
	)
}

// impure finds functions whose value is another at a replay.
var impure = regexp.MustCompile(`\b(Now|UUID|UUIDv7|RandomInt|Random)\(`)

func checkPure(text string) error {
	if found := impure.FindString(text); found != "" {
		return fmt.Errorf("%s) gives another value at a replay: use event.time or another field of the event", found)
	}
	return nil
}

// parser of the plan's OTTL.
func (p *Plan) ottl() (*ottl.Parser[record], error) {
	if p.parser == nil {
		parser, err := ottllog.NewParser(functions(), component.TelemetrySettings{Logger: zap.NewNop(), MeterProvider: noop.NewMeterProvider()})
		if err != nil {
			return nil, fmt.Errorf("creating a parser: %w", err)
		}
		p.parser = &parser
	}
	return p.parser, nil
}

// parserOf a text whose functions are the same at a replay.
func (p *Plan) parserOf(text string) (*ottl.Parser[record], error) {
	if err := checkPure(text); err != nil {
		return nil, err
	}
	return p.ottl()
}

func ottlError(text string, err error) error {
	return fmt.Errorf("%q is not read: %w; functions are %v", text, err, slices.Sorted(maps.Keys(functions())))
}

// condition compiles an OTTL condition and returns its number.
func (p *Plan) condition(text string) (int, error) {
	f := &filter{text: text}
	if !p.readOnly {
		parser, err := p.parserOf(text)
		if err != nil {
			return 0, err
		}
		if f.compiled, err = parser.ParseCondition(text); err != nil {
			return 0, ottlError(text, err)
		}
	}
	p.filters = append(p.filters, f)
	return len(p.filters) - 1, nil
}

// expression compiles an OTTL value expression and returns its number.
func (p *Plan) expression(text string) (int, error) {
	if i := slices.IndexFunc(p.expressions, func(e *expression) bool { return e.text == text }); i >= 0 {
		return i, nil
	}
	e := &expression{text: text}
	if !p.readOnly {
		parser, err := p.parserOf(text)
		if err != nil {
			return 0, err
		}
		if e.compiled, err = parser.ParseValueExpression(text); err != nil {
			return 0, ottlError(text, err)
		}
	}
	p.expressions = append(p.expressions, e)
	return len(p.expressions) - 1, nil
}

// evaluation is all filters and expressions over one batch.
type evaluation struct {
	filters, expressions int
	verdicts             []bool // by event, then filter
	results              []event.Scalar
	errors               []int64 // by filter, then by expression
	at                   int     // the event at hand
	values               []event.Scalar
}

// evaluate a batch; nil if there is nothing to. What fails on an event does not hold, or is no value there, and is counted.
func (p *Plan) evaluate(b event.Batch) (*evaluation, error) {
	if len(p.filters)+len(p.expressions) == 0 {
		return nil, nil
	}
	ld, err := b.Decode()
	if err != nil {
		return nil, err
	}
	v := &evaluation{
		filters: len(p.filters), expressions: len(p.expressions), errors: make([]int64, len(p.filters)+len(p.expressions)),
		values: make([]event.Scalar, len(p.names)+len(resultFields)+len(p.expressions)),
	}
	ctx := context.Background()
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				tc := ottllog.NewTransformContextPtr(rl, sl, lr)
				for i, f := range p.filters {
					holds, err := f.compiled.Eval(ctx, tc)
					if err != nil {
						v.errors[i]++
					}
					v.verdicts = append(v.verdicts, holds && err == nil)
				}
				for i, e := range p.expressions {
					value, err := e.compiled.Eval(ctx, tc)
					if err != nil {
						v.errors[v.filters+i]++
						value = nil
					}
					v.results = append(v.results, scalarOfOTTL(value))
				}
				tc.Close()
			}
		}
	}
	return v, nil
}

// row makes the event the one at hand, and returns its values with those of expressions.
func (v *evaluation) row(i int, values []event.Scalar) []event.Scalar {
	v.at = i
	clear(v.values)
	copy(v.values, values)
	copy(v.values[len(v.values)-v.expressions:], v.results[i*v.expressions:(i+1)*v.expressions])
	return v.values
}

// holds says whether the filter holds for the event at hand.
func (v *evaluation) holds(filter int) bool { return v.verdicts[v.at*v.filters+filter] }

func scalarOfOTTL(value any) event.Scalar {
	switch v := value.(type) {
	case string:
		return event.StringScalar(v)
	case int64:
		return event.IntScalar(v)
	case float64:
		return event.DoubleScalar(v)
	case bool:
		return event.BoolScalar(v)
	case time.Time:
		return event.IntScalar(v.UnixNano())
	case time.Duration:
		return event.IntScalar(int64(v))
	case pcommon.Value:
		return scalarOfOTTL(v.AsRaw())
	case map[string]any, pcommon.Map:
		return event.Scalar{Kind: event.KindMap}
	case []any, pcommon.Slice:
		return event.Scalar{Kind: event.KindSlice}
	}
	return event.Scalar{}
}

// countErrors tells how often OTTL failed on an event, by what it is of.
func (p *Plan) countErrors(v *evaluation, o Observer) {
	if v == nil {
		return
	}
	const reason = "expression_error"
	for _, a := range p.aggs {
		if a.filter >= 0 && v.errors[a.filter] > 0 {
			o.Skipped(a.def.Name, "filter", reason, v.errors[a.filter])
		}
		for i := range a.def.Values {
			value := &a.def.Values[i]
			if value.Expression == "" {
				continue
			}
			n := slices.IndexFunc(p.expressions, func(e *expression) bool { return e.text == value.Expression })
			if n >= 0 && v.errors[v.filters+n] > 0 {
				o.Skipped(a.def.Name, value.As, reason, v.errors[v.filters+n])
			}
		}
	}
}
