// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // makes the compressor known
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/testbed/rawgrpc"
)

const exportMethod = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

// grpcSender calls OTLP's logs service with bytes that are encoded already.
type grpcSender struct {
	conn    *grpc.ClientConn
	targets *Targets
	opts    []grpc.CallOption
}

var _ sender = (*grpcSender)(nil)

func newGRPCSender(t *Targets) (*grpcSender, error) {
	conn, err := grpc.NewClient(t.OTLPGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return nil, fmt.Errorf("opening OTLP/gRPC to %s: %w", t.OTLPGRPC, err)
	}
	s := &grpcSender{conn: conn, targets: t, opts: []grpc.CallOption{rawgrpc.Option()}}
	if t.Gzip {
		s.opts = append(s.opts, grpc.UseCompressor("gzip"))
	}
	return s, nil
}

func (s *grpcSender) close() error { return s.conn.Close() }

func (s *grpcSender) send(ctx context.Context, b *batch) outcome {
	ctx, cancel := context.WithTimeout(ctx, s.targets.Timeout)
	defer cancel()
	var answer []byte
	err := s.conn.Invoke(ctx, exportMethod, b.body, &answer, s.opts...)
	if err == nil {
		return partialSuccess(answer)
	}
	st := status.Convert(err)
	out := outcome{verdict: refused, err: fmt.Errorf("sending OTLP/gRPC: %w", err)}
	switch st.Code() {
	case codes.ResourceExhausted:
		// Also what grpc says of a message above the limit, which no later attempt makes smaller.
		if !strings.Contains(st.Message(), "larger than max") {
			out.verdict = retryable
		}
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		out.verdict = retryable
	}
	out.unsure = !strings.Contains(st.Message(), "connection refused")
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			out.after = info.GetRetryDelay().AsDuration()
		}
	}
	return out
}

// partialSuccess reads OTLP's answer to an accepted request.
func partialSuccess(answer []byte) outcome {
	resp := plogotlp.NewExportResponse()
	if err := resp.UnmarshalProto(answer); err != nil {
		return outcome{verdict: refused, unsure: true, err: fmt.Errorf("decoding the OTLP answer: %w", err)}
	}
	if n := resp.PartialSuccess().RejectedLogRecords(); n > 0 {
		return outcome{rejected: n, err: fmt.Errorf("%w: %d events: %s", errPartial, n, resp.PartialSuccess().ErrorMessage())}
	}
	return outcome{}
}
