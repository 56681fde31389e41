// SPDX-License-Identifier: Apache-2.0

package state

import "time"

const (
	waitFor = 20 * time.Second
	tick    = time.Millisecond
)
