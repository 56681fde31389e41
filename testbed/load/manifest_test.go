// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorded returns a manifest of which all was sent and acknowledged once, and the rows that a faithful sink has.
func recorded(tb testing.TB, events int64) (*Manifest, []Row) {
	tb.Helper()
	cfg := mixed(events)
	cfg.Duplicates = 0
	g := newGenerator(tb, cfg)
	m := NewManifest(cfg)
	g.Record(m)
	for g.next() != nil {
	}
	all := make([]uint32, m.Len())
	for i := range all {
		all[i] = uint32(i)
	}
	m.count(all, countSent)
	m.count(all, countAcked)
	var rows []Row
	for _, e := range m.Entries() {
		r := Row{ID: e.ID.String(), Name: e.Name, Failed: e.Failed()}
		if !r.Failed {
			r.Time, r.User, r.Anon, r.Tenant, r.Total = e.Time, e.UserID, e.AnonymousID, e.Tenant, e.Total
		}
		rows = append(rows, r)
	}
	return m, rows
}

func each(rows []Row) func(func(Row, error) bool) {
	return func(yield func(Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func TestManifestComesBackFromItsFileAsItWas(t *testing.T) {
	m, _ := recorded(t, 2000)
	path := filepath.Join(t.TempDir(), "manifest")
	require.NoError(t, m.WriteFile(path))
	got, err := ReadManifest(path)
	require.NoError(t, err)
	require.Equal(t, m.entries, got.entries)
	require.Equal(t, m.Summary(), got.Summary())
	for i, e := range got.Entries() {
		require.Equal(t, m.entry(i), e)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(2000*entrySize+4096))
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 1, "something was left beside it")

	// A file that was cut off or changed is no manifest.
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, n := range []int{0, 5, 20, len(b) / 2, len(b) - 1} {
		_, err := decodeManifest(b[:n])
		require.Error(t, err, n)
	}
	b[len(b)/2] ^= 1
	_, err = decodeManifest(b)
	require.ErrorContains(t, err, "checksum")
}

func FuzzDecodeManifest(f *testing.F) {
	m, _ := recorded(f, 3)
	path := filepath.Join(f.TempDir(), "manifest")
	require.NoError(f, m.WriteFile(path))
	b, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(b)
	f.Add(b[:40])
	f.Fuzz(func(_ *testing.T, b []byte) {
		m, err := decodeManifest(b)
		if err != nil {
			return
		}
		for range m.Entries() {
		}
	})
}

func TestEntryReadsAsJSON(t *testing.T) {
	m, _ := recorded(t, 200)
	for _, e := range m.Entries() {
		b, err := json.Marshal(e)
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(b, &got))
		require.Equal(t, e.ID.String(), got["event_id"])
		require.Equal(t, e.Path.String(), got["path"])
		require.Equal(t, e.Failed(), got["expected"] == "failed_events")
	}
}

func TestCompareFindsWhatWasPlanted(t *testing.T) {
	f := func(plant func(m *Manifest, rows []Row) []Row, want Comparison, class, sample string) {
		t.Helper()
		m, rows := recorded(t, 3000)
		c, err := Compare(m, each(plant(m, rows)), CompareOptions{})
		require.NoError(t, err)
		for _, n := range [][2]int64{
			{want.Lost, c.Lost}, {want.Duplicated, c.Duplicated}, {want.Altered, c.Altered},
			{want.Misplaced, c.Misplaced}, {want.Unexpected, c.Unexpected}, {want.Open, c.Open},
		} {
			require.Equal(t, n[0], n[1], c.Verdict())
		}
		require.Equal(t, class == "", c.OK())
		wrong := want.Lost + want.Duplicated + want.Altered + want.Misplaced + want.Open
		require.Equal(t, 3000-wrong, c.Matched)
		if class != "" {
			require.Contains(t, c.Samples[class][0], sample)
			require.Contains(t, c.Verdict(), "MISMATCH")
		}
	}
	stored := func(rows []Row) *Row {
		for i := range rows {
			if !rows[i].Failed && rows[i].User != "" {
				return &rows[i]
			}
		}
		return nil
	}
	f(func(_ *Manifest, rows []Row) []Row { return rows }, Comparison{}, "", "")
	f(func(_ *Manifest, rows []Row) []Row { return rows[1:] }, Comparison{Lost: 1}, "lost", "1 copies acknowledged, 0 there")
	f(func(_ *Manifest, rows []Row) []Row { return append(rows, rows[7]) }, Comparison{Duplicated: 1}, "duplicated", "2 rows, at most 1")
	f(func(_ *Manifest, rows []Row) []Row {
		return append(rows, Row{ID: "00000000-0000-4000-8000-000000000000"}, Row{ID: "?"})
	}, Comparison{Unexpected: 2}, "unexpected", "00000000-")
	f(func(_ *Manifest, rows []Row) []Row { stored(rows).Time++; return rows }, Comparison{Altered: 1}, "altered", "event_time is")
	f(func(_ *Manifest, rows []Row) []Row { stored(rows).Name = "x"; return rows }, Comparison{Altered: 1}, "altered", "event_name is x")
	f(func(_ *Manifest, rows []Row) []Row { stored(rows).User = ""; return rows }, Comparison{Altered: 1}, "altered", "user_id is")
	f(func(_ *Manifest, rows []Row) []Row { stored(rows).Tenant = "x"; return rows }, Comparison{Altered: 1}, "altered", "tenant_id is x")
	f(func(_ *Manifest, rows []Row) []Row { stored(rows).Anon = "x"; return rows }, Comparison{Altered: 1}, "altered", "anonymous_id is x")
	f(func(_ *Manifest, rows []Row) []Row {
		for i := range rows {
			if rows[i].Total != 0 {
				rows[i].Total--
				return rows
			}
		}
		return nil
	}, Comparison{Altered: 1}, "altered", "total is")
	f(func(_ *Manifest, rows []Row) []Row { r := stored(rows); r.Failed = true; return rows }, Comparison{Misplaced: 1}, "misplaced", "a good event stands in failed_events")
	f(func(_ *Manifest, rows []Row) []Row {
		for i := range rows {
			if rows[i].Failed {
				rows[i].Failed = false
				return rows
			}
		}
		return nil
	}, Comparison{Misplaced: 1}, "misplaced", "event stands in events")
	// What was never acknowledged may be missing; a further attempt may have left a further row.
	f(func(m *Manifest, rows []Row) []Row { m.entries[0].acked = 0; return rows[1:] }, Comparison{Open: 1}, "", "")
	f(func(m *Manifest, rows []Row) []Row { m.entries[0].unsure = 1; return append(rows, rows[0]) }, Comparison{}, "", "")
}

func TestCompareInASharedTableLooksAtItsOwnRowsOnly(t *testing.T) {
	m, rows := recorded(t, 500)
	others := append([]Row{{ID: "00000000-0000-4000-8000-000000000000"}}, rows...)
	c, err := Compare(m, each(others), CompareOptions{Shared: true})
	require.NoError(t, err)
	require.True(t, c.OK(), c.Verdict())
	c, err = Compare(m, each(others[2:]), CompareOptions{Shared: true})
	require.NoError(t, err)
	require.EqualValues(t, 1, c.Lost)
}

func TestCompareOfADeduplicatingSinkWantsEachEventOnce(t *testing.T) {
	m, rows := recorded(t, 500)
	for i := range m.entries {
		m.entries[i].sent, m.entries[i].acked, m.entries[i].unsure = 3, 3, 2
	}
	c, err := Compare(m, each(rows), CompareOptions{Deduplicated: true})
	require.NoError(t, err)
	require.True(t, c.OK(), c.Verdict())
	c, err = Compare(m, each(rows), CompareOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 500, c.Lost, "without deduplication every acknowledged copy has its row")
	c, err = Compare(m, each(append(rows, rows[3])), CompareOptions{Deduplicated: true})
	require.NoError(t, err)
	require.EqualValues(t, 1, c.Duplicated)
}
