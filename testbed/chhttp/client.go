// SPDX-License-Identifier: Apache-2.0

// Package chhttp asks ClickHouse over its HTTP interface, for tests and the demo: small answers as tables, large
// ones as a stream of RowBinary.
package chhttp

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Client is where to ask and as whom. Safe for concurrent use; the fields are not to be changed after the first
// query.
type Client struct {
	URL      string // such as http://127.0.0.1:8123
	User     string // "" is ClickHouse's default user
	Password string
	Database string // "" is the user's
	HTTP     *http.Client
}

func (c *Client) client() *http.Client {
	if c.HTTP == nil {
		return http.DefaultClient
	}
	return c.HTTP
}

// Close lets go of the connections that are kept open between queries: a server waits for them when it stops.
func (c *Client) Close() { c.client().CloseIdleConnections() }

// Error is a query that ClickHouse refused.
type Error struct {
	Code    int // ClickHouse's, such as 60 for an unknown table; 0 where it gave none
	Message string
}

func (e *Error) Error() string { return e.Message }

// IsMissing says whether a query failed because its table or database does not exist (yet).
func IsMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Code == 60 || e.Code == 81)
}

var codePattern = regexp.MustCompile(`^Code: (\d+)\. `)

// Query sends the SQL and returns the answer's body in whatever format the SQL names. The caller closes it.
func (c *Client) Query(ctx context.Context, sql string) (io.ReadCloser, error) {
	q := url.Values{}
	if c.Database != "" {
		q.Set("database", c.Database)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.URL, "/")+"/?"+q.Encode(), strings.NewReader(sql))
	if err != nil {
		return nil, fmt.Errorf("asking ClickHouse: %w", err)
	}
	if c.User != "" {
		req.Header.Set("X-ClickHouse-User", c.User)
		req.Header.Set("X-ClickHouse-Key", c.Password)
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking ClickHouse: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
		if err != nil {
			return nil, fmt.Errorf("asking ClickHouse: status %d: %w", resp.StatusCode, err)
		}
		e := &Error{Message: strings.TrimSpace(string(text))}
		if e.Code, err = strconv.Atoi(resp.Header.Get("X-ClickHouse-Exception-Code")); err != nil {
			if m := codePattern.FindStringSubmatch(e.Message); m != nil {
				e.Code, _ = strconv.Atoi(m[1]) // digits only
			}
		}
		if e.Message == "" {
			e.Message = fmt.Sprintf("status %d", resp.StatusCode)
		}
		return nil, fmt.Errorf("asking ClickHouse: %w", e)
	}
	return resp.Body, nil
}

// Exec runs a statement that answers nothing.
func (c *Client) Exec(ctx context.Context, sql string) error {
	body, err := c.Query(ctx, sql)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	return errors.Join(err, body.Close())
}

// Table is a small answer. Values are as in JSON, numbers as json.Number.
type Table struct {
	Columns []Column `json:"meta"`
	Rows    [][]any  `json:"data"`
}

// Column is one of a Table's.
type Column struct{ Name, Type string }

// Table runs a SELECT without FORMAT and returns its whole answer.
func (c *Client) Table(ctx context.Context, sql string) (*Table, error) {
	body, err := c.Query(ctx, sql+"\nFORMAT JSONCompact SETTINGS output_format_json_quote_64bit_integers=0, output_format_json_quote_decimals=0")
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	var t Table
	dec := json.NewDecoder(body)
	dec.UseNumber()
	if err := dec.Decode(&t); err != nil {
		return nil, fmt.Errorf("decoding ClickHouse's answer: %w", err)
	}
	return &t, nil
}

// Int runs a SELECT whose answer is one whole number.
func (c *Client) Int(ctx context.Context, sql string) (int64, error) {
	body, err := c.Query(ctx, sql+"\nFORMAT TabSeparated")
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(io.LimitReader(body, 64))
	if err != nil {
		return 0, fmt.Errorf("reading ClickHouse's answer: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("decoding ClickHouse's answer: %w", err)
	}
	return n, nil
}

// Stream runs a SELECT without FORMAT and returns its answer row by row. The caller closes it.
func (c *Client) Stream(ctx context.Context, sql string) (*Stream, error) {
	body, err := c.Query(ctx, sql+"\nFORMAT RowBinary")
	if err != nil {
		return nil, err
	}
	return &Stream{body: body, r: bufio.NewReaderSize(body, 1<<18)}, nil
}

// Stream reads RowBinary, value by value in the order of the SELECT. After the first error all reads return zero
// values: check Err.
type Stream struct {
	body io.Closer
	r    *bufio.Reader
	buf  []byte
	err  error
}

// More says whether another row follows.
func (s *Stream) More() bool {
	if s.err != nil {
		return false
	}
	_, err := s.r.Peek(1)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return err == nil
}

// Err returns the first error, nil at the end of a whole answer.
func (s *Stream) Err() error {
	if s.err != nil {
		return fmt.Errorf("reading ClickHouse's rows: %w", s.err)
	}
	return nil
}

// Close ends the query.
func (s *Stream) Close() error { return s.body.Close() }

const maxText = 64 << 20

// Text reads a String.
func (s *Stream) Text() string {
	n, err := binary.ReadUvarint(s.r)
	if err == nil && n > maxText {
		err = fmt.Errorf("a text of %d bytes", n)
	}
	if s.fail(err) {
		return ""
	}
	if uint64(cap(s.buf)) < n {
		s.buf = make([]byte, n)
	}
	s.buf = s.buf[:n]
	if _, err := io.ReadFull(s.r, s.buf); s.fail(err) {
		return ""
	}
	return string(s.buf)
}

// Int64 reads an Int64.
func (s *Stream) Int64() int64 {
	var b [8]byte
	if _, err := io.ReadFull(s.r, b[:]); s.fail(err) {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b[:]))
}

func (s *Stream) fail(err error) bool {
	if s.err == nil && err != nil {
		if errors.Is(err, io.EOF) { // in the middle of a row
			err = io.ErrUnexpectedEOF
		}
		s.err = err
	}
	return s.err != nil
}
