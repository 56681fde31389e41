// SPDX-License-Identifier: Apache-2.0

package metricsaddress

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func convert(t *testing.T, metrics map[string]any) (*confmap.Conf, error) {
	t.Helper()
	conf := confmap.NewFromStringMap(map[string]any{
		"service": map[string]any{"telemetry": map[string]any{"metrics": metrics}},
	})
	err := NewFactory().Create(confmap.ConverterSettings{}).Convert(t.Context(), conf)
	return conf, err
}

func TestAddressBecomesAReader(t *testing.T) {
	f := func(address, host string, port int) {
		t.Helper()
		conf, err := convert(t, map[string]any{"level": "normal", "address": address})
		require.NoError(t, err)
		assert.False(t, conf.IsSet(addressKey))
		assert.Equal(t, "normal", conf.Get(metricsKey+"::level"))
		readers := conf.Get(readersKey).([]any)
		require.Len(t, readers, 1)
		prometheus := confmap.NewFromStringMap(readers[0].(map[string]any))
		assert.Equal(t, host, prometheus.Get("pull::exporter::prometheus::host"))
		assert.Equal(t, port, prometheus.Get("pull::exporter::prometheus::port"))
	}
	f("127.0.0.1:8888", "127.0.0.1", 8888)
	f("[::1]:9", "::1", 9)
	f(":8888", "0.0.0.0", 8888)
}

func TestMistakesNameTheFieldAndTheMend(t *testing.T) {
	f := func(metrics map[string]any, want string) {
		t.Helper()
		_, err := convert(t, metrics)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, addressKey)
	}
	f(map[string]any{"address": "localhost"}, "write host:port")
	f(map[string]any{"address": "localhost:http"}, "not a port number")
	f(map[string]any{"address": 8888}, "is not a text")
	f(map[string]any{"address": "a:1", "readers": []any{}}, "remove one")
}

func TestNothingHappensWithoutAnAddress(t *testing.T) {
	conf, err := convert(t, map[string]any{"level": "none"})
	require.NoError(t, err)
	assert.False(t, conf.IsSet(readersKey))
}
