// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"cmp"
	"fmt"
)

// Type of a function's values and results, as configurations name it.
type Type string

// The types. Ranked and Texts are a result's only.
const (
	Integer Type = "integer" // int64
	Number  Type = "number"  // float64
	String  Type = "string"
	Boolean Type = "boolean"
	Time    Type = "time"   // Unix nanoseconds
	Ranked  Type = "ranked" // top_k's list of values with counts
	Texts   Type = "texts"  // last_k's list of values
)

// Names of functions.
const (
	Count         = "count"          // events, or non-null values of a field
	Sum           = "sum"            // integer, number
	Min           = "min"            // integer, number, string, time
	Max           = "max"            // integer, number, string, time
	Avg           = "avg"            // number
	SumSquares    = "sum_squares"    // number
	Variance      = "variance"       // of a sample (divided by n-1): number, Null of fewer than two
	Stddev        = "stddev"         // its square root
	First         = "first"          // the value of the least Point: any type
	Last          = "last"           // the value of the greatest Point: any type
	ArgMax        = "arg_max"        // the value where By is greatest; of several the one of the least Point
	ArgMin        = "arg_min"        // the value where By is least; of several the one of the least Point
	CountDistinct = "count_distinct" // integer
	Quantile      = "quantile"       // number
	TopK          = "top_k"          // ranked
	LastK         = "last_k"         // the last values that differ, the last one first: texts
)

// None says that a Spec has no column or no filter.
const None = -1

// Spec is one function of a Set.
type Spec struct {
	Function string
	// Column of the values. None counts events; only count may have it.
	Column int
	// By is the column that arg_max and arg_min compare. Others have None.
	By int
	// Filter is the bit of Add's mask that must be set for an event to be added. None adds every event.
	Filter int
	// Type of the values. Empty is number, and string for first, last, arg_max and arg_min.
	Type Type
	// ByType is the type of By: number (if empty), integer or time.
	ByType Type

	// Quantile to tell, from 0 to 1.
	Quantile float64
	// Accuracy is the relative error of a quantile; 0 is 0.01. From 0.001 to 0.1.
	Accuracy float64
	// K is how many values top_k and last_k tell; 0 is 10. At most 500, of last_k 100.
	K int
	// Capacity is how many values top_k follows to find them; 0 is 8 times K and at least 64. At most 4,096; time to add grows with it.
	Capacity int
	// Precision of count_distinct, from 10 to 16: 2^Precision registers, with a standard error of 1.04/sqrt(2^Precision). 0 is 14: 0.81 %, 12 KiB.
	Precision int
	// Exact is how many distinct values count_distinct counts exactly, at 8 bytes each; 0 is 64. At most 32,768; adding one more to so many takes microseconds.
	Exact int
	// MaxBytes is where text of min, max, first, last, last_k, arg_max and arg_min is cut, at a character's start; 0 is 1,024. At most 4,096.
	MaxBytes int
}

// Point says when and where an event came: what breaks ties.
type Point struct {
	Time      int64 // of the event, Unix nanoseconds
	Partition uint32
	Position  uint64 // in its partition
}

// Compare orders points by time, then partition, then position.
func (p Point) Compare(q Point) int {
	return cmp.Or(cmp.Compare(p.Time, q.Time), cmp.Compare(p.Partition, q.Partition), cmp.Compare(p.Position, q.Position))
}

// Value is a result. The zero Value is Null: there is no such value, as the least of nothing.
type Value struct {
	Type  Type // empty if Null
	Int   int64
	Float float64
	Text  string
	Bool  bool
	List  []Entry // of Ranked, and of Texts without counts
	// Saturated says that Int is the nearest to a sum that does not fit.
	Saturated bool
}

// IsNull says whether there is no value.
func (v Value) IsNull() bool { return v.Type == "" }

// Entry is one value of a top_k: Count is at least what it occurred, and at most Error more than that.
type Entry struct {
	Value        string
	Count, Error int64
}

// Reason says why a value was not added.
type Reason uint8

// The reasons. As text they are values of a metric's attribute.
const (
	Added Reason = iota
	ReasonWrongType
	ReasonNotANumber
	ReasonInfinite
	ReasonNotATime
	ReasonOverflow
	reasons
)

// String is the reason as a metric's attribute tells it.
func (r Reason) String() string {
	return [reasons]string{"", "wrong_type", "not_a_number", "infinite", "not_a_time", "overflow"}[r]
}

