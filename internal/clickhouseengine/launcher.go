// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// The engine is a shared library, and the collector is a static binary that cannot load one: a static Go
// program has no dynamic loader, and giving it one (purego does) would make it depend on the host's libc.
// So the child process is a program of its own: an ELF file of about 1.5 kB, written below, whose text is
//
//	int main(int argc, char **argv) {
//		confine();
//		chdb_set_signal_handlers_enabled(0);
//		char *e = chdb_result_error(chdb_query_cmdline(argc, argv));
//		if (!e) return 0;
//		puts(e);
//		return 1;
//	}
//
// with, where the engine is confined (confine_linux.go), the set of rules being open as descriptor 4,
//
//	void confine() {
//		struct landlock_path_beneath_attr own = {READ_FILE|READ_DIR, open("/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC)};
//		if (landlock_add_rule(4, LANDLOCK_RULE_PATH_BENEATH, &own, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
//		    landlock_restrict_self(4, 0)) exit_group(126);
//		close(4);
//	}
//
// A process's directory in /proc is not there before the process is, so nobody else can allow it. It stays open, since a rule holds for what is
// in memory of it, which the kernel drops when nobody has it open.
//
// The system's loader maps the library, as for any program.
//
// Layout: one read-execute segment (headers, strings, symbols, relocations, code), one read-write segment
// (the dynamic section and the pointers that the loader fills in).

const launcherPageSize = 0x10000 // the largest page size of the supported machines

// importedSymbols are what the launcher calls, in the order of their pointers.
var importedSymbols = [...]string{
	"__libc_start_main",
	"chdb_query_cmdline", // chdb_result *(int argc, char **argv): clickhouse-local's main
	"chdb_result_error",  // const char *(chdb_result *): NULL when all went well
	"puts",
	"chdb_set_signal_handlers_enabled", // bool (int): after 0, a fatal signal ends the process at once
}

// The places of importedSymbols.
const (
	importStart = iota
	importQuery
	importError
	importPuts
	importSignals
	importCount
)

// libraryNames are the libraries besides the engine's.
var libraryNames = [...]string{"libc.so.6"}

// machine is what differs between processors.
type machine struct {
	elf     elf.Machine
	interp  string
	globDat uint32 // relocation that stores a symbol's address
	// code returns the program's text for the address at, whose first byte is _start, given the address of
	// the first of importCount pointers.
	code func(at, pointers uint64, confined bool) []byte
}

const (
	rulesDescriptor = 4   // of the launcher: 0 to 2, the lock, the rules
	exitUnconfined  = 126 // the kernel refused the rules
)

// machines are the processors the engine is built for, by GOARCH.
var machines = map[string]machine{
	"amd64": {
		elf: elf.EM_X86_64, interp: "/lib64/ld-linux-x86-64.so.2",
		globDat: uint32(elf.R_X86_64_GLOB_DAT), code: amd64Code,
	},
	"arm64": {
		elf: elf.EM_AARCH64, interp: "/lib/ld-linux-aarch64.so.1",
		globDat: uint32(elf.R_AARCH64_GLOB_DAT), code: arm64Code,
	},
}

