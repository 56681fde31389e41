// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package keystoreextension has the keys that personal data is masked with, the keys of persons, the audit log, and an endpoint
// for those who may read values back or have a person forgotten.
package keystoreextension
