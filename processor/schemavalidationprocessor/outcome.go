// SPDX-License-Identifier: Apache-2.0

package schemavalidationprocessor

// outcome is what becomes of an event.
type outcome uint8

const (
	valid   outcome = iota
	unknown         // accepted, though no schema describes it
	passed          // a receiver, or an agent that masks, had marked it as failed

	// The event is marked as failed.
	schemaViolation
	missingName
	nameTooLong
	idTooLong
	invalidUTF8
	tooDeep
	tooManyProperties
	timeOutOfRange
	failedUnknownEvent
	failedUnknownSchema
	failedUnknownVersion

	// The event is removed and its sender told so.
	refusedUnknownEvent
	refusedUnknownSchema
	refusedUnknownVersion

	outcomes // their number
)

// reasons are written to event.failure.reason and to the metric.
var reasons = [outcomes]string{
	schemaViolation:       "schema_violation",
	missingName:           "missing_event_name",
	nameTooLong:           "event_name_too_long",
	idTooLong:             "id_too_long",
	invalidUTF8:           "invalid_utf8",
	tooDeep:               "too_deep",
	tooManyProperties:     "too_many_properties",
	timeOutOfRange:        "event_time_out_of_range",
	failedUnknownEvent:    "unknown_event",
	failedUnknownSchema:   "unknown_schema",
	failedUnknownVersion:  "unknown_schema_version",
	refusedUnknownEvent:   "unknown_event",
	refusedUnknownSchema:  "unknown_schema",
	refusedUnknownVersion: "unknown_schema_version",
}

func (o outcome) reason() string { return reasons[o] }

func (o outcome) refused() bool { return o >= refusedUnknownEvent && o <= refusedUnknownVersion }

// String is the metric's outcome.
func (o outcome) String() string {
	switch {
	case o == valid:
		return "valid"
	case o == unknown:
		return "unknown"
	case o == passed:
		return "passed"
	case o.refused():
		return "refused"
	}
	return "failed"
}

// unknownness says what of an event is not registered.
type unknownness uint8

const (
	known unknownness = iota
	unknownEvent
	unknownSchema  // the subject that the event names
	unknownVersion // the version that it names of a registered subject
)

// under returns what becomes of an event of which that is unknown.
func (u unknownness) under(policy Policy) outcome {
	switch policy {
	case Fail:
		return failedUnknownEvent + outcome(u-unknownEvent)
	case Refuse:
		return refusedUnknownEvent + outcome(u-unknownEvent)
	}
	return unknown
}
