// SPDX-License-Identifier: Apache-2.0

package clickhouseengineextension

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"runtime"
)

// The engine is a shared library, and the collector is a static binary that cannot load one: a static Go
// program has no dynamic loader, and giving it one (purego does) would make it depend on the host's libc.
// So the child process is a program of its own: an ELF file of about 1.5 kB, written below, whose whole text
// is "hand chdb_query_cmdline to libc as main". The system's loader maps the library, as for any program.
//
// Layout: one read-execute page (headers, strings, symbols, relocations, code), one read-write page (the
// dynamic section and two pointers that the loader fills in).

const (
	mainSymbol  = "chdb_query_cmdline" // int main(int argc, char **argv) of clickhouse-local
	startSymbol = "__libc_start_main"
	pageSize    = 0x10000 // the largest page size of the supported machines
)

// machine is what differs between processors.
type machine struct {
	elf       elf.Machine
	interp    string
	globDat   uint64                          // relocation that stores a symbol's address
	code      func(at, mainPtr, startPtr uint64) []byte // _start
	libcNames []string
}

// launcherMachine returns the description for a GOARCH, or false where the engine has no build.
func launcherMachine(arch string) (machine, bool) {
	switch arch {
	case "amd64":
		return machine{
			elf: elf.EM_X86_64, interp: "/lib64/ld-linux-x86-64.so.2", globDat: uint64(elf.R_X86_64_GLOB_DAT),
			code: amd64Start, libcNames: []string{"libc.so.6"},
		}, true
	case "arm64":
		return machine{
			elf: elf.EM_AARCH64, interp: "/lib/ld-linux-aarch64.so.1", globDat: uint64(elf.R_AARCH64_GLOB_DAT),
			code: arm64Start, libcNames: []string{"libc.so.6"},
		}, true
	}
	return machine{}, false
}

// amd64Start is _start: __libc_start_main(main, argc, argv, init=0, fini=0, rtld_fini, stack_end).
func amd64Start(at, mainPtr, startPtr uint64) []byte {
	code := []byte{
		0x31, 0xed, // xor ebp, ebp          the outermost frame, as the ABI asks
		0x49, 0x89, 0xd1, // mov r9, rdx     rtld_fini
		0x5e,             // pop rsi         argc
		0x48, 0x89, 0xe2, // mov rdx, rsp    argv
		0x48, 0x83, 0xe4, 0xf0, // and rsp, -16
		0x50,             // push rax        keeps the stack aligned
		0x54,             // push rsp        stack_end
		0x45, 0x31, 0xc0, // xor r8d, r8d    fini
		0x31, 0xc9, // xor ecx, ecx          init
		0x48, 0x8b, 0x3d, 0, 0, 0, 0, // mov rdi, [rip+mainPtr]
		0xff, 0x15, 0, 0, 0, 0, // call [rip+startPtr]
		0xf4, // hlt
	}
	const mainEnd, startEnd = 27, 33
	binary.LittleEndian.PutUint32(code[mainEnd-4:], uint32(mainPtr-(at+mainEnd)))
	binary.LittleEndian.PutUint32(code[startEnd-4:], uint32(startPtr-(at+startEnd)))
	return code
}

// arm64Start is _start: the same call, with x5 = rtld_fini and x6 = stack_end.
func arm64Start(at, mainPtr, startPtr uint64) []byte {
	var out []byte
	put := func(ins uint32) { out = binary.LittleEndian.AppendUint32(out, ins) }
	load := func(reg uint32, ptr uint64) { // adrp x16, page; ldr reg, [x16, offset]
		pages := (ptr &^ 0xfff) - ((at + uint64(len(out))) &^ 0xfff)
		imm := uint32(pages >> 12)
		put(0x90000000 | (imm&3)<<29 | (imm>>2&0x7ffff)<<5 | 16)
		put(0xf9400000 | uint32(ptr&0xfff)/8<<10 | 16<<5 | reg)
	}
	put(0xd280001d)     // mov x29, #0
	put(0xd280001e)     // mov x30, #0
	put(0xaa0003e5)     // mov x5, x0       rtld_fini
	put(0xf94003e1)     // ldr x1, [sp]     argc
	put(0x910023e2)     // add x2, sp, #8   argv
	put(0x910003e6)     // mov x6, sp       stack_end
	put(0xd2800003)     // mov x3, #0       init
	put(0xd2800004)     // mov x4, #0       fini
	load(0, mainPtr)    // x0 = main
	load(17, startPtr)  // x17 = __libc_start_main
	put(0xd63f0220)     // blr x17
	put(0xd4200000)     // brk #0
	return out
}

