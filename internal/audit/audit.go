// SPDX-License-Identifier: Apache-2.0

// Package audit keeps the record of what was done with personal data: what was masked, who read it in clear, who was erased. It never
// holds a value, and of a person the handle only.
package audit

import "time"

// Action is what was done.
type Action string

// The actions.
const (
	Masked      Action = "masked"      // a sum over some time
	WouldMask   Action = "would_mask"  // the same in a dry run
	Detokenized Action = "detokenized" // each use
	Refused     Action = "refused"     // a use that was not allowed or could not be served
	Erased      Action = "erased"
	LookedUp    Action = "looked_up" // the pseudonyms of a value that somebody knows
	Unsealed    Action = "unsealed"
	KeyChanged  Action = "key_changed"
)

// Record is one line of the log.
type Record struct {
	Time      time.Time `json:"time"`
	Action    Action    `json:"action"`
	Component string    `json:"component,omitempty"` // ID of the component
	Actor     string    `json:"actor,omitempty"`     // who asked, as they named themselves or were authenticated
	Purpose   string    `json:"purpose,omitempty"`   // why, as they said
	Tenant    string    `json:"tenant,omitempty"`
	Subject   string    `json:"subject,omitempty"` // a handle
	KeyID     string    `json:"key_id,omitempty"`
	Class     string    `json:"class,omitempty"`
	Field     string    `json:"field,omitempty"`
	Rule      string    `json:"rule,omitempty"`
	Masking   string    `json:"masking,omitempty"` // the action that was carried out on the values
	Event     string    `json:"event,omitempty"`   // subject of the schema
	Count     int64     `json:"count,omitempty"`
	Outcome   string    `json:"outcome,omitempty"`
}

// Log takes records. Callable by any goroutine.
type Log interface {
	// Write adds the records. When it returns nil they are synced to the disk. What must not happen unrecorded is done
	// after it.
	Write(records ...Record) error
}
