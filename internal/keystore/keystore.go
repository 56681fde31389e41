// SPDX-License-Identifier: Apache-2.0

// Package keystore is what components know of the extension that has the keys.
package keystore

import (
	"github.com/millrace/millrace/internal/audit"
	"github.com/millrace/millrace/internal/keyring"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/subjectkey"
)

// Provider is what an extension is that has keys. Components find it among the host's extensions when they start. What it
// returns is set before any pipeline starts, and works until all have ended.
type Provider interface {
	// Ring is never nil once the extension has started. That it has a current key is to be asked at each use.
	Ring() keyring.Ring
	// Subjects is nil where per-subject keys are off.
	Subjects() subjectkey.Store
	// Audit is nil where no audit log is configured.
	Audit() audit.Log
	// RepairKey is nil where failed events cannot be sealed.
	RepairKey() *seal.PublicKey
}
