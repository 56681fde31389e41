// SPDX-License-Identifier: Apache-2.0

package pythontest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScriptsSeeTheirArgumentsAndThePinnedPackages(t *testing.T) {
	out := Run(t, `
import sys, duckdb, faker, pyarrow, stdnum
print(duckdb.__version__, pyarrow.__version__, stdnum.__version__, faker.VERSION, *sys.argv[1:])
`, "a b", "ü")
	require.Equal(t, "2.0.0 26.0.1 2.2 40.54.0 a b ü", strings.TrimSpace(out))
}
