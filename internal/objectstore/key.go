// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrKey is returned, wrapped, for a key or a prefix that no object of any store can have.
var ErrKey = errors.New("it is no key of an object")

// scratch is the directory, below a local store's root, of what is being copied into the store. Nothing in it is an object.
const scratch = ".put"

// CheckKey says why a key cannot be one, or returns nil: it begins or ends with a slash, has an empty, "." or ".." part,
// a control character or what is not UTF-8, is longer than 1024 bytes, or stands in the store's own scratch directory.
func CheckKey(key string) error {
	if len(key) > 1024 {
		return fmt.Errorf("key %.40q… of %d bytes: %w: it is longer than 1024 bytes", key, len(key), ErrKey)
	}
	if err := checkText(key); err != nil {
		return fmt.Errorf("key %q: %w", key, err)
	}
	for i, part := range strings.Split(key, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return fmt.Errorf(`key %q: %w: it has an empty, "." or ".." part`, key, ErrKey)
		case len(part) > 255:
			return fmt.Errorf("key %q: %w: a part of it is longer than 255 bytes", key, ErrKey)
		case i == 0 && part == scratch:
			return fmt.Errorf("key %q: %w: %s is the store's own", key, ErrKey, scratch)
		}
	}
	return nil
}

// checkPrefix is CheckKey for what keys begin with.
func checkPrefix(prefix string) error {
	if err := checkText(prefix); err != nil {
		return fmt.Errorf("prefix %q: %w", prefix, err)
	}
	parts := strings.Split(prefix, "/")
	for _, part := range parts[:len(parts)-1] {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf(`prefix %q: %w: it has an empty, "." or ".." part`, prefix, ErrKey)
		}
	}
	return nil
}

func checkText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: it is not UTF-8", ErrKey)
	}
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7F {
			return fmt.Errorf("%w: it has a control character", ErrKey)
		}
	}
	return nil
}

// hidden says whether List(prefix) leaves the key out, which begins with the prefix: a part that begins behind the prefix
// begins with "." or "_".
func hidden(key, prefix string) bool {
	rest := key[len(prefix):]
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		// The prefix ends within a part, which whoever named it has asked for.
		_, after, found := strings.Cut(rest, "/")
		if !found {
			return false
		}
		rest = after
	}
	for part := range strings.SplitSeq(rest, "/") {
		if hiddenPart(part) {
			return true
		}
	}
	return false
}

func hiddenPart(part string) bool {
	return strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_")
}
