// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/failpoint"
	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/enginetest"
	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/kafkatest"
	"github.com/millrace/millrace/testbed/lag"
)

// kafkaGateway is configs/kafka.yaml between a real Kafka and a real ClickHouse, both of which outlive it.
type kafkaGateway struct {
	*process
	kafka    *kafkatest.Kafka
	ch       *chhttp.Client
	dir      string
	env      map[string]string
	produced [3]int64 // records, by partition
	events   int
}

const (
	kafkaTopic     = "otlp_logs"
	kafkaGroup     = "millrace"
	eventsInRecord = 12
)

func newKafkaGateway(t *testing.T) *kafkaGateway {
	t.Helper()
	g := &kafkaGateway{kafka: kafkatest.Start(t), dir: t.TempDir()}
	engine := enginetest.Start(t)
	g.ch = &chhttp.Client{URL: "http://" + engine.HTTPAddr, Database: "analytics", HTTP: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience,
	}}
	schemas, err := filepath.Abs(filepath.Join(root(), "configs", "schemas"))
	require.NoError(t, err)
	g.env = map[string]string{
		"MILLRACE_KAFKA": g.kafka.Addr, "MILLRACE_CLICKHOUSE": engine.TCPAddr, "MILLRACE_CLICKHOUSE_INSECURE": "true",
		"MILLRACE_DATA_DIR": filepath.Join(g.dir, "data"), "MILLRACE_SCHEMA_DIR": schemas,
	}
	g.kafka.CreateTopic(kafkaTopic, int32(len(g.produced)))
	t.Cleanup(func() {
		if g.process == nil {
			return
		}
		if t.Failed() {
			t.Logf("the end of the gateway's log:\n%s", g.tail())
		}
		if g.running() {
			g.end(t, syscall.SIGKILL)
		}
	})
	return g
}

// start runs the gateway, on ports of its own each time: nobody but the test knows them.
func (g *kafkaGateway) start(t *testing.T, step string) {
	t.Helper()
	env := map[string]string{failpoint.Variable: step}
	for k, v := range g.env {
		env[k] = v
	}
	addrs := freeport.Must(t, 2)
	env["MILLRACE_METRICS"], env["MILLRACE_HEALTH"] = addrs[0], addrs[1]
	g.env["MILLRACE_METRICS"] = env["MILLRACE_METRICS"]
	config, err := filepath.Abs(filepath.Join(root(), "configs", "kafka.yaml"))
	require.NoError(t, err)
	g.process = launch(t, g.dir, filepath.Join(g.dir, "log"), env, "--config", config,
		// A group waits this long for a member that was killed.
		"--config", "yaml:receivers::kafka::session_timeout: 1s", "--config", "yaml:receivers::kafka::heartbeat_interval: 300ms")
}

// produce appends records whose events go to different partitions of the log. Of each record every other event has
// no ID: only the record's offset tells that it comes again.
func (g *kafkaGateway) produce(records int) {
	for n := range records {
		partition := int32(n % len(g.produced))
		ld, to := events()
		for e := range eventsInRecord {
			lr := addValid(to, fmt.Sprintf("kafka-%d", g.events))
			if e%2 == 1 {
				lr.Attributes().Remove("log.record.uid")
			}
			lr.Attributes().PutStr("email", fmt.Sprintf("%d@example.com", g.events))
			lr.Attributes().PutStr("user.id", fmt.Sprintf("user-%d", e))
			g.events++
		}
		g.kafka.ProduceLogs(kafkaTopic, partition, ld)
		g.produced[partition]++
	}
}

// rows counts the events that ClickHouse has once, and more than once.
func (g *kafkaGateway) rows(t *testing.T) (once, more int) {
	t.Helper()
	// The engine, which restarts by itself, ends when a client is killed under a request.
	await(t, "ClickHouse answers", func() bool {
		table, err := g.ch.Table(context.Background(),
			"SELECT countIf(c = 1), countIf(c > 1) FROM (SELECT email, count() AS c FROM events GROUP BY email)")
		if err != nil {
			return false
		}
		_, err = fmt.Sscan(fmt.Sprintln(table.Rows[0]...), &once, &more)
		require.NoError(t, err)
		return true
	})
	return once, more
}

