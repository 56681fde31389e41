// SPDX-License-Identifier: Apache-2.0

package lag

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// answers serves one text after the other, the last one for ever.
func answers(t *testing.T, path string, texts ...string) string {
	t.Helper()
	return answersThen(t, func() {}, path, texts...)
}

// answersThen calls last before the last text is served again.
func answersThen(t *testing.T, last func(), path string, texts ...string) string {
	t.Helper()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			t.Errorf("asked for %s", r.URL.Path)
		}
		if asked >= len(texts) {
			last()
		}
		_, _ = fmt.Fprint(w, texts[min(asked, len(texts)-1)])
		asked++
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const samples = `# TYPE otelcol_event_log_lag_events gauge
otelcol_event_log_lag_events{consumer="logs/a",partition="0"} %d
otelcol_event_log_lag_events{consumer="logs/b",partition="1"} %d
otelcol_event_log_lag_bytes{consumer="logs/a"} 700
`

func TestAwaitEndsWhenEveryConsumerHasEverything(t *testing.T) {
	var left []int64
	url := answers(t, "/metrics", fmt.Sprintf(samples, 3, 4), fmt.Sprintf(samples, 0, 1), fmt.Sprintf(samples, 0, 0))
	require.NoError(t, Await(t.Context(), url, func(n int64) { left = append(left, n) }))
	require.Equal(t, []int64{7, 1}, left)

	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorContains(t, Await(ctx, answersThen(t, cancel, "/metrics", fmt.Sprintf(samples, 1, 1)), nil), "2 records behind")
}

func TestThroughEndsAtWhatWasThereAtItsBeginning(t *testing.T) {
	const standing = `{"positions": [{"next": %d}, {"next": %d}], "consumers": [{"consumer": "logs/a", "delivered": [%d, %d]}]}`
	require.NoError(t, Through(t.Context(), answers(t, "/consumers",
		fmt.Sprintf(standing, 5, 9, 0, 9), fmt.Sprintf(standing, 50, 90, 4, 80), fmt.Sprintf(standing, 51, 91, 5, 80))))

	ctx, cancel := context.WithCancel(t.Context())
	err := Through(ctx, answersThen(t, cancel, "/consumers", fmt.Sprintf(standing, 5, 9, 5, 8)))
	require.ErrorContains(t, err, "to come to [5 9]")
	require.ErrorIs(t, err, context.Canceled)
}

func TestRecordsAndBehindReadThePositions(t *testing.T) {
	url := answers(t, "/consumers", `{"positions": [{"next": 5}, {"next": 9}], "consumers": [
		{"consumer": "logs/a", "delivered": [5, 9]}, {"consumer": "logs/b", "delivered": [3, 2]}, {"consumer": "logs/c", "delivered": [3]}]}`)
	n, err := Records(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, []uint64{5, 9}, n)
	f := func(consumer string, want uint64, wantErr string) {
		t.Helper()
		n, err := Behind(t.Context(), url, consumer)
		if wantErr != "" {
			require.ErrorContains(t, err, wantErr)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	f("logs/a", 0, "")
	f("logs/b", 9, "")
	f("logs/c", 0, "has 1")
	f("logs/d", 0, "no consumer")
}

// That nothing is staged is not to be taken from a collector that has not said so.
func TestStagedAddsUpExportersAndTakesNoSilenceForZero(t *testing.T) {
	n, err := Staged(t.Context(), answers(t, "/metrics", `# TYPE otelcol_exporter_parquet_staged_rows gauge
otelcol_exporter_parquet_staged_rows{exporter="parquet/a"} 3
otelcol_exporter_parquet_staged_rows{exporter="parquet/b"} 4
otelcol_exporter_parquet_staged_bytes{exporter="parquet/b"} 900
`))
	require.NoError(t, err)
	require.EqualValues(t, 7, n)
	_, err = Staged(t.Context(), answers(t, "/metrics", fmt.Sprintf(samples, 1, 1)))
	require.ErrorIs(t, err, errNoMetric)
	failures, err := PublishFailures(t.Context(), answers(t, "/metrics", "otelcol_exporter_parquet_publish_failures{} 2\n"))
	require.NoError(t, err)
	require.EqualValues(t, 2, failures)
}
