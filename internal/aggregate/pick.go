// SPDX-License-Identifier: Apache-2.0

package aggregate

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/event"
)

// A pick is the value of one event: first and last by its Point, arg_max and arg_min by a number and then the least Point.
//
//	Point (20), what is compared by (9, only arg), the value: a cell (9) or a text
const pickPoint = 20

func loadPoint(b []byte) Point {
	return Point{int64(le.Uint64(b)), le.Uint32(b[8:]), le.Uint64(b[12:])}
}

func (p Point) store(b []byte) {
	le.PutUint64(b, uint64(p.Time))
	le.PutUint32(b[8:], p.Partition)
	le.PutUint64(b[12:], p.Position)
}

// pick is what a part of this kind is told by.
type pick struct {
	arg  bool
	sign int // 1: the greatest is kept; -1: the least
	typ  Type
	by   Type
}

// head is the size of what is before the value.
func (k *pick) head() int {
	if k.arg {
		return pickPoint + cellSize
	}
	return pickPoint
}

// wins says whether (at, by) goes before what b keeps, which is something.
func (k *pick) wins(b []byte, at Point, by cell) bool {
	if !k.arg {
		return at.Compare(loadPoint(b)) == k.sign
	}
	if c := by.compare(loadCell(b[pickPoint:])); c != 0 {
		return c == k.sign
	}
	return at.Compare(loadPoint(b)) < 0
}

func (k *pick) storeHead(b []byte, at Point, by cell) {
	at.store(b)
	if k.arg {
		by.store(b[pickPoint:])
	}
}

func (k *pick) addCell(b []byte, v, by *event.Scalar, at Point) Reason {
	value, reason := read(v, k.typ)
	if reason != Added {
		return reason
	}
	var c cell
	if k.arg {
		if c, reason = read(by, k.by); reason != Added {
			return reason
		}
	}
	k.putCell(b, value, at, c)
	return Added
}

func (k *pick) putCell(b []byte, value cell, at Point, by cell) {
	head := k.head()
	if b[head] != kindNone && !k.wins(b, at, by) {
		// One Point is one event and has one value. Of two the lesser is kept all the same, for the sake of any order.
		if !k.same(b, at, by) || value.compare(loadCell(b[head:])) >= 0 {
			return
		}
	}
	k.storeHead(b, at, by)
	value.store(b[head:])
}

func loadCellIf(b []byte, arg bool) cell {
	if arg {
		return loadCell(b[pickPoint:])
	}
	return cell{}
}

func (k *pick) same(b []byte, at Point, by cell) bool {
	return at == loadPoint(b) && (!k.arg || by == loadCell(b[pickPoint:]))
}

func (k *pick) mergeCell(b, o []byte) {
	if head := k.head(); o[head] != kindNone {
		k.putCell(b, loadCell(o[head:]), loadPoint(o), loadCellIf(o, k.arg))
	}
}

// putText replaces the text if this one goes before it. b has room for it.
func (k *pick) putText(b []byte, text []byte, at Point, by cell) {
	head := k.head()
	if kept, ok := loadText(b[head:]); ok && !k.wins(b, at, by) {
		if !k.same(b, at, by) || bytes.Compare(text, kept) >= 0 {
			return
		}
	}
	k.storeHead(b, at, by)
	storeText(b[head:], text)
}

func (k *pick) check(b []byte, most int) error {
	head := k.head()
	if len(b) < head+textHeader {
		return fmt.Errorf("%d bytes are no value of an event", len(b))
	}
	if k.typ == String {
		if err := checkText(b[head:], most); err != nil {
			return err
		}
	} else if len(b) != head+cellSize {
		return fmt.Errorf("%d bytes are no value of an event", len(b))
	} else if err := checkCell(b[head:], k.typ); err != nil {
		return err
	}
	none := b[head] == 0 && b[head+1] == 0
	if k.typ != String {
		none = b[head] == kindNone
	}
	if none && !isZero(b) {
		return errors.New("no value of an event, and not empty")
	}
	if k.arg {
		if err := checkCell(b[pickPoint:], k.by); err != nil {
			return err
		}
		if !none && b[pickPoint] == kindNone {
			return errors.New("a value of an event, and nothing that it was compared by")
		}
	}
	return nil
}
