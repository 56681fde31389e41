// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/term"
)

func TestDemoEndsWellOnTheRealThing(t *testing.T) {
	t.Chdir("../../..")
	for n, addr := range freeport.Must(t, len(placeOrder)) {
		t.Setenv(placeOrder[n], addr)
	}
	dir := filepath.Join(t.TempDir(), "demo")
	o, err := parse([]string{"-events", "20000", "-data", dir})
	require.NoError(t, err)
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	err = run(ctx, term.New(f), o)
	text, readErr := os.ReadFile(f.Name())
	require.NoError(t, readErr)
	require.NoError(t, f.Close())
	require.NoError(t, err, "%s", text)
	for _, want := range []string{
		"20,000 events sent is there by its ID: 0 lost, 0 duplicated, 0 altered, 0 unexpected",
		"ClickHouse has all that was acknowledged", "events were sent twice on purpose: the log dropped their copies",
		"order completed", "schema_violation", "FROM file('lake/event_name=*/**/*.parquet')", "the tables give the same answer", "Which campaign brings visits", "is counted once in its minute", "Nothing is left running.",
	} {
		require.Contains(t, string(text), want)
	}
	require.NotContains(t, string(text), "\x1b", "colour where there is no terminal")
	require.FileExists(t, manifestPath(o))

	// The next demo may empty the directory.
	require.NoError(t, freshDirectory(dir))
	require.NoFileExists(t, manifestPath(o))
}

func TestDemoSaysWhyTheCollectorDidNotStart(t *testing.T) {
	for _, name := range placeOrder {
		t.Setenv(name, "127.0.0.1:0")
	}
	dir := filepath.Join(t.TempDir(), "demo")
	binary := filepath.Join(t.TempDir(), "millrace")
	f := func(script, want string) {
		t.Helper()
		if script != "" {
			require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		}
		o, err := parse([]string{"-binary", binary, "-data", dir})
		require.NoError(t, err)
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		require.NoError(t, err)
		defer func() { _ = out.Close() }()
		require.ErrorContains(t, run(context.Background(), term.New(out), o), want)
	}
	f("", "is missing: run make build first")
	f("echo no schema directory >&2; exit 3", "exit status 3")
	f("echo no schema directory >&2; exit 3", "no schema directory")
}

func TestFreshDirectoryEmptiesOnlyWhatADemoLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, freshDirectory(dir))
	kept := filepath.Join(dir, "kept")
	require.NoError(t, os.WriteFile(kept, nil, 0o600))

	require.NoError(t, mark(dir, strconv.Itoa(os.Getppid())))
	require.ErrorContains(t, freshDirectory(dir), "another demo (process "+strconv.Itoa(os.Getppid()))
	require.FileExists(t, kept)

	require.NoError(t, os.Remove(filepath.Join(dir, marker)))
	require.ErrorContains(t, freshDirectory(dir), "no earlier demo made it")
	require.FileExists(t, kept)

	require.NoError(t, mark(dir, ""))
	require.NoError(t, freshDirectory(dir))
	require.NoFileExists(t, kept)
}

func TestPlacesThatAreTakenAreMovedUnlessTheyWereAskedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	for _, name := range placeOrder {
		t.Setenv(name, "")
	}
	places, err := choosePlaces()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, p := range places {
		require.False(t, seen[p.addr], "two get %s", p.addr)
		seen[p.addr] = true
	}
	if taken, err := net.Listen("tcp", "127.0.0.1:4317"); err == nil {
		moved, err := choosePlaces()
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:4317", moved[otlpGRPC].moved)
		require.NotEqual(t, "127.0.0.1:4317", moved[otlpGRPC].addr)
		require.NoError(t, taken.Close())
	}
	t.Setenv(segment, l.Addr().String())
	_, err = choosePlaces()
	require.ErrorContains(t, err, "MILLRACE_SEGMENT is \""+l.Addr().String())
}

func TestCellsOfAColumnHaveTheSameDecimals(t *testing.T) {
	f := func(v any, decimals int, want string) {
		t.Helper()
		require.Equal(t, want, cell(v, decimals))
	}
	f(json.Number("100"), 1, "100.0")
	f(json.Number("42.9"), 2, "42.90")
	f(json.Number("7"), 0, "7")
	f("x", 2, "x")
	f(nil, 2, "–")
	require.True(t, isNumber("Nullable(Decimal(18, 2))"))
	require.False(t, isNumber("LowCardinality(Nullable(String))"))
}

func TestParseRefusesNonsense(t *testing.T) {
	t.Setenv("DEMO_EVENTS", "many")
	_, err := parse(nil)
	require.ErrorContains(t, err, `DEMO_EVENTS is "many": give a number`)
	t.Setenv("DEMO_EVENTS", "")
	_, err = parse([]string{"-events", "0"})
	require.ErrorContains(t, err, "events is 0: give at least 1")
	_, err = parse([]string{"what"})
	require.ErrorContains(t, err, `unexpected argument "what"`)
}
