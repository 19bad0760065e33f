package become

import "encoding/binary"

// Arguments of the system calls.
const (
	newUser   = 0x10000000 // CLONE_NEWUSER
	writeOnly = 1          // O_WRONLY
)

// amd64 assembles for x86-64: arguments in rdi, rsi and rdx, the number of the
// call in rax.
func amd64(at map[string]uint32, text map[string]string, steps []write) []byte {
	var c []byte
	var failures []int // where the offset of a jump to the end stands
	load := func(opcode byte, value uint32) { c = binary.LittleEndian.AppendUint32(append(c, opcode), value) }
	number := func(n uint32) { load(0xb8, n) } // mov eax, n
	first := func(v uint32) { load(0xbf, v) }  // mov edi, v
	second := func(v uint32) { load(0xbe, v) } // mov esi, v
	third := func(v uint32) { load(0xba, v) }  // mov edx, v
	call := func() {
		c = append(c, 0x0f, 0x05)             // syscall
		c = append(c, 0x48, 0x85, 0xc0)       // test rax, rax
		c = append(c, 0x0f, 0x88, 0, 0, 0, 0) // js failed
		failures = append(failures, len(c)-4)
	}
	first(newUser)
	number(272) // unshare
	call()
	for _, s := range steps {
		first(0xffffff9c) // AT_FDCWD
		second(at[s.path])
		third(writeOnly)
		number(257) // openat
		call()
		c = append(c, 0x89, 0xc7) // mov edi, eax
		second(at[s.value])
		third(uint32(len(text[s.value])))
		number(1) // write; edi stays the descriptor
		call()
		number(3) // close
		call()
	}
	// The stack holds the number of arguments, these, nil, the environment.
	c = append(c, 0x48, 0x8b, 0x7c, 0x24, 0x10) // mov rdi, [rsp+16]
	c = append(c, 0x48, 0x8d, 0x74, 0x24, 0x10) // lea rsi, [rsp+16]
	c = append(c, 0x48, 0x8b, 0x04, 0x24)       // mov rax, [rsp]
	c = append(c, 0x48, 0x8d, 0x54, 0xc4, 0x10) // lea rdx, [rsp+rax*8+16]
	number(59)                                  // execve
	c = append(c, 0x0f, 0x05)
	for _, at := range failures {
		binary.LittleEndian.PutUint32(c[at:], uint32(len(c)-(at+4)))
	}
	first(Failed)
	number(60) // exit
	return append(c, 0x0f, 0x05)
}

// arm64 assembles for AArch64: arguments in x0, x1 and x2, the number of the
// call in x8.
func arm64(at map[string]uint32, text map[string]string, steps []write) []byte {
	var c []uint32
	var failures []int
	load := func(register, value uint32) {
		c = append(c, 0xd2800000|value&0xffff<<5|register) // movz xN, low half
		c = append(c, 0xf2a00000|value>>16<<5|register)    // movk xN, high half, lsl 16
	}
	call := func(number uint32) {
		load(8, number)
		c = append(c, 0xd4000001) // svc 0
		failures = append(failures, len(c))
		c = append(c, 0xb7f80000) // tbnz x0, 63, failed
	}
	load(0, newUser)
	call(97) // unshare
	for _, s := range steps {
		c = append(c, 0x92800c60) // movn x0, 99: AT_FDCWD
		load(1, at[s.path])
		load(2, writeOnly)
		call(56)                  // openat
		c = append(c, 0xaa0003e9) // mov x9, x0
		load(1, at[s.value])
		load(2, uint32(len(text[s.value])))
		call(64)                  // write
		c = append(c, 0xaa0903e0) // mov x0, x9
		call(57)                  // close
	}
	c = append(c,
		0xf9400be0, // ldr x0, [sp, 16]
		0x910043e1, // add x1, sp, 16
		0xf94003e2, // ldr x2, [sp]
		0x8b226fe2, // add x2, sp, x2, uxtx 3
		0x91004042, // add x2, x2, 16
	)
	load(8, 221) // execve
	c = append(c, 0xd4000001)
	for _, at := range failures {
		c[at] |= uint32(len(c)-at) & 0x3fff << 5
	}
	load(0, Failed)
	load(8, 93) // exit
	c = append(c, 0xd4000001)
	out := make([]byte, 0, 4*len(c))
	for _, instruction := range c {
		out = binary.LittleEndian.AppendUint32(out, instruction)
	}
	return out
}
