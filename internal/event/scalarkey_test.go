// SPDX-License-Identifier: Apache-2.0

package event

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAKeyIsReadBack(t *testing.T) {
	values := []Scalar{{}, BoolScalar(true), BoolScalar(false), IntScalar(-3), DoubleScalar(math.Inf(1)), DoubleScalar(2.5), StringScalar(""), StringScalar("ü|x")}
	var b []byte
	for _, v := range values {
		b = v.AppendKey(b)
	}
	for _, want := range values {
		var got Scalar
		got, b = ParseKey(b)
		require.Equal(t, want, got)
	}
	require.Empty(t, b)
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte{byte(KindString), 200})
	f.Add(IntScalar(7).AppendKey(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			_, rest := ParseKey(b)
			require.Less(t, len(rest), len(b))
			b = rest
		}
	})
}