// amd64Code is _start, which calls __libc_start_main(main, argc, argv, init=0, fini=0, rtld_fini,
// stack_end), and main.
func amd64Code(at, pointers uint64, confined bool) []byte {
	var out []byte
	put := func(b ...byte) { out = append(out, b...) }
	relative := func(to uint64) { // the operand is relative to the end of the instruction it ends
		out = binary.LittleEndian.AppendUint32(out, uint32(to-(at+uint64(len(out))+4)))
	}
	call := func(symbol uint64) { // call [rip+pointer]
		put(0xff, 0x15)
		relative(pointers + symbol*8)
	}
	const mainAt = 48

	// _start
	put(0x31, 0xed)             // xor ebp, ebp: the outermost frame, as the ABI asks
	put(0x49, 0x89, 0xd1)       // mov r9, rdx: rtld_fini
	put(0x5e)                   // pop rsi: argc
	put(0x48, 0x89, 0xe2)       // mov rdx, rsp: argv
	put(0x48, 0x83, 0xe4, 0xf0) // and rsp, -16
	put(0x50)                   // push rax: keeps the stack aligned
	put(0x54)                   // push rsp: stack_end
	put(0x45, 0x31, 0xc0)       // xor r8d, r8d: fini
	put(0x31, 0xc9)             // xor ecx, ecx: init
	put(0x48, 0x8d, 0x3d)       // lea rdi, [rip+main]
	relative(at + mainAt)
	call(importStart)
	put(0xf4) // hlt: exit does not return
	for len(out) < mainAt {
		put(0xcc) // int3
	}

	// main
	put(0x55)             // push rbp
	put(0x53)             // push rbx
	put(0x50)             // push rax: keeps the stack aligned
	put(0x89, 0xfb)       // mov ebx, edi: argc
	put(0x48, 0x89, 0xf5) // mov rbp, rsi: argv
	var path int          // where the operand is that says where "/proc/self" is
	if confined {
		number := func(n uint32) { out = binary.LittleEndian.AppendUint32(out, n) }
		var failures []int
		mustBeZero := func() {
			put(0x85, 0xc0) // test eax, eax
			put(0x75, 0)    // jne fail
			failures = append(failures, len(out))
		}
		put(0x48, 0x83, 0xec, 16) // sub rsp, 16: own
		put(0x48, 0x8d, 0x3d)     // lea rdi, [rip+path]
		path = len(out)
		number(0)
		put(0xbe) // mov esi, O_PATH|O_DIRECTORY|O_CLOEXEC
		number(0x290000)
		put(0x31, 0xd2)                          // xor edx, edx
		put(0xb8, 2, 0, 0, 0)                    // mov eax, open
		put(0x0f, 0x05)                          // syscall
		put(0x48, 0xc7, 0x04, 0x24, 12, 0, 0, 0) // mov qword [rsp], READ_FILE|READ_DIR
		put(0x89, 0x44, 0x24, 8)                 // mov [rsp+8], eax: an error is no descriptor, which the next call says
		put(0xbf, rulesDescriptor, 0, 0, 0)      // mov edi, 4
		put(0xbe, 1, 0, 0, 0)                    // mov esi, LANDLOCK_RULE_PATH_BENEATH
		put(0x48, 0x89, 0xe2)                    // mov rdx, rsp
		put(0x45, 0x31, 0xd2)                    // xor r10d, r10d
		put(0xb8)                                // mov eax, landlock_add_rule
		number(445)
		put(0x0f, 0x05) // syscall
		mustBeZero()
		put(0xbf, 38, 0, 0, 0)  // mov edi, PR_SET_NO_NEW_PRIVS
		put(0xbe, 1, 0, 0, 0)   // mov esi, 1
		put(0x31, 0xd2)         // xor edx, edx
		put(0x45, 0x31, 0xd2)   // xor r10d, r10d
		put(0x45, 0x31, 0xc0)   // xor r8d, r8d
		put(0xb8, 157, 0, 0, 0) // mov eax, prctl
		put(0x0f, 0x05)         // syscall
		mustBeZero()
		put(0xbf, rulesDescriptor, 0, 0, 0) // mov edi, 4
		put(0x31, 0xf6)                     // xor esi, esi
		put(0xb8)                           // mov eax, landlock_restrict_self
		number(446)
		put(0x0f, 0x05) // syscall
		mustBeZero()
		put(0xbf, rulesDescriptor, 0, 0, 0) // mov edi, 4
		put(0xb8, 3, 0, 0, 0)               // mov eax, close
		put(0x0f, 0x05)                     // syscall
		put(0x48, 0x83, 0xc4, 16)           // add rsp, 16
		put(0xeb, 12)                       // jmp over fail
		for _, at := range failures {
			out[at-1] = byte(len(out) - at)
		}
		put(0xbf, exitUnconfined, 0, 0, 0) // fail: mov edi, 126
		put(0xb8, 231, 0, 0, 0)            // mov eax, exit_group
		put(0x0f, 0x05)                    // syscall
	}
	put(0x31, 0xff) // xor edi, edi
	call(importSignals)
	put(0x89, 0xdf)       // mov edi, ebx
	put(0x48, 0x89, 0xee) // mov rsi, rbp
	call(importQuery)
	put(0x48, 0x89, 0xc7) // mov rdi, rax
	call(importError)
	put(0x48, 0x85, 0xc0) // test rax, rax
	put(0x74, 14)         // je return: eax is 0
	put(0x48, 0x89, 0xc7) // mov rdi, rax
	call(importPuts)
	put(0xb8, 1, 0, 0, 0) // mov eax, 1
	put(0x59)             // return: pop rcx
	put(0x5b)             // pop rbx
	put(0x5d)             // pop rbp
	put(0xc3)             // ret
	if confined {
		binary.LittleEndian.PutUint32(out[path:], uint32(len(out)-(path+4)))
		put([]byte("/proc/self\x00")...)
	}
	return out
}

