// SPDX-License-Identifier: Apache-2.0

// Package kafkatest starts a real Apache Kafka, one node of it, for a test, in some seconds.
//
//	kafka := kafkatest.Start(t)
//	kafka.CreateTopic("events", 3)
//	kafka.ProduceLogs("events", 0, logs)
//	require.EqualValues(t, 1, kafka.Committed("gateway", "events", 0))
//
// It runs on the Java that is there, with the jars that scripts/kafka.sh fetches through Maven. Where there is no Java, or no
// Maven to fetch them, the test is skipped and says so; with MILLRACE_REQUIRE_KAFKA=1 it fails.
package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/testbed/child"
	"github.com/millrace/millrace/testbed/fetched"
	"github.com/millrace/millrace/testbed/freeport"
)

// RequireVariable makes a missing Kafka a failure instead of a skip, if it is set to anything.
const RequireVariable = "MILLRACE_REQUIRE_KAFKA"

// Kafka is a running broker. Its methods fail the test on an error, so they belong to the test's own goroutine.
type Kafka struct {
	Addr    string // 127.0.0.1:port, without TLS and login
	DataDir string

	tb       testing.TB
	jars     string
	settings string // server.properties
	log      string
	process  *child.Process
	helper   *kgo.Client // made when first asked for
}

const (
	startTimeout = 3 * time.Minute // a busy machine
	stopTimeout  = time.Minute
)

// Start runs a broker until the test ends.
func Start(tb testing.TB) *Kafka {
	tb.Helper()
	dir := tb.TempDir()
	k := &Kafka{
		DataDir: filepath.Join(dir, "data"), tb: tb, jars: libraries(tb),
		settings: filepath.Join(dir, "server.properties"), log: filepath.Join(dir, "kafka.log"),
	}
	tb.Cleanup(func() {
		k.disown()
		if k.process != nil {
			_ = k.process.End(syscall.SIGKILL, stopTimeout) // nothing of it is needed any more, and an order to stop takes seconds
		}
		if tb.Failed() && k.process != nil {
			tb.Logf("the end of Kafka's log:\n%s", k.process.Tail(20))
		}
	})
	for attempt := 1; ; attempt++ {
		k.configure()
		err := k.start()
		if err == nil {
			return k
		}
		// A package tested at the same time can have taken a port that was free a moment ago.
		if !strings.Contains(err.Error(), "Address already in use") || attempt == 3 {
			tb.Fatalf("starting Kafka: %v", err)
		}
		if err := os.RemoveAll(k.DataDir); err != nil {
			tb.Fatalf("starting Kafka anew: %v", err)
		}
	}
}

var it = fetched.New("Kafka", "kafka.sh", RequireVariable)

// libraries returns the folder with the jars, or ends the test.
func libraries(tb testing.TB) string {
	tb.Helper()
	return it.Path(tb)
}

// configure chooses ports and writes the settings and an empty, formatted store.
func (k *Kafka) configure() {
	k.tb.Helper()
	addrs := freeport.Must(k.tb, 2)
	k.Addr = addrs[0]
	settings := fmt.Sprintf(`
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=%[3]s
auto.create.topics.enable=false
# One node, and no waiting for others.
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
# Small.
num.network.threads=1
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=1048576
`, addrs[0], addrs[1], k.DataDir)
	if err := os.WriteFile(k.settings, []byte(settings), 0o644); err != nil {
		k.tb.Fatalf("writing Kafka's settings: %v", err)
	}
	var id [16]byte
	_, _ = rand.Read(id[:])                                                              // it never fails
	cluster := strings.ReplaceAll(base64.RawURLEncoding.EncodeToString(id[:]), "-", "A") // no option begins so
	out, err := k.java("kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", k.settings).CombinedOutput()
	if err != nil {
		k.tb.Fatalf("formatting Kafka's store: %v\n%s", err, out)
	}
}

func (k *Kafka) java(class string, args ...string) *exec.Cmd {
	// Compiling little is what makes it start soon.
	args = append([]string{
		"-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true",
		"-Djava.net.preferIPv4Stack=true",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-cp", filepath.Join(k.jars, "*"), class,
	}, args...)
	return exec.Command("java", args...)
}

// start returns when the broker answers.
func (k *Kafka) start() error {
	log, err := os.OpenFile(k.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if k.process, err = child.Start("Kafka", k.java("kafka.Kafka", k.settings), log, syscall.SIGKILL); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		if k.answers(ctx) {
			return nil
		}
		select {
		case <-k.process.Exited():
			return k.process.Died()
		case <-ctx.Done():
			return fmt.Errorf("no answer from Kafka on %s after %s. The end of its log:\n%s", k.Addr, startTimeout, k.process.Tail(20))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// answers says whether the broker serves: it is its own controller, so that it answers a request for topics only once it has joined.
func (k *Kafka) answers(ctx context.Context) bool {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr), kgo.RequestRetries(0), kgo.DialTimeout(time.Second))
	if err != nil {
		return false
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return client.Ping(ctx) == nil
}

// Kill ends the broker by SIGKILL and leaves it down until Restart.
func (k *Kafka) Kill() {
	k.tb.Helper()
	k.disown()
	if err := k.process.End(syscall.SIGKILL, stopTimeout); err != nil {
		k.tb.Fatalf("killing Kafka: %v", err)
	}
}

// Restart starts the broker again on the same data and address, after SIGTERM if it runs.
func (k *Kafka) Restart() {
	k.tb.Helper()
	k.disown()
	if err := k.process.Stop(stopTimeout); err != nil {
		k.tb.Fatalf("stopping Kafka: %v", err)
	}
	if err := k.start(); err != nil {
		k.tb.Fatalf("starting Kafka again: %v", err)
	}
}

// PID of the broker's process.
func (k *Kafka) PID() int { return k.process.PID() }
