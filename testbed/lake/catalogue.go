// SPDX-License-Identifier: Apache-2.0

package lake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/parquetfile"
)

// Line is one of the catalogue.
type Line struct {
	Op              string                 `json:"op"`
	File            string                 `json:"file"`
	Kind            string                 `json:"kind"`
	Dataset         string                 `json:"dataset"`
	Schema          string                 `json:"schema"`
	Versions        []string               `json:"versions"`
	Partition       map[string]string      `json:"partition"`
	Rows            int64                  `json:"rows"`
	Bytes           int64                  `json:"bytes"`
	RowGroups       int                    `json:"row_groups"`
	MinEventTime    string                 `json:"min_event_time"`
	MaxEventTime    string                 `json:"max_event_time"`
	MinReceivedTime string                 `json:"min_received_time"`
	MaxReceivedTime string                 `json:"max_received_time"`
	Log             []parquetfile.LogRange `json:"log"`
	Writer          string                 `json:"writer"`
	At              string                 `json:"at"`
	Reason          string                 `json:"reason"`
}

// parseCatalogue reads whole lines.
func parseCatalogue(content []byte) ([]Line, error) {
	if len(content) == 0 {
		return nil, errors.New("it is empty")
	}
	if content[len(content)-1] != '\n' {
		return nil, errors.New("its last line is cut off")
	}
	var lines []Line
	for text := range bytes.Lines(content) {
		var l Line
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(lines)+1, err)
		}
		if l.File == "" || l.Op != "add" && l.Op != "remove" {
			return nil, fmt.Errorf("line %d: op %q of file %q", len(lines)+1, l.Op, l.File)
		}
		lines = append(lines, l)
	}
	return lines, nil
}
