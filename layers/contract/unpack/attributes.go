package unpack

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// attributePrefix begins the PAX records of extended attributes.
const attributePrefix = "SCHILY.xattr."

// attributes writes the extended attributes of a file or folder.
func (u *unpacker) attributes(name string, e Entry, records map[string]string) (err error) {
	if e.Type != tar.TypeReg && e.Type != tar.TypeDir {
		return nil
	}
	var f *os.File
	for record, value := range records {
		attribute, ok := strings.CutPrefix(record, attributePrefix)
		if !ok {
			continue
		}
		if f == nil {
			if f, err = u.root.Open(name); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
		}
		if err := unix.Fsetxattr(int(f.Fd()), attribute, []byte(value), 0); err != nil {
			return fmt.Errorf("extended attribute %s: %w", attribute, err)
		}
	}
	return nil
}