// settle waits until Kafka has heard of every record and ClickHouse has every event.
func (g *kafkaGateway) settle(t *testing.T) {
	t.Helper()
	await(t, "the group has committed what was produced", func() bool {
		require.True(t, g.running(), "%s", g.tail())
		for p, n := range g.produced {
			if g.kafka.Committed(kafkaGroup, kafkaTopic, int32(p)) != n {
				return false
			}
		}
		return true
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Of a gateway that is just starting, nothing is known, and Await takes that for nothing to wait for.
	await(t, "the gateway says how far behind its log's consumers are", func() bool {
		_, err := lag.Sum(ctx, "http://"+g.env["MILLRACE_METRICS"], "otelcol_event_log_lag_events{")
		return err == nil
	})
	require.NoError(t, lag.Await(ctx, "http://"+g.env["MILLRACE_METRICS"], nil))
}

func (g *kafkaGateway) requireEachOnce(t *testing.T) {
	t.Helper()
	once, more := g.rows(t)
	require.Equal(t, g.events, once)
	require.Zero(t, more, "events that were stored twice")
}

// ended waits until the gateway has killed itself at its fail point.
func (g *kafkaGateway) ended(t *testing.T) {
	t.Helper()
	select {
	case <-g.Exited():
		require.ErrorContains(t, g.Err(), "killed", "%s", g.tail())
	case <-time.After(2 * patience):
		t.Fatalf("the gateway did not reach its fail point")
	}
}

func TestWhatKafkaDeliversAgainIsStoredOnce(t *testing.T) {
	t.Parallel()
	g := newKafkaGateway(t)
	g.produce(60)

	// Killed when records are synced and Kafka has not heard of it: they come again, wholly known.
	g.start(t, failpoint.AppendSynced+":9")
	g.ended(t)
	g.start(t, failpoint.InsertAfter+":1")
	g.ended(t)
	g.start(t, "")
	g.settle(t)
	g.requireEachOnce(t)

	// Kafka itself is killed under the gateway.
	g.kafka.Kill()
	g.kafka.Restart()
	g.produce(30)
	g.settle(t)
	g.requireEachOnce(t)

	// An operator has all of it delivered again.
	g.end(t, syscall.SIGTERM)
	require.NoError(t, g.Err(), "%s", g.tail())
	for p := range g.produced {
		g.kafka.Commit(kafkaGroup, kafkaTopic, int32(p), 0)
	}
	g.start(t, "")
	g.settle(t)
	g.requireEachOnce(t)
	redelivered := (&instance{env: g.env}).metric(t, "otelcol_event_log_redelivered")
	require.GreaterOrEqual(t, redelivered, int64(90), "more, if the group takes a busy gateway for one that is gone")

	// A gateway that was killed while it is idle has nothing to do over again.
	g.end(t, syscall.SIGKILL)
	g.start(t, "")
	g.produce(3)
	g.settle(t)
	g.requireEachOnce(t)
}

func TestAKafkaReceiverThatMarksTooSoonIsRefused(t *testing.T) {
	t.Parallel()
	f := func(overlay, want string) {
		t.Helper()
		dir := t.TempDir()
		config, err := filepath.Abs(filepath.Join(root(), "configs", "kafka.yaml"))
		require.NoError(t, err)
		p := launch(t, dir, filepath.Join(dir, "log"), map[string]string{
			"MILLRACE_KAFKA": "127.0.0.1:1", "MILLRACE_CLICKHOUSE": "127.0.0.1:1", "MILLRACE_CLICKHOUSE_INSECURE": "true",
			"MILLRACE_DATA_DIR": filepath.Join(dir, "data"), "MILLRACE_SCHEMA_DIR": filepath.Join(filepath.Dir(config), "schemas"),
			"MILLRACE_HEALTH": "127.0.0.1:0", "MILLRACE_METRICS": "127.0.0.1:0",
		}, "--config", config, "--config", "yaml:"+overlay)
		select {
		case <-p.Exited():
			require.Error(t, p.Err())
			require.Contains(t, p.said(), want)
		case <-time.After(patience):
			p.end(t, syscall.SIGKILL)
			t.Fatalf("%s: not refused; it said:\n%s", strings.TrimSpace(overlay), p.tail())
		}
	}
	f("receivers::kafka::message_marking::after: false", "set receivers::kafka::message_marking::after: true")
	f("receivers::kafka::message_marking::on_error: true", "set receivers::kafka::message_marking::on_error: false")
	f("receivers::kafka::message_marking::on_permanent_error: true", "set receivers::kafka::message_marking::on_permanent_error: false")
	f("receivers::kafka::error_backoff::enabled: false", "set receivers::kafka::error_backoff::enabled: true")
}
