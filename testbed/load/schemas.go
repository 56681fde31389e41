// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/internal/schema"
)

// Schemas compiles the tracking plan in a directory, for those who use it without a registry.
func Schemas(dir string) (*schema.Snapshot, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("listing schemas: %w", err)
	}
	var all []*schema.Schema
	for _, f := range files {
		subject, version, ok := schema.ParseFileName(f)
		if !ok {
			return nil, fmt.Errorf("%s: no subject and version in the name", f)
		}
		doc, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("reading a schema: %w", err)
		}
		s, err := schema.Compile(subject, version, doc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		all = append(all, s)
	}
	return schema.NewSnapshot(1, all)
}
