// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/term"
)

func TestExitCodeSaysHowItEnded(t *testing.T) {
	f := func(parsed error, run func(context.Context) error, want int) {
		t.Helper()
		parse := func([]string) (*int, error) { return new(int), parsed }
		require.Equal(t, want, Run("test", parse, func(ctx context.Context, _ *term.Out, _ *int) error { return run(ctx) }))
	}
	fine := func(context.Context) error { return nil }
	f(nil, fine, 0)
	f(fmt.Errorf("parsing: %w", flag.ErrHelp), fine, 2)
	f(errors.New("no such flag"), fine, 1)
	f(nil, func(context.Context) error { return errors.New("broken") }, 1)
	f(nil, func(ctx context.Context) error {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}, 130)
}
