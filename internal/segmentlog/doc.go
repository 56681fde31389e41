// SPDX-License-Identifier: Apache-2.0

// Package segmentlog is the append-only store under the event log.
package segmentlog