// launcherELF returns the executable that runs the library at libPath, an absolute path.
func launcherELF(libPath, arch string) ([]byte, error) {
	m, ok := launcherMachine(arch)
	if !ok {
		return nil, fmt.Errorf("the ClickHouse engine library has no build for linux/%s (amd64 and arm64 do)", arch)
	}
	le := binary.LittleEndian
	const headers = 64 + 6*56

	// String table: one NUL, then each name.
	strtab := []byte{0}
	name := func(s string) uint64 {
		at := uint64(len(strtab))
		strtab = append(append(strtab, s...), 0)
		return at
	}
	needed := []uint64{name(libPath)}
	for _, n := range m.libcNames {
		needed = append(needed, name(n))
	}
	mainName, startName := name(mainSymbol), name(startSymbol)

	align := func(v, to uint64) uint64 { return (v + to - 1) &^ (to - 1) }
	interp := append([]byte(m.interp), 0)
	interpAt := uint64(headers)
	strtabAt := interpAt + uint64(len(interp))
	symtabAt := align(strtabAt+uint64(len(strtab)), 8)
	relaAt := symtabAt + 3*elf.Sym64Size
	codeAt := align(relaAt+2*24, 16)

	// The second segment keeps the file offset's place within the page.
	dynamicAt := align(codeAt+256, 16) // file offset
	shift := uint64(pageSize)          // its address is its offset plus this
	dyn := [][2]uint64{}
	for _, n := range needed {
		dyn = append(dyn, [2]uint64{uint64(elf.DT_NEEDED), n})
	}
	dyn = append(dyn,
		[2]uint64{uint64(elf.DT_STRTAB), strtabAt}, [2]uint64{uint64(elf.DT_STRSZ), uint64(len(strtab))},
		[2]uint64{uint64(elf.DT_SYMTAB), symtabAt}, [2]uint64{uint64(elf.DT_SYMENT), elf.Sym64Size},
		[2]uint64{uint64(elf.DT_RELA), relaAt}, [2]uint64{uint64(elf.DT_RELASZ), 2 * 24}, [2]uint64{uint64(elf.DT_RELAENT), 24},
		[2]uint64{uint64(elf.DT_BIND_NOW), 0}, [2]uint64{uint64(elf.DT_NULL), 0},
	)
	gotAt := dynamicAt + uint64(len(dyn))*16
	end := gotAt + 16

	out := make([]byte, end)
	var head bytes.Buffer
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	parts := []any{
		elf.Header64{
			Ident: ident, Type: uint16(elf.ET_DYN), Machine: uint16(m.elf), Version: uint32(elf.EV_CURRENT),
			Entry: codeAt, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 6,
		},
		// The loader learns from PT_PHDR where it put the program.
		elf.Prog64{Type: uint32(elf.PT_PHDR), Flags: uint32(elf.PF_R), Off: 64, Vaddr: 64, Paddr: 64, Filesz: headers - 64, Memsz: headers - 64, Align: 8},
		elf.Prog64{Type: uint32(elf.PT_INTERP), Flags: uint32(elf.PF_R), Off: interpAt, Vaddr: interpAt, Paddr: interpAt, Filesz: uint64(len(interp)), Memsz: uint64(len(interp)), Align: 1},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Filesz: dynamicAt, Memsz: dynamicAt, Align: pageSize},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: dynamicAt, Vaddr: dynamicAt + shift, Paddr: dynamicAt + shift, Filesz: end - dynamicAt, Memsz: end - dynamicAt, Align: pageSize},
		elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Flags: uint32(elf.PF_R | elf.PF_W), Off: dynamicAt, Vaddr: dynamicAt + shift, Paddr: dynamicAt + shift, Filesz: gotAt - dynamicAt, Memsz: gotAt - dynamicAt, Align: 8},
		elf.Prog64{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16},
	}
	for _, p := range parts {
		if err := binary.Write(&head, le, p); err != nil {
			return nil, fmt.Errorf("writing the launcher's headers: %w", err)
		}
	}
	copy(out, head.Bytes())
	copy(out[interpAt:], interp)
	copy(out[strtabAt:], strtab)
	for i, n := range []uint64{mainName, startName} {
		sym := out[symtabAt+uint64(i+1)*elf.Sym64Size:] // symbol 0 is reserved
		le.PutUint32(sym, uint32(n))
		sym[4] = byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_FUNC)
		rela := out[relaAt+uint64(i)*24:]
		le.PutUint64(rela, gotAt+shift+uint64(i)*8)
		le.PutUint64(rela[8:], uint64(i+1)<<32|m.globDat)
	}
	copy(out[codeAt:dynamicAt], m.code(codeAt, gotAt+shift, gotAt+shift+8))
	for i, d := range dyn {
		le.PutUint64(out[dynamicAt+uint64(i)*16:], d[0])
		le.PutUint64(out[dynamicAt+uint64(i)*16+8:], d[1])
	}
	return out, nil
}

// hostLauncher is launcherELF for the machine this runs on.
func hostLauncher(libPath string) ([]byte, error) { return launcherELF(libPath, runtime.GOARCH) }
