// SPDX-License-Identifier: Apache-2.0

package main

import "syscall"

// childAttr puts the child into a group of its own and ends it when the benchmark is killed.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
