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
	logLine = regexp.MustCompile(`^\d{4}\.\d\d\.\d\d [\d:.]+ \[ \d+ \] \{([^}]*)\} <(\w+)> ([^:]*): ?(.*)$`)
	// The library carries no symbols, so its stack traces tell nothing.
	stackLine = regexp.MustCompile(`^\d+\. .* @ 0x[0-9a-f]+$|^Stack trace: 0x|^#+$`)
	stackTail = regexp.MustCompile(`,? Stack trace \(when copying this message.*$`)
	// A statement's text can hold what an event holds.
	statement = regexp.MustCompile(` \(in query: .*$`)
)

// tail keeps the last lines an engine wrote. Only the log's reader writes it, and others read it after that has ended.
type tail struct {
	lines  []string
	inform bool // a line of the log's own form was seen
}

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
	m := logLine.FindStringSubmatch(line)
	if m == nil {
		// After the first log line, what has no form is the rest of a statement; only the engine's last error is told bare.
		if t.inform && !strings.HasPrefix(line, "Code: ") && !strings.HasPrefix(line, "clickhouse: ") {
			return
		}
		if line = plain(line); line == "" {
			return
		}
		t.add(line)
		logger.Warn("ClickHouse engine: " + line)
		return
	}
	t.inform = true
	text := plain(m[4])
	if text == "" {
		return
	}
	t.add(text)
	fields := []zap.Field{zap.String("engine.logger", m[3])}
	if m[1] != "" {
		fields = append(fields, zap.String("engine.query_id", m[1]))
	}
	logger.Log(levelOf(m[2], m[3], m[1] != ""), "ClickHouse engine: "+text, fields...)
}

// plain takes off what must not or need not be logged; that can be all.
func plain(line string) string {
	line = strings.TrimSpace(line)
	if stackLine.MatchString(line) || strings.HasPrefix(line, "(version ") && !strings.Contains(line, "Terminate called") {
		return ""
	}
	return statement.ReplaceAllString(stackTail.ReplaceAllString(line, ""), "")
}

// levelOf translates an engine's level. What the engine calls an error of a query is its client's, who got it as its answer; the connection's handler
// says it a second time. A pool that is busy is no news.
func levelOf(level, source string, ofQuery bool) zapcore.Level {
	handler := source == "TCPHandler" || source == "HTTPHandler" || source == "DynamicQueryHandler"
	switch level {
	case "Fatal", "Critical":
		return zapcore.ErrorLevel
	case "Error":
		switch {
		case handler && ofQuery:
			return zapcore.DebugLevel
		case handler, source == "executeQuery":
			return zapcore.WarnLevel
		}
		return zapcore.ErrorLevel
	case "Warning":
		if source == "BackgroundSchedulePool/BgSchPool" {
			return zapcore.DebugLevel
		}
		return zapcore.WarnLevel
	case "Notice", "Information":
		return zapcore.InfoLevel
	}
	return zapcore.DebugLevel
}
