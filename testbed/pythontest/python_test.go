// SPDX-License-Identifier: Apache-2.0

package pythontest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScriptsSeeTheirArgumentsAndThePinnedPackages(t *testing.T) {
	out := Run(t, `
import sys, duckdb, pyarrow
print(duckdb.__version__, pyarrow.__version__, *sys.argv[1:])
`, "a b", "ü")
	require.Equal(t, "2.0.0 26.0.1 a b ü", strings.TrimSpace(out))
}
