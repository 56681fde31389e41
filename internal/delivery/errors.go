// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"

	"go.opentelemetry.io/collector/consumer/consumererror"
)

// Blocked says whether an error of ConsumeLogs is permanent on every branch. A fan-out joins its branches' errors, and
// errors.As would find one permanent error among retryable ones: then the range must come again, and so it does.
func Blocked(err error) bool {
	if err == nil {
		return false
	}
	for {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			branches := joined.Unwrap()
			for _, b := range branches {
				if !Blocked(b) {
					return false
				}
			}
			return len(branches) > 0
		}
		var blocked *BlockedError
		if b, ok := err.(*BlockedError); ok { //nolint:errorlint // the tree is walked by hand
			blocked = b
		}
		if blocked != nil {
			return true
		}
		inner := errors.Unwrap(err)
		if inner == nil {
			return false
		}
		// core's permanent error is of an unexported type: it is the one whose wrapping is permanent and whose
		// inside is not, or whose inside is no fan-out.
		if consumererror.IsPermanent(err) && !consumererror.IsPermanent(inner) {
			return true
		}
		err = inner
	}
}
