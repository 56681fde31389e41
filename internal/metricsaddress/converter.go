// SPDX-License-Identifier: Apache-2.0

// Package metricsaddress lets a configuration name the address of the collector's own metrics as one word,
//
//	service::telemetry::metrics::address: 127.0.0.1:8888
//
// which collectors took until core's configuration split it into a reader's host and port. One word is what an
// environment variable holds.
package metricsaddress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"go.opentelemetry.io/collector/confmap"
)

const (
	metricsKey = "service::telemetry::metrics"
	addressKey = metricsKey + "::address"
	readersKey = metricsKey + "::readers"
)

type converter struct{}

var _ confmap.Converter = converter{}

// NewFactory returns the factory that builder-config.yaml names.
func NewFactory() confmap.ConverterFactory {
	return confmap.NewConverterFactory(func(confmap.ConverterSettings) confmap.Converter { return converter{} })
}

// Convert replaces the address by a Prometheus reader.
func (converter) Convert(_ context.Context, conf *confmap.Conf) error {
	if !conf.IsSet(addressKey) {
		return nil
	}
	if conf.IsSet(readersKey) {
		return fmt.Errorf("%s and %s are both set: remove one", addressKey, readersKey)
	}
	address, ok := conf.Get(addressKey).(string)
	if !ok {
		return fmt.Errorf("%s: %v is not a text: write host:port", addressKey, conf.Get(addressKey))
	}
	host, port, err := splitAddress(address)
	if err != nil {
		return fmt.Errorf("%s: %q: %w: write host:port, such as 127.0.0.1:8888", addressKey, address, err)
	}
	if !conf.Delete(addressKey) {
		return fmt.Errorf("%s: removing it from the configuration failed", addressKey)
	}
	return conf.Merge(confmap.NewFromStringMap(map[string]any{
		readersKey: []any{map[string]any{"pull": map[string]any{"exporter": map[string]any{
			"prometheus": map[string]any{
				"host": host, "port": port,
				// As core's own default reader has them.
				"without_scope_info": true, "without_type_suffix": true, "without_units": true,
				"with_resource_constant_labels": map[string]any{"included": []any{}},
			},
		}}}},
	}))
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, errors.New("not an address")
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, errors.New("not a port number")
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, port, nil
}
