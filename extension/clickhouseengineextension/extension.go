// SPDX-License-Identifier: Apache-2.0

package clickhouseengineextension

import (
	"context"
	"net/netip"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"

	"github.com/millrace/millrace/extension/clickhouseengineextension/internal/metadata"
	"github.com/millrace/millrace/internal/clickhouseengine"
)

// engineExtension ties an engine's life to the collector's.
type engineExtension struct {
	cfg       *Config
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	engine    *clickhouseengine.Engine // set by Start
}

var _ extension.Extension = (*engineExtension)(nil)

func newEngineExtension(cfg *Config, logger *zap.Logger, telemetry *metadata.TelemetryBuilder) *engineExtension {
	return &engineExtension{cfg: cfg, logger: logger, telemetry: telemetry}
}

// Start returns when ClickHouse answers on both ports. Extensions start before pipelines, so what depends on it finds it there.
func (e *engineExtension) Start(ctx context.Context, host component.Host) error {
	o := e.cfg.options()
	o.Logger = e.logger
	o.OnDown = func(err error) {
		e.telemetry.ClickhouseEngineUp.Record(context.Background(), 0)
		componentstatus.ReportStatus(host, componentstatus.NewRecoverableErrorEvent(err))
	}
	o.OnUp = func(int64) {
		e.telemetry.ClickhouseEngineUp.Record(context.Background(), 1)
		e.telemetry.ClickhouseEngineRestarts.Add(context.Background(), 1)
		componentstatus.ReportStatus(host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
	if tcp, err := netip.ParseAddrPort(o.TCPAddr); err == nil && !tcp.Addr().IsLoopback() {
		e.logger.Warn("ClickHouse engine listens beyond this machine: whoever reaches tcp_endpoint can restart it by logging in with a wrong password",
			zap.String("tcp_endpoint", e.cfg.TCPEndpoint))
	}
	e.engine = clickhouseengine.New(o)
	if err := e.engine.Start(ctx); err != nil {
		return err
	}
	e.telemetry.ClickhouseEngineRestarts.Add(ctx, 0) // a counter that is there from the start can be alerted on
	e.telemetry.ClickhouseEngineUp.Record(ctx, 1)
	e.logger.Info("ClickHouse engine is ready", zap.String("tcp_endpoint", e.cfg.TCPEndpoint), zap.String("http_endpoint", e.cfg.HTTPEndpoint),
		zap.String("data_dir", e.cfg.DataDir), zap.Int("pid", e.engine.PID()))
	return nil
}

// Shutdown ends ClickHouse in order, or by force after stop_timeout. Extensions shut down after pipelines, so exporters have written by then.
func (e *engineExtension) Shutdown(ctx context.Context) error {
	defer e.telemetry.Shutdown()
	if e.engine == nil {
		return nil
	}
	e.telemetry.ClickhouseEngineUp.Record(ctx, 0)
	return e.engine.Stop(ctx)
}
