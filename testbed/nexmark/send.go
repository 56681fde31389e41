// SPDX-License-Identifier: Apache-2.0

package nexmark

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/testbed/rawgrpc"
)

const exportMethod = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

// Sender sends requests by OTLP/gRPC, one after the other, so that events arrive in the order in which they are sent.
type Sender struct {
	conn *grpc.ClientConn
	addr string
}

// NewSender to host:port. Close it.
func NewSender(addr string) (*Sender, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return nil, fmt.Errorf("opening OTLP/gRPC to %s: %w", addr, err)
	}
	return &Sender{conn: conn, addr: addr}, nil
}

// Close ends the connection.
func (s *Sender) Close() error { return s.conn.Close() }

var errRejected = errors.New("the receiver rejected events")

// Send returns nil when the request is acknowledged. What is refused for now is sent again until the context ends.
func (s *Sender) Send(ctx context.Context, request []byte) error {
	for {
		var answer []byte
		err := s.conn.Invoke(ctx, exportMethod, request, &answer, rawgrpc.Option())
		if err == nil {
			resp := plogotlp.NewExportResponse()
			if err := resp.UnmarshalProto(answer); err != nil {
				return fmt.Errorf("decoding the answer of %s: %w", s.addr, err)
			}
			if p := resp.PartialSuccess(); p.RejectedLogRecords() > 0 {
				return fmt.Errorf("%w: %d: %s", errRejected, p.RejectedLogRecords(), p.ErrorMessage())
			}
			return nil
		}
		switch status.Code(err) {
		case codes.ResourceExhausted, codes.Unavailable, codes.Aborted:
		default:
			return fmt.Errorf("sending to %s: %w", s.addr, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("sending to %s: %w", s.addr, errors.Join(err, ctx.Err()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
