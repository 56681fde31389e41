// SPDX-License-Identifier: Apache-2.0

package archivereceiver

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/objectstore"
	"github.com/millrace/millrace/internal/parquetfile"
	"github.com/millrace/millrace/internal/schema"
	"github.com/millrace/millrace/receiver/archivereceiver/internal/pages"
)

// selection is what a job reads: which files, which rows of them, and as what. It is immutable.
type selection struct {
	source, prefix, glob string
	kind                 string
	from, to             int64 // nanoseconds; from MinInt64 and before MaxInt64 where they are not given
	names                map[string]bool
	filters              []Filter
	mapping              *MappingConfig
	clearSchema          bool
}

func newSelection(c *Config) *selection {
	s := &selection{
		source: c.Source.Directory, prefix: c.Prefix, glob: c.Glob, kind: c.Kind, from: math.MinInt64, to: math.MaxInt64,
		names: map[string]bool{}, filters: c.Filters, clearSchema: c.clearsSchema(),
	}
	if c.Source.S3.HasValue() {
		s3 := c.Source.S3.Get()
		s.source = strings.Join([]string{s3.Endpoint, s3.Bucket, s3.Prefix}, "/")
	}
	if !c.From.IsZero() {
		s.from = c.From.UnixNano()
	}
	if !c.To.IsZero() {
		s.to = c.To.UnixNano()
	}
	for _, n := range c.EventNames {
		s.names[n] = true
		s.names[schema.CanonicalName(n)] = true
	}
	if c.Mapping.HasValue() {
		s.mapping = c.Mapping.Get()
	}
	return s
}

// hash tells one selection from another: a job goes on only with the one that it began with.
func (s *selection) hash() (string, error) {
	text, err := json.Marshal(struct {
		Source, Prefix, Glob, Kind string
		From, To                   int64
		Names                      map[string]bool
		Filters                    []Filter
		Mapping                    *MappingConfig
		ClearSchema                bool
	}{s.source, s.prefix, s.glob, s.kind, s.from, s.to, s.names, s.filters, s.mapping, s.clearSchema})
	if err != nil {
		return "", fmt.Errorf("writing the selection: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// hasName says whether events of that name are read.
func (s *selection) hasName(name string) bool {
	return s.names[name] || s.names[schema.CanonicalName(name)]
}

// defaultPartition stands in a path for a value that has no folder of its own.
const defaultPartition = "__HIVE_DEFAULT_PARTITION__"

// hasFile says whether a file may have rows to read, by its key: name, kind, and the Hive partitions event_name, date and
// hour. It errs on the side of reading.
func (s *selection) hasFile(info objectstore.Info) bool {
	if ok, _ := path.Match(s.glob, path.Base(info.Key)); !ok {
		return false
	}
	date, hour := time.Time{}, -1
	for folder := range strings.SplitSeq(path.Dir(info.Key), "/") {
		key, value, partition := strings.Cut(folder, "=")
		if value == defaultPartition {
			continue
		}
		switch {
		case !partition:
			if folder == parquetfile.KindFailedEvents && s.kind != parquetfile.KindFailedEvents && s.mapping == nil {
				return false
			}
		case key == "event_name":
			if name, err := url.PathUnescape(value); err == nil && len(s.names) > 0 && !s.hasName(name) {
				return false
			}
		case key == "date":
			if d, err := time.Parse(time.DateOnly, value); err == nil {
				date = d
			}
		case key == "hour":
			if h, err := time.Parse("15", value); err == nil {
				hour = h.Hour()
			}
		}
	}
	if date.IsZero() || date.Year() < 1900 || date.Year() > 2261 {
		return true
	}
	first, length := date, 24*time.Hour
	if hour >= 0 {
		first, length = date.Add(time.Duration(hour)*time.Hour), time.Hour
	}
	return first.Add(length).UnixNano() > s.from && first.UnixNano() < s.to
}

// hasGroup says whether a row group may have rows to read, by the file's statistics.
func (s *selection) hasGroup(f *pages.File, g int, m *fileMap) bool {
	if at := m.when.column; at != none {
		leaf := m.leaves[at]
		low, high, ok := f.Bounds(g, m.use[at])
		if ok && leaf.Type.Kind == pages.Timestamp && len(low) == 8 && len(high) == 8 {
			least, most := int64(binary.LittleEndian.Uint64(low)), int64(binary.LittleEndian.Uint64(high))
			unit := leaf.Type.Unit
			if inUnit := func(n int64) bool { return n <= math.MaxInt64/unit && n >= math.MinInt64/unit }; inUnit(least) && inUnit(most) && least <= most {
				if most*unit < s.from || least*unit >= s.to {
					return false
				}
			}
		}
	}
	if at := m.name.column; at != none && len(s.names) > 0 && m.leaves[at].Type.Kind == pages.Text {
		low, high, ok := f.Bounds(g, m.use[at])
		// Long texts may be cut in statistics: what is short and the same stands in every row that has one.
		if ok && string(low) == string(high) && len(low) < 16 && !s.hasName(string(low)) && !s.hasName("") {
			return false
		}
	}
	return true
}
