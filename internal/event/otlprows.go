// SPDX-License-Identifier: Apache-2.0

package event

import "unsafe"

// rawReader is what a RowReader keeps for OTLP bytes.
type rawReader struct{}

func (r *RowReader) eachRaw(chunks []Chunk, f func(i int, row *Row) bool) error {
	return r.Each(FromLogs(FromBytes(chunks).Logs()), f)
}

func rawMember(raw []byte, path string) (Scalar, nested, error) { return Scalar{}, nested{}, nil }

func appendRawJSON(dst []byte, kind Kind, raw []byte, depth int) ([]byte, error) { return dst, nil }

// view is a text that is as long valid as the bytes stay what they are.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
