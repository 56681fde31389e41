// SPDX-License-Identifier: Apache-2.0

package personaldata

import "github.com/millrace/millrace/internal/detector"

// What the labelled corpora are made with. Another seed gives another corpus of the same kind. The detectors were developed with the seeds 5 to 8,
// of all corpora; nothing that these two make was looked at before they were done, so that a value that was mended for is not what they are measured
// with. The sentences of the templates are the same for all seeds.
const (
	Seed        = 2043
	FakerSeed   = 2044
	PerLanguage = 420 // templates: sentences of each language; half as much of other kinds comes on top
	PerLocale   = 192 // faker
)

// Detect is internal/detector with everything on.
func Detect() (Find, error) {
	d, err := detector.New(detector.Config{})
	if err != nil {
		return nil, err
	}
	return func(dst []detector.Finding, key, text string) []detector.Finding {
		return d.Find(dst, text, detector.HintOf(key))
	}, nil
}
