// SPDX-License-Identifier: Apache-2.0

// Program millrace is an OpenTelemetry Collector, and has commands of its own.
package main

// This file is written by hand. The others here are the collector builder's, which has no hook for commands: see
// docs/decisions/014-commands-beside-the-generated-main.md.

import (
	"context"
	"os"
	"os/signal"

	"github.com/millrace/millrace/internal/privacycommand"
)

// init runs a command of Millrace's own in place of the collector, where the first argument names one.
func init() {
	if len(os.Args) < 2 || !privacycommand.Known(os.Args[1]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := privacycommand.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
