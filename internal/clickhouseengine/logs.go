// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	maxLogLine   = 4096 // bytes of one line that are kept
	maxTailLines = 12
)

var (
	// 2026.11.22 08:48:00.615124 [ 10328 ] {query} <Error> TCPHandler: text
	logLine = regexp.MustCompile(`^\d{4}\.\d\d\.\d\d [\d:.]+ \[ \d+ \] \{([^}]*)\} <(\w+)> ([^:]*): (.*)$`)
	// The library carries no symbols, so its stack traces tell nothing.
	stackLine = regexp.MustCompile(`^\d+\. .* @ 0x[0-9a-f]+$`)
	stackTail = regexp.MustCompile(`,? Stack trace \(when copying this message.*$`)
)

// tail keeps the last lines an engine wrote. Only the log's reader writes it, and others read it after that has ended.
type tail struct{ lines []string }

func (t *tail) add(line string) {
	if len(t.lines) == maxTailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) String() string { return strings.Join(t.lines, " | ") }

// forward copies the engine's output to the logger until it ends.
func forward(r io.Reader, logger *zap.Logger, t *tail) {
	br := bufio.NewReaderSize(r, maxLogLine)
	for {
		raw, err := br.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line is dropped
			raw = append([]byte(nil), raw...)
			_, err = br.ReadSlice('\n')
		}
		forwardLine(strings.TrimSpace(strings.ToValidUTF8(string(raw), "?")), logger, t)
		if err != nil {
			return
		}
	}
}

func forwardLine(line string, logger *zap.Logger, t *tail) {
	if line == "" || stackLine.MatchString(line) || strings.HasPrefix(line, "(version ") {
		return
	}
	m := logLine.FindStringSubmatch(line)
	if m == nil {
		line = stackTail.ReplaceAllString(line, "")
		t.add(line)
		logger.Warn("ClickHouse engine: " + line)
		return
	}
	text := stackTail.ReplaceAllString(m[4], "")
	t.add(text)
	fields := []zap.Field{zap.String("engine.logger", m[3])}
	if m[1] != "" {
		fields = append(fields, zap.String("engine.query_id", m[1]))
	}
	logger.Log(levelOf(m[2], m[3]), "ClickHouse engine: "+text, fields...)
}

// levelOf translates an engine's level. What the engine calls an error of a query is its client's: the client got it as its answer.
func levelOf(level, source string) zapcore.Level {
	switch level {
	case "Fatal", "Critical":
		return zapcore.ErrorLevel
	case "Error":
		switch source {
		case "executeQuery", "TCPHandler", "DynamicQueryHandler", "HTTPHandler":
			return zapcore.WarnLevel
		}
		return zapcore.ErrorLevel
	case "Warning":
		return zapcore.WarnLevel
	case "Notice", "Information":
		return zapcore.InfoLevel
	}
	return zapcore.DebugLevel
}
