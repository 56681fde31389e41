// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the tests that run bin/millrace as a process, on the quickstart configuration and the real
// ClickHouse that it supervises, and treat it as its users, and those who wish it ill, would. There is nothing but tests here.
package e2e
