// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/binary"
	"math"
)

// ParseKey reads the first value that AppendKey wrote, and returns the rest. A map, a slice or bytes are their text. Of bytes that
// AppendKey did not write it returns an empty value and no rest.
func ParseKey(b []byte) (s Scalar, rest []byte) {
	if len(b) == 0 {
		return Scalar{}, nil
	}
	kind := Kind(b[0])
	b = b[1:]
	switch kind {
	case KindEmpty:
		return Scalar{}, b
	case KindBool:
		if len(b) < 1 {
			return Scalar{}, nil
		}
		return BoolScalar(b[0] != 0), b[1:]
	case KindInt, KindDouble:
		if len(b) < 8 {
			return Scalar{}, nil
		}
		bits := binary.BigEndian.Uint64(b)
		if kind == KindInt {
			return IntScalar(int64(bits)), b[8:]
		}
		return DoubleScalar(math.Float64frombits(bits)), b[8:]
	}
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return Scalar{}, nil
	}
	return StringScalar(string(b[k : k+int(n)])), b[k+int(n):]
}