// arm64Code is the same program, without confine. rtld_fini goes in x5, stack_end in x6.
func arm64Code(at, pointers uint64, _ bool) []byte {
	var out []byte
	put := func(ins uint32) { out = binary.LittleEndian.AppendUint32(out, ins) }
	page := func(to uint64) { // adrp x16, page of to
		imm := uint32((int64(to&^0xfff) - int64((at+uint64(len(out)))&^0xfff)) >> 12)
		put(0x90000000 | imm&3<<29 | imm>>2&0x7ffff<<5 | 16)
	}
	call := func(symbol uint64) {
		to := pointers + symbol*8
		page(to)
		put(0xf9400000 | uint32(to&0xfff)/8<<10 | 16<<5 | 17) // ldr x17, [x16, #offset]
		put(0xd63f0220)                                       // blr x17
	}
	const mainAt = 64

	// _start
	put(0xd280001d) // mov x29, #0: the outermost frame
	put(0xd280001e) // mov x30, #0
	put(0xaa0003e5) // mov x5, x0: rtld_fini
	put(0xf94003e1) // ldr x1, [sp]: argc
	put(0x910023e2) // add x2, sp, #8: argv
	put(0x910003e6) // mov x6, sp: stack_end
	put(0xd2800003) // mov x3, #0: init
	put(0xd2800004) // mov x4, #0: fini
	page(at + mainAt)
	put(0x91000000 | uint32((at+mainAt)&0xfff)<<10 | 16<<5) // add x0, x16, #offset of main
	call(importStart)
	put(0xd4200000) // brk #0: exit does not return
	for len(out) < mainAt {
		put(0xd503201f) // nop
	}

	// main
	put(0xa9be7bfd) // stp x29, x30, [sp, #-32]!
	put(0x910003fd) // mov x29, sp
	put(0xa90153f3) // stp x19, x20, [sp, #16]
	put(0x2a0003f3) // mov w19, w0: argc
	put(0xaa0103f4) // mov x20, x1: argv
	put(0x52800000) // mov w0, #0
	call(importSignals)
	put(0x2a1303e0) // mov w0, w19
	put(0xaa1403e1) // mov x1, x20
	call(importQuery)
	call(importError)
	put(0xb4000000 | 5<<5) // cbz x0, return: w0 is 0
	call(importPuts)
	put(0x52800020) // mov w0, #1
	put(0xa94153f3) // return: ldp x19, x20, [sp, #16]
	put(0xa8c27bfd) // ldp x29, x30, [sp], #32
	put(0xd65f03c0) // ret
	return out
}

