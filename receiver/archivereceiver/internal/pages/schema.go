// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// Kind is what a column's values mean.
type Kind uint8

// The kinds. Unsupported is of columns that cannot be read: the rest of the file can.
const (
	Unsupported Kind = iota
	Text
	Bytes // BYTE_ARRAY or FIXED_LEN_BYTE_ARRAY without a meaning
	Bool
	Int  // signed, 32 or 64 bits
	Uint // unsigned, 32 or 64 bits
	Float32
	Float64
	Decimal   // of Scale
	Timestamp // of Unit
	Date      // days since 1970
	Time      // of the day, of Unit
	UUID
)

var kindNames = [...]string{
	"unsupported", "text", "bytes", "boolean", "integer", "unsigned integer", "float", "double", "decimal", "timestamp", "date", "time", "UUID",
}

// String names the kind for people.
func (k Kind) String() string { return kindNames[k] }

// Type is how the values of a column are stored and what they mean.
type Type struct {
	Kind     Kind
	Physical format.Type
	Width    int   // bytes of one value; 0 of BYTE_ARRAY and BOOLEAN
	Scale    int   // of a Decimal
	Unit     int64 // nanoseconds of one tick of a Timestamp or Time
}

// Leaf is a column of a file.
type Leaf struct {
	// Path names it, from the root: one name for a column that is not in a struct. The nodes that lists add are left out.
	Path []string
	// Each, where above 0, says that Path[:Each] leads to a list and that each of its elements holds Path[Each:]. Where
	// Each is len(Path), the elements are the values.
	Each int
	Type Type

	maxDefinition, maxRepetition int
	// elementDefinition is the least definition level at which the list has an element.
	elementDefinition int
}

// Repeated says whether a row has a list of values.
func (l *Leaf) Repeated() bool { return l.maxRepetition > 0 }

// schemaTree reads the flattened schema.
type schemaTree struct {
	elements []format.SchemaElement
	next     int
	leaves   []Leaf
}

// place is where the walk is.
type place struct {
	path                          []string
	each, definition, repetition  int
	elementDefinition             int
	inList, inMap, listItem, deep bool // inList: the parent is a LIST; listItem: the parent is its repeated group
}

func readSchema(elements []format.SchemaElement) ([]Leaf, error) {
	if len(elements) == 0 || len(elements) > maxSchemaElements {
		return nil, corrupt("its schema has %d elements", len(elements))
	}
	t := schemaTree{elements: elements, next: 1}
	root := &elements[0]
	for range root.NumChildren.V {
		if err := t.walk(place{}, 0); err != nil {
			return nil, err
		}
	}
	if t.next != len(elements) {
		return nil, corrupt("its schema has elements without a place")
	}
	return t.leaves, nil
}

