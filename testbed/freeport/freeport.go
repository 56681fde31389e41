// SPDX-License-Identifier: Apache-2.0

// Package freeport gives out loopback addresses that nobody else gets, neither another test of this process nor a package
// tested at the same time, until the process ends. A port that was merely free a moment ago may be taken a moment later.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// The ports lie below those that the kernel gives to outgoing connections (32768 and above on Linux): while a process that
// listens on one is down, not even a sender that tries to connect to it may get it by chance.
const (
	first = 10_000
	ports = 20_000
)

var (
	mu     sync.Mutex
	leases []*os.File // locked until the process ends; guarded by mu
)

// Addrs returns n addresses, host:port, that differ.
func Addrs(n int) ([]string, error) {
	mu.Lock()
	defer mu.Unlock()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("millrace-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("leasing a port: %w", err)
	}
	var addrs []string
	for attempt := 0; len(addrs) < n; attempt++ {
		if attempt > n+ports {
			return nil, fmt.Errorf("leasing a port: none is free of %d to %d", first, first+ports-1)
		}
		port := strconv.Itoa(first + rand.IntN(ports))
		lease, err := os.OpenFile(filepath.Join(dir, port), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("leasing a port: %w", err)
		}
		addr := net.JoinHostPort("127.0.0.1", port)
		if syscall.Flock(int(lease.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil || !free(addr) {
			_ = lease.Close() // somebody else's
			continue
		}
		leases = append(leases, lease)
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// Must is Addrs for tests.
func Must(tb testing.TB, n int) []string {
	tb.Helper()
	addrs, err := Addrs(n)
	if err != nil {
		tb.Fatal(err)
	}
	return addrs
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
