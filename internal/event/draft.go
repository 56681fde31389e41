// SPDX-License-Identifier: Apache-2.0

package event

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Builder collects new events of one source into a batch. The zero value is not ready: use NewBuilder.
type Builder struct {
	logs    plog.Logs
	records plog.LogRecordSlice
}

// NewBuilder starts a batch of events of one tenant and source ("" where unknown). What else describes the
// source goes into scopeName, the receiver's full name, as OTel's scopes do.
func NewBuilder(tenant, source, scopeName string) *Builder {
	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	if tenant != "" {
		rl.Resource().Attributes().PutStr(keyTenant, tenant)
	}
	if source != "" {
		rl.Resource().Attributes().PutStr(keySource, source)
	}
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName(scopeName)
	return &Builder{logs: logs, records: sl.LogRecords()}
}

// Add appends an empty event.
func (b *Builder) Add() Draft { return Draft{lr: b.records.AppendEmpty()} }

// Len returns the number of events so far.
func (b *Builder) Len() int { return b.records.Len() }

// Batch returns what was built. The Builder is not to be used after.
func (b *Builder) Batch() Batch { return Batch{logs: b.logs} }

// Draft is an event being written. Setting "" leaves a field absent.
type Draft struct{ lr plog.LogRecord }

// SetName sets the event's name.
func (d Draft) SetName(s string) { d.lr.SetEventName(s) }

// SetTime sets when it happened, in nanoseconds since the epoch.
func (d Draft) SetTime(t pcommon.Timestamp) { d.lr.SetTimestamp(t) }

// SetReceived sets when it reached us.
func (d Draft) SetReceived(t pcommon.Timestamp) { d.lr.SetObservedTimestamp(t) }

// SetID sets the ID by which duplicates are known.
func (d Draft) SetID(s string) { d.put(keyID, s) }

// SetUserID sets the known user.
func (d Draft) SetUserID(s string) { d.put(keyUser, s) }

// SetAnonymousID sets the pseudonymous user, such as a device's or browser's ID.
func (d Draft) SetAnonymousID(s string) { d.put(keyAnonymous, s) }

// SetSessionID sets the producer's own session ID.
func (d Draft) SetSessionID(s string) { d.put(keySession, s) }

// SetSchema names the schema that describes the event.
func (d Draft) SetSchema(subject, version string) {
	d.put(keySchema, subject)
	d.put(keySchemaVersion, version)
}

// SetBody keeps a text, such as an event as it was received that could not be read.
func (d Draft) SetBody(s string) { d.lr.Body().SetStr(s) }

// Fail marks the event as failed.
func (d Draft) Fail(f Failure) { writeFailure(d.lr.Attributes(), f) }

// Put sets a string property or, in a context namespace ("segment.…"), a context value.
func (d Draft) Put(key, value string) { d.put(key, value) }

func (d Draft) put(key, value string) {
	if value != "" {
		d.lr.Attributes().PutStr(key, value)
	}
}

// Reset empties the draft, so that a half-read event can be written anew.
func (d Draft) Reset() { plog.NewLogRecord().MoveTo(d.lr) }
