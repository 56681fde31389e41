// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package statestoreextension keeps the state of what stands behind the event log, and of any component that asks for
// a storage, in one directory.
package statestoreextension
