// SPDX-License-Identifier: Apache-2.0

//go:generate go tool -modfile=../../tools.mod mdatagen metadata.yaml

// Package schemavalidationprocessor judges business events by their schemas.
package schemavalidationprocessor
