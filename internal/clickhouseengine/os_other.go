// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package clickhouseengine

import (
	"errors"
	"os"
	"syscall"
)

// The engine runs on Linux only; CheckLibrary says so before any of these is called.

var (
	errLocked    = errors.New("locked")
	errPortTaken = errors.New("port taken")
)

func childAttributes() *syscall.SysProcAttr { return nil }
func tryLock(string) (*os.File, error)      { return nil, errors.ErrUnsupported }
func isBusy(error) bool                     { return false }
func isNoExec(error) bool                   { return false }
func isPortTaken(error) bool                { return false }
func canConfine() error                     { return errors.ErrUnsupported }

func ruleset(layout, []string) (*os.File, error) { return nil, errors.ErrUnsupported }
