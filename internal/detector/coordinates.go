// SPDX-License-Identifier: Apache-2.0

package detector

func (s *scanner) coordinates(p *phrase, g int) int { return 0 }
