// SPDX-License-Identifier: Apache-2.0

package keyed

import "math/bits"

// arena holds blocks of bytes in pages, by size class. It never gives pages back to the runtime before the table does.
type arena struct {
	classes []class
	bytes   int // of all pages
	used    int // of all blocks that are given out
}

// class is blocks of one size. The first four bytes of a free block name the next one.
type class struct {
	pages [][]byte
	used  uint32 // blocks that were ever given out
	free  uint32 // number of the first free block, plus one
}

const (
	pageBlocks = 64
	unit       = 8
	// Up to fineUnits units a class is one unit wide; beyond, eight classes for each doubling.
	fineUnits = 64
)

// classOf returns the size class of a block of n bytes, and its size.
func classOf(n int) (class, size int) {
	units := (max(n, 1) + unit - 1) / unit
	if units <= fineUnits {
		return units - 1, units * unit
	}
	shift := bits.Len(uint(units-1)) - 4 // four leading bits tell the class
	steps := (units + 1<<shift - 1) >> shift
	return fineUnits + (shift-3)*8 + steps - 9, steps << shift * unit
}

// alloc returns the number of a block of n bytes. Its content is not cleared.
func (a *arena) alloc(n int) uint32 {
	at, size := classOf(n)
	a.used += size
	for len(a.classes) <= at {
		a.classes = append(a.classes, class{})
	}
	c := &a.classes[at]
	if c.free != 0 {
		block := c.free - 1
		b := c.block(block, size)
		c.free = uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		return block
	}
	block := c.used
	c.used++
	if int(block/pageBlocks) == len(c.pages) {
		// The first page of a class is small at first: most tables hold few entries.
		c.pages = append(c.pages, make([]byte, pageBlocks*size))
		a.bytes += pageBlocks * size
	}
	return block
}

func (c *class) block(i uint32, size int) []byte {
	page := c.pages[i/pageBlocks]
	at := int(i%pageBlocks) * size
	return page[at : at+size : at+size]
}

// get returns a block that was allocated for n bytes, cut to them.
func (a *arena) get(block uint32, n int) []byte {
	at, size := classOf(n)
	return a.classes[at].block(block, size)[:n]
}

func (a *arena) release(block uint32, n int) {
	at, size := classOf(n)
	a.used -= size
	c := &a.classes[at]
	b := c.block(block, size)
	b[0], b[1], b[2], b[3] = byte(c.free), byte(c.free>>8), byte(c.free>>16), byte(c.free>>24)
	c.free = block + 1
}
