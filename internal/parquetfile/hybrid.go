// SPDX-License-Identifier: Apache-2.0

package parquetfile

import (
	"encoding/binary"
	"slices"
)

// The RLE/bit-packing hybrid, in which levels and dictionary indexes are written: runs of one value, and groups of 8 values
// packed into as many bytes as a value has bits.

// minRun is how many equal values are cheaper as a run of their own than packed among their neighbours: a run costs its header and
// value, and the header of the packed groups behind it.
func minRun(width int) int { return max(8, (40/width+7)&^7) }

func appendRun(dst []byte, n int, value uint32, width int) []byte {
	dst = binary.AppendUvarint(dst, uint64(n)<<1)
	for w := width; w > 0; w -= 8 {
		dst = append(dst, byte(value))
		value >>= 8
	}
	return dst
}

// appendIndexes appends the width of the page's widest index and the indexes.
func appendIndexes(dst []byte, ids []uint32) []byte {
	var or uint32
	for _, id := range ids {
		or |= id
	}
	width := bitLen(or)
	dst = append(dst, byte(width))
	if width == 0 {
		return binary.AppendUvarint(dst, uint64(len(ids))<<1)
	}
	least := minRun(width)
	packed := 0 // where those begin that are yet to be packed
	for i := 0; i < len(ids); {
		j := i + 1
		for j < len(ids) && ids[j] == ids[i] {
			j++
		}
		if j-i >= least {
			// Packed groups are of 8, so what is missing of the last one is taken from the run.
			if open := (i - packed) & 7; open > 0 {
				i += 8 - open
			}
			if j-i >= least {
				dst = appendPacked(dst, ids[packed:i], width)
				dst = appendRun(dst, j-i, ids[i], width)
				packed = j
			}
		}
		i = j
	}
	return appendPacked(dst, ids[packed:], width)
}

// appendPacked packs values in groups of 8, the last of which zeros fill.
func appendPacked(dst []byte, ids []uint32, width int) []byte {
	if len(ids) == 0 {
		return dst
	}
	groups := (len(ids) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	at := len(dst)
	dst = slices.Grow(dst, groups*width+8) // 8 more than needed, since words of 8 bytes are written
	out := dst[:at+groups*width+8]
	for len(ids) >= 8 {
		packGroup(out[at:], (*[8]uint32)(ids), width)
		ids, at = ids[8:], at+width
	}
	if len(ids) > 0 {
		var last [8]uint32
		copy(last[:], ids)
		packGroup(out[at:], &last, width)
		at += width
	}
	return dst[:at]
}

// packGroup writes the 8 values into dst[:width], and may write zeros into the 8 bytes after.
func packGroup(dst []byte, v *[8]uint32, width int) {
	w := uint(width)
	if width <= 8 {
		x := uint64(v[0]) | uint64(v[1])<<w | uint64(v[2])<<(2*w) | uint64(v[3])<<(3*w) |
			uint64(v[4])<<(4*w) | uint64(v[5])<<(5*w) | uint64(v[6])<<(6*w) | uint64(v[7])<<(7*w)
		binary.LittleEndian.PutUint64(dst, x)
		return
	}
	if width <= 16 {
		lo := uint64(v[0]) | uint64(v[1])<<w | uint64(v[2])<<(2*w) | uint64(v[3])<<(3*w)
		hi := uint64(v[4]) | uint64(v[5])<<w | uint64(v[6])<<(2*w) | uint64(v[7])<<(3*w)
		at := 4 * w
		binary.LittleEndian.PutUint64(dst, lo|hi<<at) // 4 values of 16 bits: all of hi is shifted out
		if at < 64 {
			hi >>= 64 - at
		}
		binary.LittleEndian.PutUint64(dst[8:], hi)
		return
	}
	var acc uint64
	var have uint
	at := 0
	for _, x := range v {
		acc |= uint64(x) << have
		if have += w; have >= 32 {
			binary.LittleEndian.PutUint32(dst[at:], uint32(acc))
			acc >>= 32
			have -= 32
			at += 4
		}
	}
	binary.LittleEndian.PutUint32(dst[at:], uint32(acc))
}

// appendLevels appends levels, a byte each, of width 1 or 2, after their length in bytes.
func appendLevels(dst, levels []byte, width int) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	least := minRun(width)
	packed := 0
	i := 0
	for i+8 <= len(levels) {
		pattern := uint64(levels[i]) * 0x0101010101010101
		if binary.LittleEndian.Uint64(levels[i:]) != pattern {
			i += 8
			continue
		}
		j := i + 8
		for j+8 <= len(levels) && binary.LittleEndian.Uint64(levels[j:]) == pattern {
			j += 8
		}
		// A run that reaches the last whole group may reach the end.
		if len(levels)-j < 8 {
			k := j
			for k < len(levels) && levels[k] == levels[i] {
				k++
			}
			if k == len(levels) {
				j = k
			}
		}
		if j-i >= least {
			dst = appendPackedLevels(dst, levels[packed:i], width)
			dst = appendRun(dst, j-i, uint32(levels[i]), width)
			packed = j
		}
		i = j
	}
	dst = appendPackedLevels(dst, levels[packed:], width)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// appendSameLevels appends n levels of one value.
func appendSameLevels(dst []byte, n int, level byte, width int) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendRun(dst, n, uint32(level), width)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

func appendPackedLevels(dst, levels []byte, width int) []byte {
	if len(levels) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64((len(levels)+7)/8)<<1|1)
	for len(levels) >= 8 {
		dst = packLevels(dst, binary.LittleEndian.Uint64(levels), width)
		levels = levels[8:]
	}
	if len(levels) > 0 {
		var last [8]byte
		copy(last[:], levels)
		dst = packLevels(dst, binary.LittleEndian.Uint64(last[:]), width)
	}
	return dst
}

// packLevels appends the 8 bytes of x, each below 1<<width, as width bytes.
func packLevels(dst []byte, x uint64, width int) []byte {
	// The product brings the lowest bit of byte i to bit 56+i, and no two bits meet below.
	const gather = 0x0102040810204080
	if width == 1 {
		return append(dst, byte(x*gather>>56))
	}
	x |= x >> 6 // two levels in the low 4 bits of every other byte
	x &= 0x000f000f000f000f
	return append(dst, byte(x|x>>12), byte(x>>32|x>>44))
}
