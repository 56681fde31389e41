// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMaskingIsJudgedBySpeedAndByAllocationsOfEventsWithoutHits(t *testing.T) {
	const printed = `[
		{"scenario":{"every":0,"expressions":"five"},"events":1000,"contrib":{"cpu_microseconds":[60,80],"allocations":[0,0],"bytes":[0,0],"changed":0},"ours":{"cpu_microseconds":[3,2],"allocations":[0.01,0.01],"bytes":[1,1],"changed":0}},
		{"scenario":{"every":1,"expressions":"five"},"events":1000,"contrib":{"cpu_microseconds":[60,60],"allocations":[6,6],"bytes":[300,300],"changed":0.99},"ours":{"cpu_microseconds":[4,4],"allocations":[2,2],"bytes":[200,200],"changed":1}},
		{"scenario":{"every":0,"expressions":"readme"},"events":1000,"contrib":{"cpu_microseconds":[50,50],"allocations":[0,0],"bytes":[0,0],"changed":0},"ours":{"cpu_microseconds":[2,2],"allocations":[0,0],"bytes":[0,0],"changed":0}}]`
	var results []piiResult
	require.NoError(t, json.Unmarshal([]byte(printed), &results))
	page := func() string { s := piiSection(results, 2); return s.markdown() }()
	assert.Contains(t, page, "**30.0** | 20.00, 40.00")
	assert.Contains(t, page, "personal data in none | at least 20.00 | 30.00 | met")
	assert.Contains(t, page, "allocations of an event without personal data | at most 0.02 | 0.01 | met")
	assert.Contains(t, page, "personal data in every one | at least 20.00 | 15.00 | **missed**")
	assert.Contains(t, page, "**25.0** | 25.00, 25.00", "what is beyond the goals is shown too")
}
