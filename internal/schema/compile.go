// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/millrace/millrace/internal/event"
)

// Bounds of a schema document. They keep a mistaken or hostile document from costing more than itself.
const (
	maxDocumentDepth = 128    // levels of JSON
	maxDocumentNodes = 20_000 // JSON values; the library compiles in the square of them
	maxExponent      = 400    // of a number: the library expands it to all its digits
)

// documentURL is the name under which the library knows the document. It cannot be loaded from anywhere.
const documentURL = "schema:///document"

// Compile reads one JSON Schema document (drafts 4, 6, 7, 2019-09, 2020-12; without $schema 2020-12) that
// describes the properties of an event. Formats are asserted in all drafts. References must stay within the
// document: nothing is ever read from a network or a disk. The error is one line and names the place.
func Compile(subject, version string, doc []byte) (*Schema, error) {
	if err := checkIdentity(subject, version); err != nil {
		return nil, err
	}
	raw, err := decodeDocument(doc)
	if err != nil {
		return nil, err
	}
	compiled, err := compileLibrary(raw)
	if err != nil {
		return nil, err
	}
	properties, err := extractProperties(compiled, raw)
	if err != nil {
		return nil, err
	}
	personal, err := extractPersonal(compiled, raw)
	if err != nil {
		return nil, err
	}
	return &Schema{
		Subject: subject, Version: version,
		Properties: properties,
		validator:  newValidator(compiled),
		personal:   personal,
	}, nil
}

func checkIdentity(subject, version string) error {
	if subject == "" || len(subject) > 255 || !utf8.ValidString(subject) || strings.ContainsFunc(subject, isControl) {
		return fmt.Errorf("subject %q must be 1 to 255 bytes of printable UTF-8", subject)
	}
	if version == "" || len(version) > 64 {
		return fmt.Errorf("version %q must be 1 to 64 characters, such as \"1\" or \"1-0-2\"", version)
	}
	for _, r := range version {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-._", r) {
			continue
		}
		return fmt.Errorf("version %q must consist of letters, digits, '-', '.' and '_'", version)
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// decodeDocument reads the JSON with numbers as written, within the bounds.
func decodeDocument(doc []byte) (any, error) {
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(doc) {
		return nil, errors.New("the document is not valid UTF-8; save it as UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var raw any
	if err := dec.Decode(&raw); err != nil {
		return nil, jsonError(doc, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the document goes on after its JSON value at byte %d; remove what follows", dec.InputOffset())
	}
	nodes := 0
	if err := checkBounds(raw, 0, &nodes); err != nil {
		return nil, err
	}
	return raw, nil
}

// jsonError names the line of a syntax error.
func jsonError(doc []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := doc[:min(max(int(syntax.Offset)-1, 0), len(doc))]
		line := 1 + bytes.Count(before, []byte("\n"))
		return fmt.Errorf("reading JSON: line %d: %w", line, err)
	}
	return fmt.Errorf("reading JSON: %w", err)
}

func checkBounds(v any, depth int, nodes *int) error {
	if *nodes++; *nodes > maxDocumentNodes {
		return fmt.Errorf("the document has more than %d JSON values; split the schema", maxDocumentNodes)
	}
	if depth > maxDocumentDepth {
		return fmt.Errorf("the document nests deeper than %d levels; move parts to $defs", maxDocumentDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			if err := checkBounds(m, depth+1, nodes); err != nil {
				return err
			}
		}
	case []any:
		for _, m := range v {
			if err := checkBounds(m, depth+1, nodes); err != nil {
				return err
			}
		}
	case json.Number:
		return checkNumber(string(v))
	}
	return nil
}

func checkNumber(n string) error {
	tooLarge := len(n) > maxExponent
	if i := strings.IndexAny(n, "eE"); i >= 0 && !tooLarge {
		exp, err := strconv.Atoi(strings.TrimPrefix(n[i+1:], "+"))
		tooLarge = err != nil || exp > maxExponent || exp < -maxExponent
	}
	if tooLarge {
		return fmt.Errorf("a number of the document is out of range (more than %d digits); bound it", maxExponent)
	}
	return nil
}

// refuseLoader is the loader of references that leave the document.
type refuseLoader struct{}

var _ jsonschema.URLLoader = refuseLoader{}

var errRemote = errors.New("a schema may refer only to itself; put what is shared under $defs and use \"#/$defs/…\"")

func (refuseLoader) Load(string) (any, error) { return nil, errRemote }

// compileLibrary runs the library's compiler. A panic of it becomes an error: a document must not be able to
// end the process.
func compileLibrary(raw any) (compiled *jsonschema.Schema, err error) {
	defer func() {
		if r := recover(); r != nil {
			compiled, err = nil, fmt.Errorf("compiling schema: the document cannot be compiled: %v", r)
		}
	}()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(refuseLoader{})
	if err := c.AddResource(documentURL, raw); err != nil {
		return nil, fmt.Errorf("compiling schema: %w", err)
	}
	compiled, err = c.Compile(documentURL)
	if err != nil {
		return nil, compileError(err)
	}
	return compiled, nil
}

// compileError brings the library's error into one line.
func compileError(err error) error {
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		return fmt.Errorf("compiling schema: reference %q: %w", load.URL, errRemote)
	}
	var meta *jsonschema.SchemaValidationError
	if errors.As(err, &meta) {
		err = meta.Err
	}
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return fmt.Errorf("compiling schema: at %s", firstLeaf(invalid))
	}
	var regex *jsonschema.InvalidRegexError
	if errors.As(err, &regex) {
		return fmt.Errorf("compiling schema: at %q: pattern %q: %w; use RE2 syntax (no look-around, no back-references)",
			strings.TrimPrefix(regex.URL, documentURL), regex.Regex, regex.Err)
	}
	return fmt.Errorf("compiling schema: %s", strings.ReplaceAll(oneLine(err.Error()), documentURL, ""))
}

// firstLeaf describes one of the places where the document breaks its draft's rules, always the same one.
func firstLeaf(err *jsonschema.ValidationError) string {
	if len(err.Causes) == 0 {
		text := oneLine(err.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
		if f, ok := err.ErrorKind.(*kind.Format); ok && f.Want == "regex" {
			text += "; use RE2 syntax (no look-around, no back-references)"
		}
		return fmt.Sprintf("%q: %s", "#"+event.Pointer(err.InstanceLocation), text)
	}
	first := ""
	for _, cause := range err.Causes {
		if leaf := firstLeaf(cause); first == "" || leaf < first {
			first = leaf
		}
	}
	return first
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
