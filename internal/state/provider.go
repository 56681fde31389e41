// SPDX-License-Identifier: Apache-2.0

package state

// Provider is what an extension is that has a store. Components find it among the host's extensions.
type Provider interface {
	// Store is nil before the extension has started. It is closed when the extension shuts down, after all pipelines.
	Store() Store
}

// Own begins the keys that are Millrace's: Key([]byte(Own), ...). What comes from elsewhere stands under another first
// part, so that neither touches the other.
const Own = "millrace"
