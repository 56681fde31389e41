// SPDX-License-Identifier: Apache-2.0

// Package lag asks a running collector how far its event logs' consumers are behind: what the log has acknowledged
// reaches ClickHouse a moment later, and tests wait for that, not for time.
package lag

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
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
	n, err := Sum(ctx, endpoint, metric)
	if errors.Is(err, errNoMetric) {
		return 0, nil
	}
	return n, err
}

var errNoMetric = errors.New("the collector does not say")

// Sum adds up the samples of the metrics whose name begins so, over all attributes. It is an error where there is none.
func Sum(ctx context.Context, endpoint, name string) (int64, error) {
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
	found := false
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, name) {
			continue
		}
		found = true
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("reading %q: %w", line, err)
		}
		sum += n
	}
	if !found && lines.Err() == nil {
		return 0, fmt.Errorf("%s: %w", name, errNoMetric)
	}
	return int64(sum), lines.Err()
}

// Staged asks the collector's metrics endpoint for the rows that Parquet exporters hold and that are in no file yet. It is an error
// if no exporter says.
func Staged(ctx context.Context, endpoint string) (int64, error) {
	return Sum(ctx, endpoint, "otelcol_exporter_parquet_staged_rows")
}

// PublishFailures asks how often Parquet exporters could not store a file, since the collector's start.
func PublishFailures(ctx context.Context, endpoint string) (int64, error) {
	return Sum(ctx, endpoint, "otelcol_exporter_parquet_publish_failures")
}

// Await returns when every consumer has acknowledged everything, or with an error when ctx ends. progress, which may
// be nil, is told what is left.
func Await(ctx context.Context, endpoint string, progress func(left int64)) error {
	var last int64
	for {
		left, err := Events(ctx, endpoint)
		if err == nil && left == 0 {
			return nil
		}
		if err == nil {
			last = left
			if progress != nil {
				progress(left)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for consumers of the log, %d records behind when it last said: %w", last, errors.Join(err, ctx.Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Through returns when every consumer has been given what the log holds by now, whatever comes meanwhile: Await would wait
// for a moment in which nothing is under way. The endpoint is event_log's admin.endpoint, as an http:// address.
func Through(ctx context.Context, admin string) error {
	var upTo []uint64
	for {
		p, err := positions(ctx, admin)
		if err == nil && upTo == nil {
			upTo = make([]uint64, len(p.Positions))
			for i := range p.Positions {
				upTo[i] = p.Positions[i].Next
			}
		}
		if err == nil && p.through(upTo) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for consumers of the log to come to %v, they are at %+v: %w", upTo, p.Consumers, errors.Join(err, ctx.Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// standing is what the admin endpoint says.
type standing struct {
	Positions []struct {
		Next uint64 `json:"next"`
	} `json:"positions"`
	Consumers []struct {
		Consumer  string            `json:"consumer"`
		Delivered []uint64          `json:"delivered"`
		Blocked   map[string]string `json:"blocked"`
	} `json:"consumers"`
}

func (s *standing) through(upTo []uint64) bool {
	for _, c := range s.Consumers {
		for p, next := range upTo {
			if p >= len(c.Delivered) || c.Delivered[p] < next {
				return false
			}
		}
	}
	return true
}

// Records returns how many records each partition of the log was given.
func Records(ctx context.Context, admin string) ([]uint64, error) {
	s, err := positions(ctx, admin)
	var n []uint64
	for i := range s.Positions {
		n = append(n, s.Positions[i].Next)
	}
	return n, err
}

// Consumers returns the names of the log's consumers.
func Consumers(ctx context.Context, admin string) (names []string, err error) {
	s, err := positions(ctx, admin)
	for _, c := range s.Consumers {
		names = append(names, c.Consumer)
	}
	return names, err
}

// Behind returns how many of the log's records a consumer has not been given yet.
func Behind(ctx context.Context, admin, consumer string) (n uint64, err error) {
	s, err := positions(ctx, admin)
	if err != nil {
		return 0, err
	}
	for _, c := range s.Consumers {
		if c.Consumer != consumer {
			continue
		}
		if len(c.Delivered) != len(s.Positions) {
			return 0, fmt.Errorf("the log has %d partitions, and consumer %q has %d", len(s.Positions), consumer, len(c.Delivered))
		}
		for p, at := range c.Delivered {
			n += s.Positions[p].Next - min(at, s.Positions[p].Next)
		}
		return n, nil
	}
	return 0, fmt.Errorf("the log has no consumer %q", consumer)
}

func positions(ctx context.Context, admin string) (*standing, error) {
	s := &standing{}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/consumers", nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer func() { _ = resp.Body.Close() }() // it is read to its end
	return s, json.NewDecoder(resp.Body).Decode(s)
}
