// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/internal/schema"
)

// writeRandom writes some row groups of random values of all types, and returns the file and what its rows say.
func writeRandom(t testing.TB, seed uint64, columns []Column, o Options) (file []byte, want [][]string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	var out bytes.Buffer
	w, err := NewWriter(&out, columns, o)
	require.NoError(t, err)
	want = make([][]string, len(columns))
	total, groups := 0, 0
	for range 1 + r.IntN(3) {
		rows := []int{0, 1, 7, 100, 2500}[r.IntN(5)]
		b := randomBlock(r, columns, rows)
		order := randomOrder(r, rows)
		if order != nil {
			rows = len(order)
		}
		got, err := w.WriteRowGroup(rows, b.vectors, order)
		require.NoError(t, err)
		require.EqualValues(t, rows, got.Rows)
		for i, column := range b.inOrder(order) {
			want[i] = append(want[i], column...)
		}
		total += rows
		if rows > 0 {
			groups++
		}
	}
	stats, err := w.Close(map[string]string{"b": "2", "a": "1", "ü": ""})
	require.NoError(t, err)
	require.Equal(t, FileStats{Rows: int64(total), Bytes: int64(out.Len()), RowGroups: groups}, stats)
	return out.Bytes(), want
}

// readGo reads a file with parquet-go, and puts its values into a block's words.
func readGo(t testing.TB, file []byte, columns []Column) (got [][]string) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	got = make([][]string, len(columns))
	for _, g := range f.RowGroups() {
		rows := g.Rows()
		buffer := make([]parquet.Row, 100)
		for {
			n, err := rows.ReadRows(buffer)
			for _, row := range buffer[:n] {
				row.Range(func(i int, values []parquet.Value) bool {
					got[i] = append(got[i], sayGo(columns[i], values))
					return true
				})
			}
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		require.NoError(t, rows.Close())
	}
	return got
}

func sayGo(c Column, values []parquet.Value) string {
	if !c.Repeated {
		return sayGoValue(c.Type, values[0])
	}
	var said []string
	for _, v := range values {
		if v.DefinitionLevel() > 0 {
			said = append(said, sayGoValue(c.Type, v))
		}
	}
	return "[" + strings.Join(said, ",") + "]"
}

func sayGoValue(t schema.Type, v parquet.Value) string {
	if v.IsNull() {
		return "null"
	}
	switch t.Kind {
	case schema.String:
		return fmt.Sprintf("%x", v.ByteArray())
	case schema.Bool:
		return strconv.FormatBool(v.Boolean())
	case schema.Int8, schema.Int16, schema.Int32, schema.Date32:
		return strconv.Itoa(int(v.Int32()))
	case schema.UInt8, schema.UInt16, schema.UInt32:
		return strconv.FormatUint(uint64(v.Uint32()), 10)
	case schema.Int64:
		return strconv.FormatInt(v.Int64(), 10)
	case schema.UInt64:
		return strconv.FormatUint(v.Uint64(), 10)
	case schema.Float32:
		return sayFloat(float64(v.Float()))
	case schema.Float64:
		return sayFloat(v.Double())
	case schema.UUID:
		return uuid.Must(uuid.FromBytes(v.ByteArray())).String()
	case schema.DateTime64:
		zeros := 9 - (t.Scale+2)/3*3
		if t.Scale == 0 {
			zeros = 6
		}
		if v.Int64() == 0 {
			zeros = 0
		}
		return strconv.FormatInt(v.Int64(), 10) + strings.Repeat("0", zeros)
	default:
		switch {
		case t.Precision <= 9:
			return strconv.Itoa(int(v.Int32()))
		case t.Precision <= 18:
			return strconv.FormatInt(v.Int64(), 10)
		}
		return sayBig(v.ByteArray())
	}
}

// requireSame compares column by column, so that a difference names one.
func requireSame(t testing.TB, columns []Column, want, got [][]string) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Len(t, got[i], len(want[i]), "rows of column %q", columns[i].Name)
		for row := range want[i] {
			if want[i][row] != got[i][row] {
				require.Equal(t, want[i][row], got[i][row], "column %q, row %d", columns[i].Name, row)
			}
		}
	}
}

func TestParquetGoReadsBackEveryType(t *testing.T) {
	columns := allColumns()
	for seed := range uint64(16) {
		file, want := writeRandom(t, seed, columns, Options{PageBytes: 1 << (8 + seed%8)})
		requireSame(t, columns, want, readGo(t, file, columns))
	}
}

func TestEqualCallsWriteEqualBytes(t *testing.T) {
	columns := allColumns()
	for seed := range uint64(3) {
		first, _ := writeRandom(t, seed, columns, Options{})
		writeRandom(t, seed+100, columns, Options{}) // leaves other things in the buffers
		second, _ := writeRandom(t, seed, columns, Options{})
		require.True(t, bytes.Equal(first, second), "seed %d", seed)
	}
}

func TestWritersSideBySideWriteTheSame(t *testing.T) {
	columns := allColumns()
	b := randomBlock(rand.New(rand.NewPCG(1, 2)), columns, 500)
	files := make([]bytes.Buffer, 6)
	var group sync.WaitGroup
	for i := range files {
		group.Go(func() {
			w, err := NewWriter(&files[i], columns, Options{})
			if assert.NoError(t, err) {
				_, err = w.WriteRowGroup(b.rows, b.vectors, nil)
				assert.NoError(t, err)
				_, err = w.Close(nil)
				assert.NoError(t, err)
			}
		})
	}
	group.Wait()
	for i := range files {
		require.True(t, bytes.Equal(files[0].Bytes(), files[i].Bytes()))
	}
}
