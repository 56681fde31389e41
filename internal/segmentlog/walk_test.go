// SPDX-License-Identifier: Apache-2.0

package segmentlog

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// holes is a file of which the file system says that nothing was ever written to it.
type holes struct{ file }

func (holes) data(int64) int64 { return math.MaxInt64 }

func TestSpaceThatWasNeverWrittenProvesNothing(t *testing.T) {
	at, err := promised(holes{}, seed(0), 4096, 1<<18, 4)
	require.NoError(t, err)
	require.EqualValues(t, -1, at)
}
