// SPDX-License-Identifier: Apache-2.0

// Package configs holds no code: this tests that the configurations here are what bin/millrace takes, and that
// agent and gateway do together what they are for.
package configs

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/lag"
	"github.com/millrace/millrace/testbed/load"
)

// patience bounds every wait: far above what is usual, since other packages are tested at the same time.
const patience = 60 * time.Second

// required are the variables without a default, with values that are valid.
var required = map[string][]string{
	"quickstart.yaml": nil,
	"gateway.yaml":    {"MILLRACE_CLICKHOUSE=127.0.0.1:9000"},
	"kafka.yaml":      {"MILLRACE_CLICKHOUSE=127.0.0.1:9000", "MILLRACE_KAFKA=127.0.0.1:9092"},
	"agent.yaml":      {"MILLRACE_GATEWAY=127.0.0.1:4317", "MILLRACE_SEGMENT_KEY=k"},
	"lake.yaml":       {"MILLRACE_LAKE_BUCKET=events"},
	"metrics.yaml":    nil,
	"reprocess.yaml":  {"MILLRACE_CLICKHOUSE=127.0.0.1:9000"},

	"personalization.yaml": nil,
	"fraud.yaml":           nil,
	"funnel.yaml":          nil,
	"experiment.yaml":      nil,
	"attribution.yaml":     nil,
	"iot.yaml":             nil,
}

// millrace prepares the collector with an environment that has none of the caller's own settings.
func millrace(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := filepath.Abs("../bin/millrace")
	require.NoError(t, err)
	_, err = os.Stat(binary)
	require.NoError(t, err, "run make build first")
	cmd := exec.Command(binary, args...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "MILLRACE_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func TestEveryConfigurationIsValid(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.Len(t, files, len(required), "list a new configuration under required")
	for _, file := range files {
		env, known := required[file]
		require.True(t, known, "list %s under required", file)
		out, err := millrace(t, env, "validate", "--config", file).CombinedOutput()
		require.NoError(t, err, "%s: %s", file, out)
	}
}

func TestAMissingVariableIsNamed(t *testing.T) {
	f := func(file, want string, env ...string) {
		t.Helper()
		out, err := millrace(t, env, "validate", "--config", file).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), want)
	}
	f("gateway.yaml", "clickhouse_events: endpoints")
	f("reprocess.yaml", "clickhouse_events: endpoints")
	f("lake.yaml", "parquet: s3.bucket")
	f("agent.yaml", "otlp_grpc: requires a non-empty", "MILLRACE_SEGMENT_KEY=k")
	f("agent.yaml", "write_keys[0].key is empty", "MILLRACE_GATEWAY=127.0.0.1:4317")
}

// TestEveryVariableIsExplained holds each file's opening comment against the variables that the file reads.
func TestEveryVariableIsExplained(t *testing.T) {
	name := regexp.MustCompile(`\$\{env:(MILLRACE_\w+)(?::-([^}]*))?\}`)
	for file := range required {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		comment, _, _ := strings.Cut(string(text), "\n\n")
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			fallback := m[2]
			if fallback == "" {
				fallback = "(required|none)"
			} else {
				fallback = regexp.QuoteMeta(fallback)
			}
			assert.Regexp(t, `(?m)^#   `+m[1]+` +`+fallback+`( |$)`, comment, "%s: its opening comment must explain %s", file, m[1])
		}
	}
}

// TestEventsGoThroughAgentAndGatewayOnceEach sends good and bad events to an agent and finds each in ClickHouse.
func TestEventsGoThroughAgentAndGatewayOnceEach(t *testing.T) {
	const password = "not-the-default-1"
	engine := enginetest.Start(t, enginetest.WithUser("millrace", password))
	a := freeport.Must(t, 8)
	start(t, "gateway.yaml", "http://"+a[2], []string{
		"MILLRACE_CLICKHOUSE=" + engine.TCPAddr, "MILLRACE_CLICKHOUSE_INSECURE=true",
		"MILLRACE_CLICKHOUSE_USER=millrace", "MILLRACE_CLICKHOUSE_PASSWORD=" + password, "MILLRACE_SCHEMA_DIR=schemas",
		"MILLRACE_DATA_DIR=" + t.TempDir(), "MILLRACE_OTLP_GRPC=" + a[0], "MILLRACE_OTLP_HTTP=" + a[1], "MILLRACE_HEALTH=" + a[2], "MILLRACE_METRICS=" + a[3],
	})
	start(t, "agent.yaml", "http://"+a[6]+"/health", []string{
		"MILLRACE_GATEWAY=" + a[0], "MILLRACE_GATEWAY_INSECURE=true", "MILLRACE_SEGMENT_KEY=a-key", "MILLRACE_TENANT=shop",
		"MILLRACE_OTLP_GRPC=" + a[4], "MILLRACE_OTLP_HTTP=" + a[5], "MILLRACE_SEGMENT=" + a[6], "MILLRACE_METRICS=" + a[7],
	})

	run, err := load.NewRun(load.RunConfig{
		Generator: load.GeneratorConfig{Seed: 1, Events: 10_000, Bad: 0.02, Duplicates: 0.05, Paths: [3]float64{2, 1, 1}},
		Targets: load.Targets{
			OTLPGRPC: a[4], OTLPHTTP: "http://" + a[5], Segment: "http://" + a[6], SegmentKeys: map[string]string{"shop": "a-key"},
		},
		Record: true,
	})
	require.NoError(t, err)
	require.NoError(t, run.Do(t.Context()))
	require.NoError(t, lag.Await(t.Context(), "http://"+a[3], nil))
	client := &chhttp.Client{URL: "http://" + engine.HTTPAddr, User: "millrace", Password: password}
	defer client.Close()
	c, err := load.Compare(run.Manifest(), load.ClickHouseRows(t.Context(), client, load.Tables{}), load.CompareOptions{Deduplicated: true})
	require.NoError(t, err)
	c.PrintSamples(t.Logf)
	require.True(t, c.OK(), c.Verdict())
	require.EqualValues(t, 10_000, c.Matched)
	require.Positive(t, c.Failed)
}

// start runs the collector until the test ends, and returns when the URL answers with 200.
func start(t *testing.T, file, url string, env []string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), file+".log"))
	require.NoError(t, err)
	cmd := millrace(t, env, "--config", file)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		assert.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		select {
		case err := <-exited:
			assert.NoError(t, err, "%s must end in order", file)
		case <-time.After(patience):
			t.Errorf("%s did not end within %s of SIGTERM", file, patience)
			assert.NoError(t, cmd.Process.Kill())
		}
		if t.Failed() {
			said, err := os.ReadFile(log.Name())
			t.Logf("%s said (%v):\n%s", file, err, said)
		}
		assert.NoError(t, log.Close())
	})
	ready := func() error {
		select {
		case err := <-exited:
			exited <- err
			return errors.New("it has ended")
		default:
		}
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
	require.Eventually(t, func() bool { return ready() == nil }, patience, 50*time.Millisecond, "%s is not ready", file)
}
