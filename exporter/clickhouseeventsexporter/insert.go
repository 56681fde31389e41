// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// inserter sends blocks over a few kept connections. ch-go carries the INSERTs rather than clickhouse-go, which
// is built on it, because it takes columns that are already in the bytes of the wire.
type inserter struct {
	cfg  *Config
	tls  *tls.Config
	idle chan *connection // as many as there are workers; a connection that finds no place is closed
	next atomic.Uint64    // turns over the endpoints; any goroutine

	closing sync.Once
	closed  chan struct{}
}

type connection struct {
	*ch.Client
	used time.Time
}

// idleBeforePing is how long a connection may lie before it is tried: a server that restarted in between has
// dropped it, and an INSERT into a dropped connection fails in a way that does not tell whether it arrived.
const idleBeforePing = time.Second

func newInserter(cfg *Config, tlsConfig *tls.Config, workers int) *inserter {
	return &inserter{cfg: cfg, tls: tlsConfig, idle: make(chan *connection, workers), closed: make(chan struct{})}
}

// acknowledgement is what the server tells of an INSERT beside that it is stored.
type acknowledgement struct {
	// deduplicated says that at least one block, of the table or of a view's, was known and not stored again.
	deduplicated bool
	// blocks were written, those of views' tables included, and those that were then found to be known; 0 where
	// the server does not say.
	blocks uint64
}

// insert sends one block as one INSERT and returns when the server has acknowledged it. The error is the
// server's *ch.Exception or the network's. With a token, the server stores a second INSERT of that token only
// as far as it has not stored the first.
func (in *inserter) insert(ctx context.Context, table string, block proto.Input, token string) (acknowledgement, error) {
	var ack acknowledgement
	conn, err := in.take(ctx)
	if err != nil {
		return ack, err
	}
	query := ch.Query{
		Body:     insertStatement(in.cfg.Database, table, block),
		Input:    block,
		Settings: insertSettings,
	}
	if token != "" {
		// While an INSERT of this ID still runs, cut off from us, the server refuses a second one: it is tried again.
		query.QueryID = token
		query.Settings = slices.Concat(tokenSettings, []ch.Setting{{Key: "insert_deduplication_token", Value: token, Important: true}})
		query.OnProfileEvents = func(_ context.Context, events []ch.ProfileEvent) error {
			for i := range events {
				switch events[i].Name {
				case "DuplicatedInsertedBlocks":
					ack.deduplicated = ack.deduplicated || events[i].Value > 0
				case "MergeTreeDataWriterBlocks":
					ack.blocks += uint64(max(0, events[i].Value))
				}
			}
			return nil
		}
	} else if !in.replicated(table) {
		query.Settings = plainSettings
	}
	var refused error
	for i := range block {
		if g, ok := block[i].Data.(*guard); ok {
			g.refuse = func(err error) {
				refused = err
				_ = conn.Close()
			}
		}
	}
	if err := in.do(ctx, conn, query, &refused); err != nil {
		return ack, fmt.Errorf("inserting into %s.%s: %w", in.cfg.Database, table, err)
	}
	return ack, nil
}

