// SPDX-License-Identifier: Apache-2.0

package delivery

import "go.opentelemetry.io/collector/confmap"

// ConfigProvider is what an extension is that knows the collector's effective configuration, defaults included.
// Components find it among the host's extensions, to see what stands around them.
type ConfigProvider interface {
	// EffectiveConfig returns a copy, or nil before the collector has told: extensions are told after they have
	// started and before any pipeline starts.
	EffectiveConfig() *confmap.Conf
}
