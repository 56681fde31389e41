// SPDX-License-Identifier: Apache-2.0

// Package command is what the main functions here have in common.
package command

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

// Run parses the arguments and runs until the end, an interrupt or a SIGTERM, which end run's context. It returns the
// exit code, and has said what went wrong. What run started must have ended when it returns.
func Run[O any](name string, parse func(args []string) (*O, error), run func(context.Context, *term.Out, *O) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, term.New(os.Stdout), o)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	case ctx.Err() != nil:
		fmt.Fprintf(os.Stderr, "\n%s: interrupted; nothing is left running\n", name)
		return 130
	default:
		fmt.Fprintf(os.Stderr, "\n%s: %v\n", name, err)
		return 1
	}
}
