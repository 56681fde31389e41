// SPDX-License-Identifier: Apache-2.0

package statestoreextension

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func TestAMistakeNamesFieldValueAndMend(t *testing.T) {
	f := func(conf map[string]any, want string) {
		t.Helper()
		cfg := NewFactory().CreateDefaultConfig()
		err := confmap.NewFromStringMap(conf).Unmarshal(cfg)
		if err == nil {
			err = confmap.Validate(cfg)
		}
		if want == "" {
			require.NoError(t, err)
			return
		}
		require.ErrorContains(t, err, want)
	}
	f(map[string]any{"directory": "./data/state"}, "")
	f(map[string]any{"directory": "./data/state", "create_directory": false, "reserve_bytes": 0, "min_free_bytes": 1 << 20, "memory_bytes": 4 << 20}, "")
	f(nil, "directory: is empty; set it to a directory that outlives the process, such as ./data/state")
	f(map[string]any{"directory": "d", "reserve_bytes": -1}, "reserve_bytes: -1 is negative; use 0 for no reserve, or for example 67108864")
	f(map[string]any{"directory": "d", "min_free_bytes": 10}, "min_free_bytes: 10 is too little to finish what is begun; use at least 1048576")
	f(map[string]any{"directory": "d", "memory_bytes": 1}, "memory_bytes: 1 must be from 4194304 to 4294967296")
	f(map[string]any{"directory": "d", "memory_bytes": 5 << 30}, "memory_bytes: 5368709120 must be from 4194304 to 4294967296")
	f(map[string]any{"dir": "d"}, "dir: there is no such field: use one of create_directory, directory, memory_bytes, min_free_bytes, reserve_bytes")
}
