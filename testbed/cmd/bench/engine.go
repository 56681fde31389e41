// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/internal/clickhouseengine"
	"github.com/millrace/millrace/testbed/chhttp"
	"github.com/millrace/millrace/testbed/freeport"
)

const database = "bench"

// engine is a ClickHouse for one section.
type engine struct {
	*clickhouseengine.Engine
	tcp string
	dir string
	ch  *chhttp.Client
	// release ends the context that startEngine returned.
	release context.CancelCauseFunc
}

// startEngine returns a fresh ClickHouse with the database, and a context that ends when the ClickHouse dies: it would be
// restarted, but what was being measured is then of no use.
func (b *bench) startEngine(ctx context.Context) (context.Context, *engine, error) {
	for attempt := 1; ; attempt++ {
		addrs, err := freeport.Addrs(2)
		if err != nil {
			return nil, nil, err
		}
		dir, err := os.MkdirTemp(b.dir, "clickhouse-")
		if err != nil {
			return nil, nil, fmt.Errorf("making a directory for ClickHouse: %w", err)
		}
		running, died := context.WithCancelCause(ctx)
		e := &engine{tcp: addrs[0], dir: dir, ch: &chhttp.Client{URL: "http://" + addrs[1]}, release: died}
		e.Engine = clickhouseengine.New(clickhouseengine.Options{
			DataDir: dir, TCPAddr: addrs[0], HTTPAddr: addrs[1], Databases: []string{database}, Unconfined: true, // it reads and writes the lake's files
			Users: []clickhouseengine.User{{
				Name:   clickhouseengine.InternalUser,
				Grants: append(clickhouseengine.DefaultGrants(), "SYSTEM MERGES ON *.*", "READ, WRITE ON FILE"),
			}},
			OnDown: func(err error) { died(fmt.Errorf("ClickHouse died: %w", err)) },
		})
		err = e.Start(ctx)
		if err == nil {
			return running, e, nil
		}
		died(err)
		var taken *clickhouseengine.AddressError
		if !errors.As(err, &taken) || attempt == 3 { // another program was quicker to take the port
			return nil, nil, fmt.Errorf("starting ClickHouse: %w", err)
		}
	}
}

// end stops the ClickHouse and removes its data. It returns err with what went wrong here, and with why the context ended: that a query
// was cancelled does not say that ClickHouse died.
func (e *engine) end(ctx context.Context, err error) error {
	if why := context.Cause(ctx); err != nil && why != nil && !errors.Is(err, why) {
		err = errors.Join(why, err)
	}
	e.ch.Close()
	err = errors.Join(err, e.Stop(context.Background()), os.RemoveAll(e.dir))
	e.release(nil)
	return err
}

func (e *engine) cpu() (time.Duration, error) { return cpuOf(e.PID()) }

// drop removes all tables of the database.
func (e *engine) drop(ctx context.Context) error {
	for _, t := range []string{"otel_logs", "events", "failed_events"} {
		if err := e.ch.Exec(ctx, "DROP TABLE IF EXISTS "+database+"."+t+" SYNC"); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) count(ctx context.Context, table string) (int64, error) {
	return e.ch.Int(ctx, "SELECT count() FROM "+database+"."+table)
}

func (e *engine) parts(ctx context.Context, table string) (int64, error) {
	return e.ch.Int(ctx, "SELECT count() FROM system.parts WHERE active AND database = '"+database+"' AND table = '"+table+"'")
}

// bytesAnEvent is how much disk a row takes; column is one of system.parts.
func (e *engine) bytesAnEvent(ctx context.Context, table, column string) (float64, error) {
	n, err := e.ch.Int(ctx, "SELECT toInt64(1000 * sum("+column+") / sum(rows)) FROM system.parts WHERE active AND database = '"+database+"' AND table = '"+table+"'")
	return float64(n) / 1000, err
}

// merged waits until background merges have come to rest. They begin a moment after they are let; where there is too
// little to merge, they do not begin at all.
func (e *engine) merged(ctx context.Context, table string, partsBefore int64) error {
	begin := time.Now()
	quiet := 0
	return poll(ctx, "all merges done", 500*time.Millisecond, 5*time.Minute, func() (bool, error) {
		n, err := e.ch.Int(ctx, "SELECT count() FROM system.merges WHERE database = '"+database+"'")
		if err != nil {
			return false, err
		}
		parts, err := e.parts(ctx, table)
		if err != nil {
			return false, err
		}
		begun := n > 0 || parts < partsBefore || time.Since(begin) > 5*time.Second
		if n > 0 || !begun {
			quiet = 0
			return false, nil
		}
		quiet++
		return quiet == 2, nil
	})
}

// schemaDir is absolute: the collectors run in a directory of their own.
func schemaDir() (string, error) { return filepath.Abs("configs/schemas") }