func (s *Spec) withDefaults() Spec {
	d := *s
	if d.Type == "" {
		switch s.Function {
		case First, Last, ArgMax, ArgMin:
			d.Type = String
		default:
			d.Type = Number
		}
	}
	d.ByType = cmp.Or(d.ByType, Number)
	d.Accuracy = cmp.Or(d.Accuracy, 0.01)
	d.K = cmp.Or(d.K, 10)
	d.Capacity = cmp.Or(d.Capacity, max(8*d.K, 64))
	d.Precision = cmp.Or(d.Precision, 14)
	d.Exact = cmp.Or(d.Exact, 64)
	d.MaxBytes = cmp.Or(d.MaxBytes, 1024)
	return d
}

// Validate says in one line what is wrong with the function, whatever the number of columns and filters.
func (s *Spec) Validate() error {
	d := s.withDefaults()
	allowed := map[string][]Type{
		Count: nil, CountDistinct: nil, TopK: nil, LastK: nil,
		Sum: {Integer, Number}, Avg: {Integer, Number}, SumSquares: {Integer, Number}, Variance: {Integer, Number}, Stddev: {Integer, Number}, Quantile: {Integer, Number},
		Min: {Integer, Number, String, Time}, Max: {Integer, Number, String, Time},
		First: {Integer, Number, String, Boolean, Time}, Last: {Integer, Number, String, Boolean, Time},
		ArgMax: {Integer, Number, String, Boolean, Time}, ArgMin: {Integer, Number, String, Boolean, Time},
	}
	types, known := allowed[d.Function]
	switch {
	case !known:
		return fmt.Errorf("function %q is not known: use count, sum, min, max, avg, sum_squares, variance, stddev, first, last, arg_max, arg_min, count_distinct, quantile, top_k or last_k", d.Function)
	case types == nil && s.Type != "":
		return fmt.Errorf("type %q: %s takes values of any type, leave it out", s.Type, d.Function)
	case types != nil && !contains(types, d.Type):
		return fmt.Errorf("type %q: %s takes %v", d.Type, d.Function, types)
	case d.Function != Count && d.Column < 0:
		return fmt.Errorf("%s needs a field", d.Function)
	case d.arg() && d.By < 0:
		return fmt.Errorf("%s needs a field to compare by", d.Function)
	case !d.arg() && s.By > 0:
		return fmt.Errorf("%s compares by no field: use arg_max or arg_min", d.Function)
	case d.arg() && !contains([]Type{Integer, Number, Time}, d.ByType):
		return fmt.Errorf("type %q to compare by: use integer, number or time", d.ByType)
	case d.Filter >= maxFilters:
		return fmt.Errorf("filter %d: there can be at most %d", d.Filter, maxFilters)
	case !(d.Quantile >= 0 && d.Quantile <= 1):
		return fmt.Errorf("quantile %v: use a number from 0 to 1", d.Quantile)
	case !(d.Accuracy >= 0.001 && d.Accuracy <= 0.1):
		return fmt.Errorf("accuracy %v: use a number from 0.001 to 0.1", d.Accuracy)
	case d.K < 1 || d.K > 500:
		return fmt.Errorf("k %d: use a number from 1 to 500", d.K)
	case d.Function == LastK && d.K > maxRecent:
		return fmt.Errorf("k %d: use a number from 1 to %d", d.K, maxRecent)
	case d.Capacity < d.K || d.Capacity > 4096:
		return fmt.Errorf("capacity %d: use a number from k to 4096", d.Capacity)
	case d.Precision < 10 || d.Precision > 16:
		return fmt.Errorf("precision %d: use a number from 10 to 16", d.Precision)
	case d.Exact < 1 || d.Exact > 32768:
		return fmt.Errorf("exact %d: use a number from 1 to 32768", d.Exact)
	case d.MaxBytes < 16 || d.MaxBytes > 4096:
		return fmt.Errorf("max_bytes %d: use a number from 16 to 4096", d.MaxBytes)
	}
	return nil
}

func (s *Spec) arg() bool { return s.Function == ArgMax || s.Function == ArgMin }

func contains(types []Type, t Type) bool {
	for _, u := range types {
		if t == u {
			return true
		}
	}
	return false
}

// ResultType is the type of the function's results that are not Null.
func (s *Spec) ResultType() Type {
	switch s.Function {
	case Count, CountDistinct:
		return Integer
	case TopK:
		return Ranked
	case LastK:
		return Texts
	case Avg, SumSquares, Variance, Stddev, Quantile:
		return Number
	}
	d := s.withDefaults()
	return d.Type
}
