// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/nopexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"

	"github.com/millrace/millrace/connector/eventlogconnector"
	"github.com/millrace/millrace/exporter/clickhouseeventsexporter"
	"github.com/millrace/millrace/extension/clickhouseengineextension"
	"github.com/millrace/millrace/extension/statestoreextension"
	"github.com/millrace/millrace/internal/metricsaddress"
	"github.com/millrace/millrace/processor/sessionizationprocessor"
	"github.com/millrace/millrace/processor/windowaggregationprocessor"
)

// profileVariable names the file that the collector writes a CPU profile to: bin/millrace has no such thing.
const profileVariable = "NEXMARK_CPUPROFILE"

// collector runs the components that the queries need, as bin/millrace does.
func collector() int {
	if err := runCollector(); err != nil {
		fmt.Fprintln(os.Stderr, "nexmark collector:", err)
		return 1
	}
	return 0
}

func runCollector() (err error) {
	if file := os.Getenv(profileVariable); file != "" {
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, f.Close())
		}()
	}
	return otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "nexmark collector", Version: "0"},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories:  []confmap.ProviderFactory{envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory()},
			ConverterFactories: []confmap.ConverterFactory{metricsaddress.NewFactory()},
		}},
	}).Execute()
}

func factories() (f otelcol.Factories, err error) {
	f.Telemetry = otelconftelemetry.NewFactory()
	var errs [5]error
	f.Receivers, errs[0] = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
	f.Processors, errs[1] = otelcol.MakeFactoryMap[processor.Factory](sessionizationprocessor.NewFactory(), windowaggregationprocessor.NewFactory())
	f.Connectors, errs[2] = otelcol.MakeFactoryMap[connector.Factory](eventlogconnector.NewFactory())
	f.Exporters, errs[3] = otelcol.MakeFactoryMap[exporter.Factory](clickhouseeventsexporter.NewFactory(), nopexporter.NewFactory())
	f.Extensions, errs[4] = otelcol.MakeFactoryMap[extension.Factory](clickhouseengineextension.NewFactory(), statestoreextension.NewFactory())
	return f, errors.Join(errs[:]...)
}
