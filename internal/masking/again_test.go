// SPDX-License-Identifier: Apache-2.0

package masking

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// What an agent has masked a gateway masks too, and once more when it is reprocessed. Only FPE, which leaves no mark, goes on.
func TestASecondTimeChangesNothing(t *testing.T) {
	decimals := -2
	for _, s := range []Spec{
		{Action: Redact}, {Action: Redact, Replacement: "gone"}, {Action: Partial}, {Action: Partial, KeepFirst: 2, KeepLast: 3}, {Action: Truncate},
		{Action: Truncate, KeepFirst: 3, Date: "month"}, {Action: Truncate, Decimals: &decimals}, {Action: Pseudonym}, {Action: Token}, {Action: Erasable},
		{Action: Bucket, Width: 10}, {Action: Bucket, Width: 0.5}, {Action: Bucket, Width: 1}, {Action: Bucket, Bounds: []float64{-5, 18, 65.5}}, {Action: Drop},
	} {
		a := newAction(t, s)
		for _, class := range []string{"email", "phone", "payment_card", "ip_address", "coordinates", "birth_date", "age", "name", "postal_code", "secret"} {
			for _, form := range []Form{Any, Text, EmailAddress, Date, DateTime, UUID, Digits, Integer, Number} {
				for _, v := range []Value{
					textOf("ann.lee@example.com"), textOf("+49 1512 3456789"), textOf("4111 1111 1111 1111"), textOf("203.0.113.77"), textOf("2001:db8::17/64"),
					textOf("48.123456, 2.123456"), textOf("17.05.1984"), textOf("1984-05-17"), textOf("1984-05-17T10:00:00Z"), textOf("34"), textOf("-34.25"),
					textOf("Zoë Ann Lee"), textOf("89073"), textOf("8f14e45f-ceea-467f-8e3d-1d2b8d6cf3a1"), {Kind: IntValue, Int: 37}, {Kind: IntValue, Int: -123456},
					{Kind: DoubleValue, Double: 48.123456}, {Kind: DoubleValue, Double: -0.25},
				} {
					if v.Kind != TextValue && (form == Text || form == Digits) {
						continue // no schema takes it there
					}
					target := Target{Tenant: "t1", Class: class, Form: form}
					once, err := a.Mask(v, &target)
					if errors.Is(err, ErrDrop) {
						continue
					}
					require.NoError(t, err)
					again, err := a.Mask(once, &target)
					require.NoError(t, err, "%v of %v in form %d", s, v, form)
					require.Equal(t, once, again, "%v of a %s %v in form %d", s, class, v, form)
				}
			}
		}
	}
}
