// SPDX-License-Identifier: Apache-2.0

// Package rawgrpc passes bytes through gRPC as they are: messages that are encoded already, or that are none.
package rawgrpc

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// Option of a call whose request is a []byte and whose answer a *[]byte.
func Option() grpc.CallOption { return grpc.ForceCodecV2(codec{}) }

// codec has the name of the one that the other side has.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no encoded message", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T cannot hold an encoded message", v)
	}
	*b = data.Materialize()
	return nil
}
