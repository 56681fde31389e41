// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"path/filepath"
	"regexp"
	"strings"
)

// fileName is a schema's without its extension: the subject may hold dots, the version begins with a digit.
var fileName = regexp.MustCompile(`^(.+)\.v([0-9][0-9A-Za-z._-]*)$`)

// ParseFileName reads subject and version from the name of a schema's file, SUBJECT.vVERSION.json. ok is false where
// the name is no such.
func ParseFileName(path string) (subject, version string, ok bool) {
	base := filepath.Base(path)
	ext := filepath.Ext(base)
	if !strings.EqualFold(ext, ".json") {
		return "", "", false
	}
	parts := fileName.FindStringSubmatch(base[:len(base)-len(ext)])
	if parts == nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}
