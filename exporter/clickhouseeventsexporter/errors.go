// SPDX-License-Identifier: Apache-2.0

package clickhouseeventsexporter

import (
	"errors"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// class is what to do about an error of the server.
type class int

const (
	// classRetry: the same rows can go in later. Everything unknown is of this class: waiting loses nothing.
	classRetry class = iota
	// classTables: something of the tables is not as we left it. Look at them again, then retry.
	classTables
	// classRows: at least one of these rows is refused for what it holds. A retry cannot mend it.
	classRows
)

// rowErrors are the server's errors that speak of a value. Names and codes: src/Common/ErrorCodes.cpp.
var rowErrors = map[proto.Error]bool{
	proto.ErrCannotParseText:                 true,
	proto.ErrCannotParseEscapeSequence:       true,
	proto.ErrCannotParseQuotedString:         true,
	proto.ErrCannotParseInputAssertionFailed: true,
	proto.ErrCannotParseNumber:               true,
	proto.ErrIncorrectData:                   true,
	proto.ErrTooLargeStringSize:              true,
	proto.ErrSizesOfArraysDontMatch:          true,
	proto.ErrTooDeepRecursion:                true,
	proto.ErrValueIsOutOfRangeOfDataType:     true,
	proto.ErrDecimalOverflow:                 true,
	proto.ErrViolatedConstraint:              true,
}

var tableErrors = map[proto.Error]bool{
	proto.ErrUnknownTable:          true,
	proto.ErrUnknownDatabase:       true,
	proto.ErrNoSuchColumnInTable:   true,
	proto.ErrUnknownIdentifier:     true,
	proto.ErrThereIsNoColumn:       true,
	proto.ErrNotFoundColumnInBlock: true,
	proto.ErrTypeMismatch:          true,
}

func classify(err error) class {
	exception, ok := ch.AsException(err)
	if !ok {
		var changed *columnTypeError
		if errors.As(err, &changed) {
			return classTables
		}
		return classRetry // the network's
	}
	switch {
	case strings.Contains(exception.Message, "while pushing to view"):
		// The rows are in our table already; what a view makes of them is for its owner to mend.
		return classRetry
	case tableErrors[exception.Code]:
		return classTables
	case rowErrors[exception.Code]:
		return classRows
	}
	return classRetry
}

func isConstraint(err error) bool {
	exception, ok := ch.AsException(err)
	return ok && exception.Code == proto.ErrViolatedConstraint
}

// serverError returns what the server said, without our own words around it.
func serverError(err error) string {
	if exception, ok := ch.AsException(err); ok {
		return exception.Error()
	}
	return err.Error()
}