func (t *schemaTree) walk(p place, depth int) error {
	if t.next >= len(t.elements) || depth > 100 {
		return corrupt("its schema is cut off or too deep")
	}
	e := &t.elements[t.next]
	t.next++
	parentIsList, parentIsItem := p.inList, p.listItem
	p.inList, p.listItem = false, false
	switch e.RepetitionType.V {
	case format.Optional:
		p.definition++
	case format.Repeated:
		p.definition++
		p.repetition++
		p.elementDefinition = p.definition
		if p.repetition > 1 {
			p.deep = true
		}
	}
	isLeaf := !e.NumChildren.Valid || e.NumChildren.V == 0
	switch repeated := e.RepetitionType.Valid && e.RepetitionType.V == format.Repeated; {
	case parentIsList && repeated: // "list" or "bag": the name says nothing
		p.each = len(p.path)
		p.listItem = true
		if !isLeaf && e.NumChildren.V > 1 { // of two forms this one's elements are the repeated group itself
			p.listItem = false
		}
	case parentIsItem: // "element" or "item"
	default:
		p.path = append(p.path[:len(p.path):len(p.path)], e.Name)
		if repeated {
			p.each = len(p.path)
		}
	}
	if isLeaf {
		if e.NumChildren.Valid && !e.Type.Valid {
			return nil // an empty struct has no column
		}
		leaf := Leaf{
			Path: p.path, Each: p.each, Type: typeOf(e), maxDefinition: p.definition, maxRepetition: p.repetition,
			elementDefinition: p.elementDefinition,
		}
		if p.deep || p.inMap || p.definition > 255 {
			leaf.Type.Kind = Unsupported
		}
		t.leaves = append(t.leaves, leaf)
		return nil
	}
	_, isList := e.LogicalType.Value.(*format.ListType)
	_, isMap := e.LogicalType.Value.(*format.MapType)
	if c := e.ConvertedType; c.Valid {
		isList = isList || c.V == deprecated.List
		isMap = isMap || c.V == deprecated.Map || c.V == deprecated.MapKeyValue
	}
	p.inList, p.inMap = isList, p.inMap || isMap
	for range e.NumChildren.V {
		if err := t.walk(p, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// Nanoseconds of the units of times.
const (
	micro = 1000
	milli = 1000 * micro
)

func unitOf(u format.TimeUnit) int64 {
	switch u.Value.(type) {
	case *format.MilliSeconds:
		return milli
	case *format.MicroSeconds:
		return micro
	default:
		return 1
	}
}

var widths = map[format.Type]int{format.Int32: 4, format.Int64: 8, format.Int96: 12, format.Float: 4, format.Double: 8}

// typeOf says what a leaf holds; one that contradicts itself is Unsupported.
func typeOf(e *format.SchemaElement) Type {
	t := Type{Physical: e.Type.V, Width: widths[e.Type.V]}
	isInt := t.Physical == format.Int32 || t.Physical == format.Int64
	switch t.Physical {
	case format.FixedLenByteArray:
		t.Width = int(e.TypeLength.V)
		if t.Width < 1 || t.Width > 1<<16 {
			return Type{}
		}
		t.Kind = Bytes
	case format.ByteArray:
		t.Kind = Bytes
	case format.Boolean:
		t.Kind = Bool
	case format.Int32, format.Int64:
		t.Kind = Int
	case format.Float:
		t.Kind = Float32
	case format.Double:
		t.Kind = Float64
	case format.Int96:
		t.Kind, t.Unit = Timestamp, 1
		return t
	default:
		return Type{}
	}
	annotation := Unsupported
	switch l := e.LogicalType.Value.(type) {
	case nil:
		annotation = t.converted(e)
	case *format.StringType, *format.EnumType, *format.JsonType:
		annotation = Text
	case *format.DecimalType:
		annotation, t.Scale = Decimal, int(l.Scale)
	case *format.DateType:
		annotation = Date
	case *format.TimeType:
		annotation, t.Unit = Time, unitOf(l.Unit)
	case *format.TimestampType:
		annotation, t.Unit = Timestamp, unitOf(l.Unit)
	case *format.IntType:
		if annotation = Int; !l.IsSigned {
			annotation = Uint
		}
	case *format.UUIDType:
		annotation = UUID
	}
	switch annotation {
	case Text:
		if t.Physical == format.ByteArray {
			t.Kind = Text
		}
	case Decimal:
		if isInt || t.Kind == Bytes && t.Width <= 16 { // a width of 0 is a BYTE_ARRAY's
			t.Kind = Decimal
		}
		if t.Scale < 0 || t.Scale > 38 {
			return Type{}
		}
	case Date:
		if t.Physical == format.Int32 {
			t.Kind = Date
		}
	case Time, Int, Uint:
		if isInt {
			t.Kind = annotation
		}
	case Timestamp:
		if t.Physical == format.Int64 {
			t.Kind = annotation
		}
	case UUID:
		if t.Physical == format.FixedLenByteArray && t.Width == 16 {
			t.Kind = UUID
		}
	}
	return t
}

// converted reads the older form of the annotation.
func (t *Type) converted(e *format.SchemaElement) Kind {
	if !e.ConvertedType.Valid {
		return Unsupported
	}
	switch e.ConvertedType.V {
	case deprecated.UTF8, deprecated.Enum, deprecated.Json:
		return Text
	case deprecated.Decimal:
		t.Scale = int(e.Scale.V)
		return Decimal
	case deprecated.Date:
		return Date
	case deprecated.TimeMillis:
		t.Unit = milli
		return Time
	case deprecated.TimeMicros:
		t.Unit = micro
		return Time
	case deprecated.TimestampMillis:
		t.Unit = milli
		return Timestamp
	case deprecated.TimestampMicros:
		t.Unit = micro
		return Timestamp
	case deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		return Int
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return Uint
	}
	return Unsupported
}

// Fixed says whether values are FIXED_LEN_BYTE_ARRAYs.
func (t *Type) Fixed() bool { return t.Physical == format.FixedLenByteArray }
