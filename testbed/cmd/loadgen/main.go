// SPDX-License-Identifier: Apache-2.0

// Command loadgen sends the events of a simulated shop over OTLP and Segment's API, records them in a manifest,
// and checks what a ClickHouse holds against it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/millrace/millrace/testbed/term"
)

const usage = `Usage:
  loadgen [send] [flags]             send events
  loadgen verify [flags] MANIFEST    hold ClickHouse's tables against what was sent
  loadgen print [flags] MANIFEST     print a manifest as JSON lines

Each command explains its flags with -h.
`

func main() { os.Exit(command()) }

// command returns the exit code.
func command() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := term.New(os.Stdout)
	err := run(ctx, out, os.Args[1:])
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	default:
		out.ClearLive()
		fmt.Fprintf(os.Stderr, "loadgen: %v\n", err)
		return 1
	}
}

func run(ctx context.Context, out *term.Out, args []string) error {
	command := "send"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	switch command {
	case "send":
		return send(ctx, out, args)
	case "verify":
		return verify(ctx, out, args)
	case "print":
		return printManifest(args)
	case "help":
		fmt.Fprint(os.Stderr, usage)
		return nil
	default:
		return fmt.Errorf("unknown command %q: it is send, verify or print", command)
	}
}

// env returns an environment variable, or what holds where it is unset or empty.
func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
