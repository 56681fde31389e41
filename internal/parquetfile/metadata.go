// SPDX-License-Identifier: Apache-2.0

package parquetfile

// Keys of the metadata that the exporter writes into a file's footer and the archive receiver reads there.
const (
	// KeyKind is one of the kinds.
	KeyKind = "millrace.kind"
	// KeyDataset is the event's name, as schemas know it, or "failed_events".
	KeyDataset = "millrace.dataset"
	// KeySchema is the schema's subject and the versions that the file's columns are of, such as "order_completed/1,2"; "" for
	// events without a schema.
	KeySchema = "millrace.schema"
	// KeyLayout is a Layout as JSON.
	KeyLayout = "millrace.layout"
	// KeyLog is a list of LogRange as JSON: which records of which log are in the file.
	KeyLog = "millrace.log"
	// KeyWriter names who wrote the file.
	KeyWriter = "millrace.writer"
)

// Kinds of files.
const (
	KindEvents       = "events"
	KindFailedEvents = "failed_events"
	KindResults      = "results" // what stages have emitted: read like events
)

// Layout says which property each typed column holds, so that the event can be read back as it was. Columns that it does
// not list are the envelope's.
type Layout struct {
	Columns []LayoutColumn `json:"columns"`
}

// LayoutColumn is one typed column: see schema.Property for Path and Each. Where versions of a schema read one column from
// several places, Path is that of the latest version.
type LayoutColumn struct {
	Name  string   `json:"name"`
	Path  []string `json:"path"`
	Each  int      `json:"each,omitempty"`
	Array bool     `json:"array,omitempty"` // the leaf is itself an array
	// Type is schema.Type's text, such as Decimal(18, 2).
	Type string `json:"type"`
	// Text says that the property's values are texts although Type is a number's.
	Text bool `json:"text,omitempty"`
	// Nanoseconds says that the property's values are integers, Unix nanoseconds, although Type is a time's.
	Nanoseconds bool `json:"nanoseconds,omitempty"`
}

// LogRange is what a file has of one partition of an event log: Rows of the records at positions First to Last.
type LogRange struct {
	Incarnation string `json:"incarnation"`
	Epoch       uint64 `json:"epoch"`
	Pipeline    string `json:"pipeline"`
	Partition   uint32 `json:"partition"`
	First       uint64 `json:"first"`
	Last        uint64 `json:"last"`
	Rows        uint64 `json:"rows"`
}
