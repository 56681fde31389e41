// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package audit

import (
	"io"
	"os"
)

// lockFile cannot keep another process off here: the operator has to.
func lockFile(path string) (io.Closer, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
