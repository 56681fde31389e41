// SPDX-License-Identifier: Apache-2.0

package schemaregistryextension

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/schema"
)

// Bounds of what is read.
const (
	maxFileSize = 1 << 20 // bytes
	maxSchemas  = 10_000  // files, each version one
	maxEntries  = 100_000 // files of any name and directories
	maxDepth    = 32      // levels of directories
)

// file is one schema's file as it was found.
type file struct {
	path             string // as the user would write it
	subject, version string
	size             int64
	modified         time.Time
	info             fs.FileInfo // to tell a replaced file from a touched one
}

// sameAs says whether the file seems untouched since other was read.
func (f *file) sameAs(other *file) bool {
	return f.path == other.path && f.size == other.size && f.modified.Equal(other.modified) && os.SameFile(f.info, other.info)
}

// scan lists the schema files of a directory and its subdirectories, by path. Symbolic links are followed,
// also of the directory itself: that is how Kubernetes publishes a ConfigMap and git-sync a revision. What
// begins with a dot is passed over, among it a ConfigMap's ..data. The problems found do not end the scan.
func scan(directory string) (files []file, problems []error) {
	s := scanner{visited: map[string]bool{}}
	s.walk(directory, 0)
	slices.SortFunc(s.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return s.files, s.problems
}

type scanner struct {
	files    []file
	problems []error
	visited  map[string]bool // real paths of directories: a link to a parent must not go round
	entries  int
	full     bool // a bound is reached: one problem says it
}

func (s *scanner) fail(format string, args ...any) {
	s.problems = append(s.problems, fmt.Errorf(format, args...))
}

func (s *scanner) walk(directory string, depth int) {
	if depth > maxDepth {
		s.fail("directory %q: is more than %d levels deep; move it up", directory, maxDepth)
		return
	}
	real, err := filepath.EvalSymlinks(directory)
	if err != nil {
		s.fail("directory %q: cannot be read: %w; create it or correct the path", directory, cause(err))
		return
	}
	if s.visited[real] {
		return
	}
	s.visited[real] = true
	entries, err := os.ReadDir(real)
	if err != nil {
		s.fail("directory %q: cannot be read: %w; make it a directory that the collector may read", directory, cause(err))
		return
	}
	for _, entry := range entries {
		if s.full {
			return
		}
		if s.entries++; s.entries > maxEntries {
			s.full = true
			s.fail("directory %q: has more than %d entries; keep schemas in a directory of their own", directory, maxEntries)
			return
		}
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		s.entry(filepath.Join(directory, entry.Name()), depth)
	}
}

func (s *scanner) entry(path string, depth int) {
	isSchema := strings.EqualFold(filepath.Ext(path), ".json")
	info, err := os.Stat(path)
	switch {
	case err != nil && isSchema:
		s.fail("file %q: cannot be read: %w; remove it or mend the link", path, cause(err))
	case err != nil: // another file of no concern
	case info.IsDir():
		s.walk(path, depth+1)
	case !isSchema:
	case !info.Mode().IsRegular():
		s.fail("file %q: is not a regular file; remove it", path)
	case info.Size() > maxFileSize:
		s.fail("file %q: is larger than %d bytes; split the schema", path, maxFileSize)
	default:
		subject, version, ok := schema.ParseFileName(path)
		if !ok {
			s.fail("file %q: is not named SUBJECT.vVERSION.json; rename it, such as to order_completed.v1.json", path)
			return
		}
		if len(s.files) >= maxSchemas {
			s.fail("file %q: is one more than the %d schemas that fit; remove versions that no producer sends", path, maxSchemas)
			s.full = true
			return
		}
		s.files = append(s.files, file{
			path: path, subject: subject, version: version, size: info.Size(), modified: info.ModTime(), info: info,
		})
	}
}

// cause takes the path off a file error: the message has it already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// compiledFile is one file's outcome, kept so that only what changed is compiled again.
type compiledFile struct {
	sum    [sha256.Size]byte
	schema *schema.Schema
	err    error
}

// readFile reads a file within the bound, whatever its size was when it was found.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only ever read
	content, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(content) > maxFileSize {
		err = fmt.Errorf("is larger than %d bytes; split the schema", maxFileSize)
	}
	return content, err
}

// compileFiles reads and compiles the files, taking from cache what has not changed in content. It returns
// the new cache, and whether anything is different from the old one.
func compileFiles(files []file, cache map[string]compiledFile) (schemas []*schema.Schema, next map[string]compiledFile, changed bool, problems []error) {
	next = make(map[string]compiledFile, len(files))
	paths := make(map[string]string, len(files)) // by schema ID
	for _, f := range files {
		content, err := readFile(f.path)
		if err != nil {
			problems = append(problems, fmt.Errorf("file %q: cannot be read: %w", f.path, cause(err)))
			changed = true
			continue
		}
		sum := sha256.Sum256(content)
		c, known := cache[f.path]
		if !known || c.sum != sum {
			changed = true
			c = compiledFile{sum: sum}
			c.schema, c.err = schema.Compile(f.subject, f.version, content)
		}
		next[f.path] = c
		if c.err != nil {
			problems = append(problems, fmt.Errorf("file %q: %w", f.path, c.err))
			continue
		}
		if other, twice := paths[c.schema.ID()]; twice {
			problems = append(problems, fmt.Errorf("file %q: is schema %q like file %q; remove one or raise its version", f.path, c.schema.ID(), other))
			continue
		}
		paths[c.schema.ID()] = f.path
		schemas = append(schemas, c.schema)
	}
	return schemas, next, changed || len(next) != len(cache), problems
}
