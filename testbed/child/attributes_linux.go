// SPDX-License-Identifier: Apache-2.0

package child

import "syscall"

func attributes(orphaned syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: orphaned}
}
