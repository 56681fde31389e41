// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLauncherIsAProgramThatTheLoaderUnderstands(t *testing.T) {
	f := func(arch string, machine elf.Machine, interp string, globDat uint32) {
		raw, err := launcherELF("/opt/engine/libchdb.so", arch, true)
		require.NoError(t, err)
		file, err := elf.NewFile(bytes.NewReader(raw))
		require.NoError(t, err)
		require.Equal(t, machine, file.Machine)
		require.Equal(t, elf.ET_DYN, file.Type)

		var dyn map[elf.DynTag][]uint64
		for _, p := range file.Progs {
			require.LessOrEqual(t, p.Off+p.Filesz, uint64(len(raw)))
			switch p.Type {
			case elf.PT_INTERP:
				require.Equal(t, interp+"\x00", string(raw[p.Off:p.Off+p.Filesz]))
			case elf.PT_LOAD:
				require.Equal(t, p.Off%p.Align, p.Vaddr%p.Align, "the kernel maps whole pages")
				require.NotEqual(t, elf.PF_W|elf.PF_X, p.Flags&(elf.PF_W|elf.PF_X), "nothing is writable and executable")
			case elf.PT_DYNAMIC:
				dyn = dynamic(raw[p.Off : p.Off+p.Filesz])
			}
		}
		text := func(at uint64) string {
			s := raw[dyn[elf.DT_STRTAB][0]+at:]
			return string(s[:bytes.IndexByte(s, 0)])
		}
		var needed []string
		for _, n := range dyn[elf.DT_NEEDED] {
			needed = append(needed, text(n))
		}
		require.Equal(t, []string{"/opt/engine/libchdb.so", "libc.so.6"}, needed)

		require.EqualValues(t, importCount*24, dyn[elf.DT_RELASZ][0])
		for i, name := range importedSymbols {
			entry := raw[dyn[elf.DT_RELA][0]+uint64(i)*24:] //nolint:misspell // ELF's word
			info := binary.LittleEndian.Uint64(entry[8:])
			require.Equal(t, globDat, uint32(info))
			sym := raw[dyn[elf.DT_SYMTAB][0]+info>>32*elf.Sym64Size:]
			require.Equal(t, name, text(uint64(binary.LittleEndian.Uint32(sym))))
		}
	}
	f("amd64", elf.EM_X86_64, "/lib64/ld-linux-x86-64.so.2", uint32(elf.R_X86_64_GLOB_DAT))
	f("arm64", elf.EM_AARCH64, "/lib/ld-linux-aarch64.so.1", uint32(elf.R_AARCH64_GLOB_DAT))

	_, err := launcherELF("/opt/engine/libchdb.so", "riscv64", false)
	require.ErrorContains(t, err, "riscv64")
}

func dynamic(raw []byte) map[elf.DynTag][]uint64 {
	out := map[elf.DynTag][]uint64{}
	for ; len(raw) >= 16; raw = raw[16:] {
		tag := elf.DynTag(binary.LittleEndian.Uint64(raw))
		out[tag] = append(out[tag], binary.LittleEndian.Uint64(raw[8:]))
	}
	return out
}

// The amd64 launcher runs in every test with an engine. There is no engine for arm64 to run it with, so this carries its instructions out, all
// addresses and calls included.
func TestArm64LauncherHandsMainToLibcAndPrintsTheEnginesError(t *testing.T) {
	const codeAt, pointers = 0xfe0, 0x20ff0 // the code and the pointers each straddle a page
	code := arm64Code(codeAt, pointers, false)

	type call struct {
		symbol string
		x      [7]uint64
	}
	f := func(engineError uint64, want []call, wantExit uint64) {
		m := &arm64{t: t, code: code, base: codeAt, mem: map[uint64]uint64{}}
		for i := range importedSymbols {
			m.mem[pointers+uint64(i)*8] = 0xcafe0000 + uint64(i)
		}
		var got []call
		m.call = func(to uint64) {
			i := to - 0xcafe0000
			require.Less(t, i, uint64(importCount))
			got = append(got, call{importedSymbols[i], [7]uint64(m.x[:7])})
			switch i {
			case importQuery:
				m.x[0] = 0x4e5
			case importError:
				m.x[0] = engineError
			default:
				m.x[0] = 0xbad
			}
		}
		// The kernel enters _start with argc and argv on the stack and rtld_fini in x0.
		const stack, fini = 0x7ff000, 0xf171
		m.mem[stack] = 3
		m.x[0], m.sp = fini, stack
		m.run(codeAt)
		require.Len(t, got, 1)
		require.Equal(t, "__libc_start_main", got[0].symbol)
		main := got[0].x[0]
		require.Equal(t, [7]uint64{main, 3, stack + 8, 0, 0, fini, stack}, got[0].x)

		// libc calls main.
		const back = 0x9999
		got = nil
		m.x[0], m.x[1], m.x[19], m.x[20], m.x[29], m.x[30] = 3, stack+8, 19, 20, 29, back
		require.EqualValues(t, back, m.run(main))
		for i := range got {
			got[i].x = [7]uint64{got[i].x[0], got[i].x[1]}
		}
		require.Equal(t, want, got)
		require.Equal(t, wantExit, m.x[0])
		require.Equal(t, []uint64{19, 20, 29, stack}, []uint64{m.x[19], m.x[20], m.x[29], m.sp}, "the caller's registers")
	}
	const argv = 0x7ff008
	f(0, []call{
		{"chdb_set_signal_handlers_enabled", [7]uint64{0, argv}},
		{"chdb_query_cmdline", [7]uint64{3, argv}},
		{"chdb_result_error", [7]uint64{0x4e5, argv}},
	}, 0)
	f(0xe44, []call{
		{"chdb_set_signal_handlers_enabled", [7]uint64{0, argv}},
		{"chdb_query_cmdline", [7]uint64{3, argv}},
		{"chdb_result_error", [7]uint64{0x4e5, argv}},
		{"puts", [7]uint64{0xe44, argv}},
	}, 1)
}

