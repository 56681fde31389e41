// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/lake"
	"github.com/millrace/millrace/testbed/load"
	"github.com/millrace/millrace/testbed/miniotest"
)

// TestEventsGoIntoTheBucketOnceEach sends good and bad events, some of them twice, and reads the bucket, of a real MinIO.
func TestEventsGoIntoTheBucketOnceEach(t *testing.T) {
	server := miniotest.Start(t, miniotest.Options{KMS: true})
	server.CreateBucket("events")
	a := freeport.Must(t, 4)
	start(t, "lake.yaml", "http://"+a[2], []string{
		"MILLRACE_LAKE_ENDPOINT=" + server.Addr, "MILLRACE_LAKE_BUCKET=events", "MILLRACE_LAKE_PREFIX=", "MILLRACE_LAKE_PATH_STYLE=true",
		"MILLRACE_LAKE_INSECURE=true", "MILLRACE_LAKE_SSE=s3", "MILLRACE_LAKE_MAX_AGE=500ms",
		"AWS_ACCESS_KEY_ID=" + server.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + server.SecretAccessKey,
		"MILLRACE_DATA_DIR=" + t.TempDir(), "MILLRACE_SCHEMA_DIR=schemas",
		"MILLRACE_OTLP_GRPC=" + a[0], "MILLRACE_OTLP_HTTP=" + a[1], "MILLRACE_HEALTH=" + a[2], "MILLRACE_METRICS=" + a[3],
	})
	run, err := load.NewRun(load.RunConfig{
		Generator: load.GeneratorConfig{Seed: 1, Events: 10_000, Bad: 0.02, Duplicates: 0.05, Paths: [3]float64{1, 1, 0}},
		Targets:   load.Targets{OTLPGRPC: a[0], OTLPHTTP: "http://" + a[1]}, Record: true,
	})
	require.NoError(t, err)
	require.NoError(t, run.Do(t.Context()))
	require.NoError(t, lag.Await(t.Context(), "http://"+a[3], nil))
	require.Eventually(t, func() bool {
		n, err := lag.Staged(t.Context(), "http://"+a[3])
		return err == nil && n == 0
	}, 3*patience, 200*time.Millisecond)
	bucket := lake.Bucket{Client: server.Client(), Name: "events"}
	require.Eventually(t, func() bool {
		contents := lake.Open(bucket)
		rows := 0
		for _, err := range contents.Rows(t.Context()) {
			if err != nil {
				return false
			}
			rows++
		}
		_, added, err := lake.Counts(t.Context(), bucket)
		return err == nil && rows == 10_000 && int64(added) == contents.Files
	}, 3*patience, 200*time.Millisecond)
	contents := lake.Open(bucket)
	c, err := load.Compare(run.Manifest(), contents.Rows(t.Context()), load.CompareOptions{Deduplicated: true})
	require.NoError(t, err)
	require.True(t, c.OK(), c.Verdict())
	require.NoError(t, contents.CheckCatalogue(t.Context()))
	require.Empty(t, contents.Faults)
	require.Positive(t, contents.Failed)
}
