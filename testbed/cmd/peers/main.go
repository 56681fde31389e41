// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Command peers holds what the benchmarks compare: contrib's ClickHouse exporter and ours, and contrib's redaction processor and our
// masking, in one binary, so that the compiler, the collector's core and the machine are the same. It is built with -modfile=peers.mod, because
// contrib's dependencies are no part of the project's binary.
//
//	peers collector --config FILE       a collector with both exporters
//	peers export --exporter NAME ...    one exporter fed from memory; prints what it cost as JSON
//	peers pii ...                       contrib's redaction and our masking fed from memory in turn; prints what they cost as JSON
package main

import (
	"fmt"
	"os"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/clickhouseexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/nopexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"

	"github.com/millrace/millrace/exporter/clickhouseeventsexporter"
	"github.com/millrace/millrace/extension/schemaregistryextension"
	"github.com/millrace/millrace/processor/schemavalidationprocessor"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("usage: peers collector|export|pii [flags]")
	}
	command := os.Args[1]
	os.Args = append(os.Args[:1], os.Args[2:]...)
	switch command {
	case "collector":
		return otelcol.NewCommand(otelcol.CollectorSettings{
			BuildInfo: component.BuildInfo{Command: "peers", Version: "0"},
			Factories: factories,
			ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
				ProviderFactories: []confmap.ProviderFactory{envprovider.NewFactory(), fileprovider.NewFactory()},
			}},
		}).Execute()
	case "export":
		return export()
	case "pii":
		return pii()
	default:
		return fmt.Errorf("%q is no command: use collector, export or pii", command)
	}
}

func factories() (otelcol.Factories, error) {
	f := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var err error
	if f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return f, err
	}
	if f.Processors, err = otelcol.MakeFactoryMap[processor.Factory](batchprocessor.NewFactory(), schemavalidationprocessor.NewFactory()); err != nil {
		return f, err
	}
	if f.Extensions, err = otelcol.MakeFactoryMap[extension.Factory](schemaregistryextension.NewFactory()); err != nil {
		return f, err
	}
	f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](nopexporter.NewFactory(), clickhouseexporter.NewFactory(), clickhouseeventsexporter.NewFactory())
	return f, err
}
