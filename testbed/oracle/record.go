// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/millrace/millrace/internal/segmentlog"
)

// Record is one record of a log.
type Record struct {
	Partition uint32
	Position  uint64
	Offset    uint64 // how many records of its append are before it
	Appended  int64  // processing time, Unix nanoseconds

	// Tick says that it is no event: Time is then what the tick recorded, 0 if no partition was active.
	Tick bool

	Time       int64 // Unix nanoseconds; of an event without one, when it was received
	Name       string
	ID         string         // log.record.uid
	Tenant     string         // of the resource
	Attributes map[string]any // of the record, then of the resource
}

// Text is an attribute as text: "" where there is none.
func (r *Record) Text(name string) string {
	if v, ok := r.Attributes[name]; ok && v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// Int is an attribute as an integer: 0 where it is none.
func (r *Record) Int(name string) int64 {
	n, _ := r.Attributes[name].(int64)
	return n
}

// ReadLog reads all that an event_log holds in its directory, partition by partition, in order. No collector may be using it.
func ReadLog(dir string, partitions int) (records []Record, err error) {
	log, err := segmentlog.Open(filepath.Join(dir, "segments"), segmentlog.Options{Partitions: partitions})
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	for p := range uint32(partitions) {
		var infos []segmentlog.Info
		if err := log.Scan(p, log.First(p), func(i segmentlog.Info) bool {
			infos = append(infos, i)
			return true
		}); err != nil {
			return nil, fmt.Errorf("reading partition %d: %w", p, err)
		}
		for _, i := range infos {
			if i.Kind == segmentlog.Tick {
				records = append(records, Record{Partition: p, Position: i.First, Appended: i.Appended, Tick: true, Time: i.EventTime})
				continue
			}
			b, err := log.Read(i, nil)
			if err != nil {
				return nil, fmt.Errorf("reading partition %d at %d: %w", p, i.First, err)
			}
			ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(b)
			if err != nil {
				return nil, fmt.Errorf("decoding partition %d at %d: %w", p, i.First, err)
			}
			if records, err = appendLogs(records, ld, Record{Partition: p, Position: i.First, Appended: i.Appended}); err != nil {
				return nil, err
			}
			if last := records[len(records)-1]; last.Position+1 != i.Next() {
				return nil, fmt.Errorf("partition %d has %d events at %d, and not %d", p, last.Position+1-i.First, i.First, i.Records)
			}
		}
	}
	return records, nil
}

// appendLogs appends the events of a batch, from the place of the first on.
func appendLogs(records []Record, ld plog.Logs, at Record) ([]Record, error) {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				r := at
				r.Name = lr.EventName()
				if r.Time = int64(lr.Timestamp()); r.Time == 0 {
					r.Time = int64(lr.ObservedTimestamp())
				}
				r.Attributes = map[string]any{}
				for _, m := range []pcommon.Map{lr.Attributes(), rl.Resource().Attributes()} {
					for k, v := range m.All() {
						if _, there := r.Attributes[k]; !there {
							r.Attributes[k] = v.AsRaw()
						}
					}
				}
				r.ID = r.Text("log.record.uid")
				if t, ok := rl.Resource().Attributes().Get("tenant.id"); ok {
					r.Tenant = t.AsString()
				}
				if r.Name == "" {
					return nil, fmt.Errorf("partition %d has a record without EventName at %d", r.Partition, r.Position)
				}
				records = append(records, r)
				at.Position++
				at.Offset++
			}
		}
	}
	return records, nil
}
