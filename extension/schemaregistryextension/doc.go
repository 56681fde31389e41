// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package schemaregistryextension is the one place from which every component takes its event schemas.
package schemaregistryextension
