// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTracesOfAProfile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "traces.txt"))
	require.NoError(t, err)
	all, err := parseTraces(string(text))
	require.NoError(t, err)
	require.Len(t, all, 4)
	require.Equal(t, trace{1200 * time.Millisecond, []string{
		"github.com/pierrec/lz4/v4.CompressBlock", "github.com/ClickHouse/ch-go/compress.(*Writer).Compress",
		"github.com/millrace/millrace/exporter/clickhouseeventsexporter.(*logsExporter).ConsumeLogs", "main.export",
	}}, all[0])
	require.Equal(t, []entry{{"LZ4 compression", 1200 * time.Millisecond}, {"reading events", 30 * time.Millisecond}},
		ranked(all[:2], (*trace).share))
	require.Equal(t, []bool{false, false, true, true},
		[]bool{all[0].prepared(), all[1].prepared(), all[2].prepared(), all[3].prepared()})
}

func TestSharesAreNamedByTheInnermostTellingFunction(t *testing.T) {
	f := func(want string, stack ...string) {
		t.Helper()
		require.Equal(t, want, (&trace{stack: stack}).share())
	}
	f("building columns", "runtime.memmove", "github.com/millrace/millrace/internal/native.(*Column).Append", "x.ConsumeLogs")
	f("allocating and freeing memory", "runtime.nextFreeFast", "runtime.mallocgc", "github.com/millrace/millrace/internal/native.New", "x.ConsumeLogs")
	f("Go's runtime, the rest of it", "runtime.findRunnable", "runtime.schedule", "runtime.mcall")
	f("reading events", "go.opentelemetry.io/collector/pdata/pcommon.Map.Range", "github.com/millrace/millrace/exporter/clickhouseeventsexporter.x")
	f("other", "strings.Index", "main.main")
}

func TestShortNameKeepsPackageAndTypeArguments(t *testing.T) {
	require.Equal(t, "event.(*Reader).read", shortName("github.com/millrace/millrace/internal/event.(*Reader).read (inline)"))
	require.Equal(t, "native.Append[go.shape.x/y]", shortName("a/b/native.Append[go.shape.x/y]"))
	require.Equal(t, "runtime.memmove", shortName("runtime.memmove"))
	require.Equal(t, "a."+strings.Repeat("x", longestName-2)+"…", shortName("long/a."+strings.Repeat("x", 200)))
}

func TestFunctionsOfTheRuntimeAreNamedWithTheirCaller(t *testing.T) {
	f := func(want string, stack ...string) {
		t.Helper()
		require.Equal(t, want, (&trace{stack: stack}).inner())
	}
	f("`lz4.Compress`", "x/lz4.Compress", "main.main")
	f("`runtime.memmove` for `native.Append`", "runtime.memmove", "runtime.growslice", "x/native.Append", "main.main")
	f("`runtime.mcall`", "runtime.mcall")
}

func TestOutOfOrderTracesAreRefused(t *testing.T) {
	_, err := parseTraces("Type: cpu\n-----------+----\n  soon  main.main\n")
	require.ErrorContains(t, err, "reading the profile")
}