// launcherELF returns the executable that runs the library at libPath, an absolute path, on a GOARCH.
func launcherELF(libPath, arch string, confined bool) ([]byte, error) {
	m, ok := machines[arch]
	if !ok {
		return nil, fmt.Errorf("the ClickHouse engine has no build for %s processors (for amd64 and arm64 it has)", arch)
	}
	const (
		headerCount    = 6
		headers        = 64 + headerCount*56
		relocationSize = 24
		codeRoom       = 384
	)
	le := binary.LittleEndian
	align := func(v, to uint64) uint64 { return (v + to - 1) &^ (to - 1) }

	// The string table: one NUL, then each name.
	strtab := []byte{0}
	name := func(s string) uint64 {
		at := uint64(len(strtab))
		strtab = append(append(strtab, s...), 0)
		return at
	}
	dyn := [][2]uint64{{uint64(elf.DT_NEEDED), name(libPath)}}
	for _, n := range libraryNames {
		dyn = append(dyn, [2]uint64{uint64(elf.DT_NEEDED), name(n)})
	}
	var symbolNames [importCount]uint64
	for i, s := range importedSymbols {
		symbolNames[i] = name(s)
	}

	interp := append([]byte(m.interp), 0)
	interpAt := uint64(headers)
	strtabAt := interpAt + uint64(len(interp))
	symtabAt := align(strtabAt+uint64(len(strtab)), 8)
	symbols := uint64(importCount + 1) // symbol 0 is reserved
	// A loader takes the number of symbols from the hash table; nothing is looked up in it: one empty bucket.
	hashAt := symtabAt + symbols*elf.Sym64Size
	relocationsAt := align(hashAt+(2+1+symbols)*4, 8)
	codeAt := align(relocationsAt+importCount*relocationSize, 16)

	dynAt := align(codeAt+codeRoom, 16) // the file offset; its address is one page size further
	dyn = append(dyn,
		[2]uint64{uint64(elf.DT_STRTAB), strtabAt}, [2]uint64{uint64(elf.DT_STRSZ), uint64(len(strtab))},
		[2]uint64{uint64(elf.DT_SYMTAB), symtabAt}, [2]uint64{uint64(elf.DT_SYMENT), elf.Sym64Size},
		[2]uint64{uint64(elf.DT_HASH), hashAt},
		[2]uint64{uint64(elf.DT_RELA), relocationsAt}, //nolint:misspell // ELF's word
		[2]uint64{uint64(elf.DT_RELASZ), importCount * relocationSize},
		[2]uint64{uint64(elf.DT_RELAENT), relocationSize},
		[2]uint64{uint64(elf.DT_BIND_NOW), 0}, [2]uint64{uint64(elf.DT_NULL), 0},
	)
	dynSize := uint64(len(dyn)) * 16
	pointersAt := dynAt + dynSize
	end := pointersAt + importCount*8
	const shift = uint64(launcherPageSize)

	var head bytes.Buffer
	for _, p := range []any{
		elf.Header64{
			Ident: [elf.EI_NIDENT]byte{
				0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT),
			},
			Type: uint16(elf.ET_DYN), Machine: uint16(m.elf), Version: uint32(elf.EV_CURRENT),
			Entry: codeAt, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: headerCount,
		},
		// The loader learns from PT_PHDR where the kernel put the program.
		segment(elf.PT_PHDR, elf.PF_R, 64, headers-64, 0, 8),
		segment(elf.PT_INTERP, elf.PF_R, interpAt, uint64(len(interp)), 0, 1),
		segment(elf.PT_LOAD, elf.PF_R|elf.PF_X, 0, dynAt, 0, launcherPageSize),
		segment(elf.PT_LOAD, elf.PF_R|elf.PF_W, dynAt, end-dynAt, shift, launcherPageSize),
		segment(elf.PT_DYNAMIC, elf.PF_R|elf.PF_W, dynAt, dynSize, shift, 8),
		elf.Prog64{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16},
	} {
		if err := binary.Write(&head, le, p); err != nil {
			return nil, fmt.Errorf("writing the launcher's headers: %w", err)
		}
	}

	out := make([]byte, end)
	copy(out, head.Bytes())
	copy(out[interpAt:], interp)
	copy(out[strtabAt:], strtab)
	le.PutUint32(out[hashAt:], 1)
	le.PutUint32(out[hashAt+4:], uint32(symbols))
	for i, n := range symbolNames {
		sym := out[symtabAt+uint64(i+1)*elf.Sym64Size:]
		le.PutUint32(sym, uint32(n))
		sym[4] = byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_FUNC)
		entry := out[relocationsAt+uint64(i)*relocationSize:]
		le.PutUint64(entry, pointersAt+shift+uint64(i)*8)
		le.PutUint64(entry[8:], uint64(i+1)<<32|uint64(m.globDat))
	}
	code := m.code(codeAt, pointersAt+shift, confined)
	if len(code) > codeRoom {
		return nil, fmt.Errorf("writing the launcher's code: %d bytes do not fit into %d", len(code), codeRoom)
	}
	copy(out[codeAt:], code)
	for i, d := range dyn {
		le.PutUint64(out[dynAt+uint64(i)*16:], d[0])
		le.PutUint64(out[dynAt+uint64(i)*16+8:], d[1])
	}
	return out, nil
}

// segment describes size bytes of the file at offset, mapped at offset+shift.
func segment(t elf.ProgType, flags elf.ProgFlag, offset, size, shift, align uint64) elf.Prog64 {
	return elf.Prog64{
		Type: uint32(t), Flags: uint32(flags), Off: offset, Vaddr: offset + shift, Paddr: offset + shift,
		Filesz: size, Memsz: size, Align: align,
	}
}
