// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEngineKeepsWhatItAcknowledgedAcrossKillAndRestart(t *testing.T) {
	e := Start(t)
	e.Exec("CREATE TABLE kept (x UInt64) ENGINE = MergeTree ORDER BY x")
	e.Exec("INSERT INTO kept SELECT number FROM numbers(1000)")
	pid := e.PID()
	e.Kill()
	require.Zero(t, e.PID())
	_, err := e.Do(context.Background(), "SELECT 1")
	require.Error(t, err)

	e.Restart()
	require.NotEqual(t, pid, e.PID())
	require.Equal(t, "1000\t499500", e.Query("SELECT count(), sum(x) FROM analytics.kept"))
	e.Restart()
	require.Equal(t, "1000", e.Query("SELECT count() FROM kept"))
}

func TestEngineCountsItsCPUTime(t *testing.T) {
	e := Start(t)
	before := e.CPU()
	e.Exec("SELECT sum(cityHash64(number)) FROM numbers(100000000)")
	require.Greater(t, e.CPU(), before)
}

func TestEngineAsksItsUserForThePassword(t *testing.T) {
	e := Start(t, WithUser("app", "secret"), WithQueryLog())
	require.Equal(t, "app", e.Query("SELECT currentUser()"))
	e.Password = "wrong"
	_, err := e.Do(context.Background(), "SELECT 1")
	require.ErrorContains(t, err, "Code: 516")
}