// arm64 carries out the instructions that the launcher is made of.
type arm64 struct {
	t    *testing.T
	code []byte
	base uint64
	x    [31]uint64
	sp   uint64
	mem  map[uint64]uint64 // 8 bytes an entry
	call func(to uint64)
}

// run starts at pc and returns the address that ret went to, or 0 at brk.
func (m *arm64) run(pc uint64) uint64 {
	sx := func(v uint32, bits uint) int64 { return int64(v) << (64 - bits) >> (64 - bits) }
	for steps := 0; ; steps++ {
		require.Less(m.t, steps, 100)
		require.Less(m.t, pc-m.base, uint64(len(m.code)), "left the code")
		ins := binary.LittleEndian.Uint32(m.code[pc-m.base:])
		rd, rn, rm := ins&31, ins>>5&31, ins>>16&31
		pair := ins >> 10 & 31
		imm12 := uint64(ins >> 10 & 0xfff)
		base := func() uint64 { // register 31 is sp where an address is meant
			if rn == 31 {
				return m.sp
			}
			return m.x[rn]
		}
		next := pc + 4
		switch {
		case ins == 0xd4200000: // brk
			return 0
		case ins == 0xd503201f: // nop
		case ins == 0xd65f03c0: // ret
			return m.x[30]
		case ins&0xfffffc1f == 0xd63f0000: // blr
			m.x[30] = next
			m.call(m.x[rn])
		case ins&0x9f000000 == 0x90000000: // adrp
			m.x[rd] = pc&^0xfff + uint64(sx(ins>>5&0x7ffff<<2|ins>>29&3, 21)<<12)
		case ins&0xffc00000 == 0xf9400000: // ldr x, [n, #imm]
			v, ok := m.mem[base()+imm12*8]
			require.True(m.t, ok, "reads %#x", base()+imm12*8)
			m.x[rd] = v
		case ins&0xffc00000 == 0x91000000: // add x, n, #imm; mov from sp
			if v := base() + imm12; rd == 31 {
				m.sp = v
			} else {
				m.x[rd] = v
			}
		case ins&0xffe00000 == 0xd2800000, ins&0xffe00000 == 0x52800000: // mov #imm
			m.x[rd] = uint64(ins >> 5 & 0xffff)
		case ins&0xffe0ffe0 == 0xaa0003e0: // mov x, x
			m.x[rd] = m.x[rm]
		case ins&0xffe0ffe0 == 0x2a0003e0: // mov w, w
			m.x[rd] = uint64(uint32(m.x[rm]))
		case ins&0xff000000 == 0xb4000000: // cbz x
			if m.x[rd] == 0 {
				next = pc + uint64(sx(ins>>5&0x7ffff, 19)*4)
			}
		case rn == 31 && ins>>22 == 0xa9800000>>22: // stp, [sp, #imm]!
			m.sp += uint64(sx(ins>>15&0x7f, 7) * 8)
			m.mem[m.sp], m.mem[m.sp+8] = m.x[rd], m.x[pair]
		case rn == 31 && ins>>22 == 0xa9000000>>22: // stp, [sp, #imm]
			at := m.sp + uint64(sx(ins>>15&0x7f, 7)*8)
			m.mem[at], m.mem[at+8] = m.x[rd], m.x[pair]
		case rn == 31 && ins>>22 == 0xa9400000>>22: // ldp, [sp, #imm]
			at := m.sp + uint64(sx(ins>>15&0x7f, 7)*8)
			m.x[rd], m.x[pair] = m.mem[at], m.mem[at+8]
		case rn == 31 && ins>>22 == 0xa8c00000>>22: // ldp, [sp], #imm
			m.x[rd], m.x[pair] = m.mem[m.sp], m.mem[m.sp+8]
			m.sp += uint64(sx(ins>>15&0x7f, 7) * 8)
		default:
			require.Fail(m.t, fmt.Sprintf("unknown instruction %#08x at %#x", ins, pc))
		}
		pc = next
	}
}
