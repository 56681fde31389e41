// SPDX-License-Identifier: Apache-2.0

package fetched

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatCannotBeHadIsSkippedUnlessItIsRequired(t *testing.T) {
	f := func(required string, err error, skipped, failed bool) {
		t.Helper()
		t.Setenv("MILLRACE_TEST_REQUIRE", required)
		thing := New("thing", "none.sh", "MILLRACE_TEST_REQUIRE")
		thing.once = func() (string, error) { return "", err }
		tb := &ended{TB: t}
		func() {
			defer func() { _ = recover() }()
			thing.Path(tb)
		}()
		require.Equal(t, skipped, tb.skipped)
		require.Equal(t, failed, tb.failed)
	}
	f("", errLacking, true, false)
	f("1", errLacking, false, true)
	f("", errors.New("broken"), false, true)
}

func TestAScriptThatIsNotThereIsAnError(t *testing.T) {
	_, err := New("thing", "none.sh", "").once()
	require.ErrorContains(t, err, "none.sh")
	require.NotErrorIs(t, err, errLacking)
}

// ended notes how a test would have ended.
type ended struct {
	testing.TB
	skipped, failed bool
}

func (e *ended) Helper()               {}
func (e *ended) Skipf(string, ...any)  { e.skipped = true; panic("end") }
func (e *ended) Fatalf(string, ...any) { e.failed = true; panic("end") }
