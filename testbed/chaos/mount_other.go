// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package chaos

import "errors"

func mountMemory(string, int64) error { return errors.ErrUnsupported }

func unmount(string) error { return nil }
