// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestForwardGivesTheEnginesLinesTheirLevelWithoutStackTraces(t *testing.T) {
	f := func(in string, level zapcore.Level, message string, context map[string]any) {
		core, logs := observer.New(zapcore.DebugLevel)
		var last tail
		forward(strings.NewReader(in), zap.New(core), &last)
		require.Len(t, logs.All(), 1)
		entry := logs.All()[0]
		require.Equal(t, level, entry.Level)
		require.Equal(t, "ClickHouse engine: "+message, entry.Message)
		require.Equal(t, context, entry.ContextMap())
		require.Equal(t, message, last.String())
	}
	f("2026.11.22 08:48:00.615124 [ 10328 ] {} <Error> TCPHandler: TCPHandler: Code: 516. DB::Exception: app: no (AUTHENTICATION_FAILED), Stack trace (when copying this message, always include the lines below):\n\n0. ? @ 0x000000001c8fa4b3\n15. __clone3 @ 0x00000000001098ec\n (version 26.7.2.1)\n",
		zapcore.WarnLevel, "TCPHandler: Code: 516. DB::Exception: app: no (AUTHENTICATION_FAILED)", map[string]any{"engine.logger": "TCPHandler"})
	f("2026.11.22 08:48:00.615124 [ 10328 ] {q-1} <Error> MergeTreeBackgroundExecutor: disk full",
		zapcore.ErrorLevel, "disk full", map[string]any{"engine.logger": "MergeTreeBackgroundExecutor", "engine.query_id": "q-1"})
	f("2026.11.22 08:48:00.615124 [ 1 ] {} <Fatal> ClientBase: Received signal 11", zapcore.ErrorLevel, "Received signal 11", map[string]any{"engine.logger": "ClientBase"})
	f("2026.11.22 08:48:00.615124 [ 1 ] {} <Fatal> ClientBase: 15. __clone3 @ 0x00000000001098ec\n2026.11.22 08:48:00.615124 [ 1 ] {} <Fatal> ClientBase:  (version 26.7.2.1)\n"+
		"2026.11.22 08:48:00.615124 [ 1 ] {} <Fatal> ClientBase: \n2026.11.22 08:48:00.615124 [ 1 ] {} <Fatal> ClientBase: Signal description: Aborted",
		zapcore.ErrorLevel, "Signal description: Aborted", map[string]any{"engine.logger": "ClientBase"})
	f("2026.11.22 08:48:00.615124 [ 1 ] {} <Warning> Context: slow disk\n", zapcore.WarnLevel, "slow disk", map[string]any{"engine.logger": "Context"})
	f("2026.11.22 08:48:00.615124 [ 1 ] {} <Information> A: b\r\n", zapcore.InfoLevel, "b", map[string]any{"engine.logger": "A"})
	f("2026.11.22 08:48:00.615124 [ 1 ] {} <Trace> A: b", zapcore.DebugLevel, "b", map[string]any{"engine.logger": "A"})
	f("2026.11.22 08:48:00.615124 [ 1 ] {q-1} <Error> executeQuery: Code: 27. DB::Exception: no (version 26.7.2.1) (from 127.0.0.1:1) (in query: INSERT INTO t VALUES ('ann@example.com')), Stack trace (when copying this message, always include the lines below):",
		zapcore.WarnLevel, "Code: 27. DB::Exception: no (version 26.7.2.1) (from 127.0.0.1:1)", map[string]any{"engine.logger": "executeQuery", "engine.query_id": "q-1"})
	f("2026.11.22 08:48:00.615124 [ 1 ] {q-1} <Error> executeQuery: Code: 27. no (in query: INSERT INTO t\nVALUES\n ('ann@example.com')), Stack trace\n",
		zapcore.WarnLevel, "Code: 27. no", map[string]any{"engine.logger": "executeQuery", "engine.query_id": "q-1"})
	f("2026.11.22 08:48:00.615124 [ 1 ] {q-1} <Error> TCPHandler: Code: 27. DB::Exception: no",
		zapcore.DebugLevel, "Code: 27. DB::Exception: no", map[string]any{"engine.logger": "TCPHandler", "engine.query_id": "q-1"})
	f("clickhouse: error while loading shared libraries: libm.so.6", zapcore.WarnLevel, "clickhouse: error while loading shared libraries: libm.so.6", map[string]any{})
}

func TestForwardCutsLongLinesAndKeepsTheNext(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	var last tail
	forward(strings.NewReader(strings.Repeat("x", 10*maxLogLine)+"\nnext\n"), zap.New(core), &last)
	require.Len(t, logs.All(), 2)
	require.LessOrEqual(t, len(logs.All()[0].Message), maxLogLine+100)
	require.Equal(t, "ClickHouse engine: next", logs.All()[1].Message)
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var last tail
	for i := range maxTailLines + 3 {
		last.add(string(rune('a' + i)))
	}
	require.Len(t, last.lines, maxTailLines)
	require.True(t, strings.HasSuffix(last.String(), " | n | o"))
}

func FuzzForward(f *testing.F) {
	f.Add([]byte("2026.11.22 08:48:00.615124 [ 1 ] {} <Warning> Context: slow disk\n0. ? @ 0x1\n"))
	f.Add([]byte("\xff\xfe\n\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		core, logs := observer.New(zapcore.DebugLevel)
		var last tail
		forward(strings.NewReader(string(in)), zap.New(core), &last)
		require.LessOrEqual(t, len(last.lines), maxTailLines)
		for _, e := range logs.All() {
			require.True(t, utf8.ValidString(e.Message))
			require.NotContains(t, e.Message, "\n")
		}
	})
}
