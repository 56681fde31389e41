// SPDX-License-Identifier: Apache-2.0

// Package lag asks a running collector how far its event logs' consumers are behind: what the log has acknowledged
// reaches ClickHouse a moment later, and tests wait for that, not for time.
package lag

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metric is the gauge of event_log, by consumer and partition.
const metric = "otelcol_event_log_lag_events{"

// Events asks the collector's metrics endpoint, an http:// address without a path, for the records that consumers have
// not acknowledged. It is 0 where no log is.
func Events(ctx context.Context, endpoint string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }() // it is read to its end
	var sum float64
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, metric) {
			continue
		}
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("reading %q: %w", line, err)
		}
		sum += n
	}
	return int64(sum), lines.Err()
}

// Await returns when every consumer has acknowledged everything, or with an error when ctx ends. progress, which may
// be nil, is told what is left.
func Await(ctx context.Context, endpoint string, progress func(left int64)) error {
	for {
		left, err := Events(ctx, endpoint)
		if err == nil && left == 0 {
			return nil
		}
		if err == nil && progress != nil {
			progress(left)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for consumers of the log, %d records behind: %w", left, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