// do sends a query and gives the connection back, or closes it. What is in refused by then goes before other errors.
func (in *inserter) do(ctx context.Context, conn *connection, query ch.Query, refused *error) error {
	// ch-go reads on until the deadline whatever becomes of the context, and of what is to be sent.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err := conn.Do(ctx, query)
	whole := stop()
	switch {
	case *refused != nil:
		err = *refused
	case err != nil && ctx.Err() != nil: // what closing it came to says less
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if err != nil {
		if closeErr := conn.Close(); closeErr != nil && !errors.Is(closeErr, ch.ErrClosed) {
			err = errors.Join(err, closeErr)
		}
		return err
	}
	if whole {
		in.give(conn)
	}
	return nil
}

// ask runs a SELECT, whose answer goes where the query says.
func (in *inserter) ask(ctx context.Context, query ch.Query) error {
	conn, err := in.take(ctx)
	if err != nil {
		return err
	}
	return in.do(ctx, conn, query, new(error))
}

// replicated says whether the table is one that deduplicates without being told to.
func (in *inserter) replicated(table string) bool {
	switch table {
	case in.cfg.Events.Name:
		return isReplicated(in.cfg.Events.Engine)
	case in.cfg.FailedEvents.Name:
		return isReplicated(in.cfg.FailedEvents.Engine)
	}
	return false // of results: equal rows replace each other anyway
}

// Settings of INSERTs. One that is not Important is passed over by a server that does not know it.
var (
	insertSettings = []ch.Setting{
		{Key: "async_insert", Value: "0", Important: true},
		// Events of long ago must not refuse their neighbours.
		{Key: "throw_on_max_partitions_per_insert_block", Value: "0", Important: true},
		// Two equal keys in one object: the first wins, as everywhere. Paths that differ are told apart before.
		{Key: "type_json_skip_duplicated_paths", Value: "1", Important: true},
	}
	// plainSettings are for INSERTs without an event log before them: the tables' window is not for these, and two
	// batches that happen to be equal are both stored.
	plainSettings = slices.Concat(insertSettings, []ch.Setting{
		{Key: "insert_deduplicate", Value: "0", Important: true},
		{Key: "deduplicate_insert", Value: "disable"},
	})
	tokenSettings = slices.Concat(insertSettings, []ch.Setting{
		{Key: "insert_deduplicate", Value: "1", Important: true},
		{Key: "deduplicate_insert", Value: "enable"}, // since 26: goes before insert_deduplicate
		{Key: "deduplicate_blocks_in_dependent_materialized_views", Value: "1", Important: true},
		// The token counts within one block: the block that we send must not be cut.
		{Key: "use_strict_insert_block_limits", Value: "0"},
	})
)

func insertStatement(database, table string, block proto.Input) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s.%s (", quote(database), quote(table))
	for i := range block {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(block[i].Name))
	}
	b.WriteString(") VALUES")
	return b.String()
}

func (in *inserter) take(ctx context.Context) (*connection, error) {
	for {
		select {
		case conn := <-in.idle:
			if time.Since(conn.used) < idleBeforePing || conn.Ping(ctx) == nil {
				return conn, nil
			}
			_ = conn.Close()
			continue
		default:
		}
		return in.dial(ctx)
	}
}

// dial tries each endpoint once, from the next in turn.
func (in *inserter) dial(ctx context.Context) (*connection, error) {
	var errs []error
	first := in.next.Add(1)
	for i := range in.cfg.Endpoints {
		address := in.cfg.Endpoints[(first+uint64(i))%uint64(len(in.cfg.Endpoints))]
		dialCtx, cancel := context.WithTimeout(ctx, in.cfg.DialTimeout)
		client, err := ch.Dial(dialCtx, in.options(address))
		cancel()
		if err == nil {
			return &connection{Client: client}, nil
		}
		errs = append(errs, fmt.Errorf("connecting to ClickHouse at %s: %w", address, err))
	}
	return nil, errors.Join(errs...)
}

func (in *inserter) options(address string) ch.Options {
	opts := ch.Options{
		Address: address, User: in.cfg.Username, Password: string(in.cfg.Password),
		ClientName: "millrace", DialTimeout: in.cfg.DialTimeout, HandshakeTimeout: in.cfg.DialTimeout,
		ReadTimeout: ch.NoTimeout, // the context's deadline bounds an INSERT as a whole
		TLS:         in.tls,
	}
	switch in.cfg.Compression {
	case "lz4":
		opts.Compression = ch.CompressionLZ4
	case "zstd":
		opts.Compression = ch.CompressionZSTD
	}
	return opts
}

func (in *inserter) give(conn *connection) {
	conn.used = time.Now()
	select {
	case <-in.closed:
		_ = conn.Close()
		return
	default:
	}
	select {
	case in.idle <- conn:
	default:
		_ = conn.Close()
	}
}

// close ends the idle connections. No insert may be under way.
func (in *inserter) close() {
	in.closing.Do(func() { close(in.closed) })
	for {
		select {
		case conn := <-in.idle:
			_ = conn.Close()
		default:
			return
		}
	}
}
