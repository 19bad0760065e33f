// Package become makes a program of some hundred bytes that turns the only
// user there is into another one, and then runs what its arguments say.
//
// Where no range of ids is delegated to a user, a container has a single id,
// and OCI runtimes insist that it is 0. Most images refuse to run as that. The
// program therefore makes one more user namespace, in which the same user is
// whoever the image wants, and gives all rights up on the way. It has to be
// the container's first process, so it brings its own code: no libc, no
// loader and no second thread, with which Linux makes no user namespace.
//
// https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
package become

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// Failed is the exit status where the namespace cannot be made or the program
// cannot be started.
const Failed = 125

// Capability is the one that the program needs in order to begin: Linux asks
// for it where an id of root's is mapped on.
const Capability = "CAP_SETFCAP"

// base is the address at which the program lies; below 2^31, so that every
// address fits in an immediate operand.
const base = 0x400000

// The parts of the file in bytes.
const (
	elfHeader     = 64
	programHeader = 56
	codeAt        = elfHeader + 2*programHeader
)

// Program gives the bytes of an ELF executable for an architecture, as Go
// names it, which becomes uid and gid and runs its first argument, a path,
// with all others.
func Program(arch string, uid, gid int) ([]byte, error) {
	text := map[string]string{
		"deny groups": "/proc/self/setgroups", "deny": "deny",
		"uids": "/proc/self/uid_map", "uid": fmt.Sprintf("%d 0 1\n", uid),
		"gids": "/proc/self/gid_map", "gid": fmt.Sprintf("%d 0 1\n", gid),
	}
	steps := []write{{"deny groups", "deny"}, {"uids", "uid"}, {"gids", "gid"}}
	var machine elf.Machine
	var assemble func(at map[string]uint32, text map[string]string, steps []write) []byte
	switch arch {
	case "amd64":
		machine, assemble = elf.EM_X86_64, amd64
	case "arm64":
		machine, assemble = elf.EM_AARCH64, arm64
	default:
		return nil, fmt.Errorf("no program is made for %s", arch)
	}
	// The code is as long whatever the addresses are: once to measure it.
	size := len(assemble(map[string]uint32{}, text, steps))
	at, data := map[string]uint32{}, []byte{}
	for _, s := range steps {
		for _, name := range []string{s.path, s.value} {
			at[name] = uint32(base + codeAt + size + len(data))
			data = append(append(data, text[name]...), 0)
		}
	}
	body := append(assemble(at, text, steps), data...)
	return append(header(machine, codeAt+len(body)), body...), nil
}

// write is one file to write, both by the name of its text.
type write struct{ path, value string }

// header gives the ELF header and the headers of two segments: the whole file,
// and a stack that is not executable.
func header(machine elf.Machine, size int) []byte {
	var out bytes.Buffer
	ident := [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	for _, part := range []any{
		elf.Header64{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
			Entry: base + codeAt, Phoff: elfHeader, Ehsize: elfHeader, Phentsize: programHeader, Phnum: 2,
		},
		elf.Prog64{
			Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base,
			Filesz: uint64(size), Memsz: uint64(size), Align: 0x1000,
		},
		elf.Prog64{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16},
	} {
		// Fixed-size values into memory: this cannot fail.
		_ = binary.Write(&out, binary.LittleEndian, part)
	}
	return out.Bytes()
}
