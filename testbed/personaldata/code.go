// SPDX-License-Identifier: Apache-2.0

package personaldata

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"
)

// File is one of the corpus "code".
type File struct {
	Name string // from the root on: "go/src/net/ip.go", "github.com/spf13/cobra@v1.10.2/README.md"
	Path string
}

var (
	goExtensions  = []string{".go", ".md", ".txt", ".json", ".html", ".yaml", ".s", ".c", ".h", ".js", ".css", ".mod", ".sum", ".golden", ".out", ".input", ".test", ".sh", ".pem", ".crt", ".csv"}
	docExtensions = []string{".md", ".json", ".yaml", ".yml", ".toml", ".txt", ".html", ".csv"}
)

// CodeFiles are the texts of the Go tree that runs this, and the documents of those modules of our build list that lie in the module cache.
func CodeFiles() ([]File, error) {
	var out []File
	root := strings.TrimSpace(run("go", "env", "GOROOT"))
	if root == "" {
		return nil, errors.New("go env GOROOT says nothing")
	}
	for _, dir := range []string{"src", "test", "doc", "api"} {
		if err := add(&out, "go", root, filepath.Join(root, dir), goExtensions); err != nil {
			return nil, err
		}
	}
	for line := range strings.Lines(run("go", "list", "-m", "-f", "{{.Path}}@{{.Version}} {{.Dir}}", "all")) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if dir == "" || strings.HasSuffix(name, "@") { // not in the cache, or ourselves
			continue
		}
		if err := add(&out, name, dir, dir, docExtensions); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func add(out *[]File, name, root, dir string, extensions []string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // packagers leave folders of Go's away
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		base := filepath.Base(path)
		if !slices.Contains(extensions, filepath.Ext(base)) && base != "LICENSE" && base != "AUTHORS" && base != "CONTRIBUTORS" {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		*out = append(*out, File{name + "/" + filepath.ToSlash(rel), path})
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing %s: %w", dir, err)
	}
	return nil
}

// run returns what a command prints, "" if it fails.
func run(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// GoVersion is of the tree that CodeFiles reads.
func GoVersion() string { return runtime.Version() }

// paragraphs cuts a file into texts as attributes have them: lines up to an empty one, at most some 2,000 bytes. It is nil for what
// is no UTF-8.
func paragraphs(raw []byte) []string {
	if !utf8.Valid(raw) {
		return nil
	}
	const most = 2000
	var out []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			out = append(out, b.String())
			b.Reset()
		}
	}
	for line := range strings.Lines(string(raw)) {
		if strings.TrimSpace(line) == "" || b.Len()+len(line) > most {
			flush()
		}
		b.WriteString(line)
	}
	flush()
	return out
}

// readParagraphs is paragraphs of a file.
func readParagraphs(f File) ([]string, error) {
	raw, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name, err)
	}
	return paragraphs(raw), nil
}
