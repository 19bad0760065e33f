package assemble

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// identity tells the running program from every other build of it, which may
// lay images out differently, whatever its version says: by the build id that
// Go wrote into it, which ends in a digest of the program itself; else by its
// sha256, which takes a while of the hundred megabytes that it has.
func identity() (_ string, err error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	defer f.Close()
	if id := goBuildID(f); id != "" {
		return "go build id " + id, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// goBuildID reads the ELF note of a Go program: its build id in four parts,
// action/action/content/content; "" where it has none or another form.
func goBuildID(r io.ReaderAt) string {
	f, err := elf.NewFile(r)
	if err != nil {
		return ""
	}
	section := f.Section(".note.go.buildid")
	if section == nil || section.Size > 4096 {
		return ""
	}
	note, err := section.Data()
	// Sizes of name and description, type, the name "Go" in four bytes.
	const head = 16
	if err != nil || len(note) < head || string(note[12:15]) != "Go\x00" {
		return ""
	}
	size := int(f.ByteOrder.Uint32(note[4:]))
	if size > len(note)-head || bytes.Count(note[head:head+size], []byte("/")) != 3 {
		return ""
	}
	return string(note[head : head+size])
}
