// Package rootfs collects what recipes decided: it turns locked artefacts
// into file trees in which every file has an owner.
package rootfs

import (
	"context"
	"io"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// Type is the kind of a tree entry. Devices, pipes and sockets are refused.
type Type byte

// The types of entry.
const (
	Directory Type = 'd'
	Regular   Type = 'f'
	Symlink   Type = 'l'
	Hardlink  Type = 'h' // Link is another path of the same owner in the same tree
)

// Entry is one path of a tree.
type Entry struct {
	Path string // slash separated, clean, no leading slash; never "."
	Type Type
	Mode uint32 // permission bits with setuid, setgid and sticky: 0o7777
	UID  int
	GID  int
	Size int64
	// SHA256 and SHA1 (which SPDX asks for) are of a regular file's content.
	SHA256 recipes.Digest
	SHA1   string
	Link   string            // target of a symbolic or hard link
	XAttrs map[string]string // security.capability only
	// ModTime is what the archive said; zero where nothing said anything.
	ModTime time.Time
	// Owner is the purl of the package that brought the entry ("pkg:…"), or
	// the recipe entry that made it ("recipe:postgresql/directories/…").
	Owner string
	// State marks a path that is made from many packages (databases,
	// accounts, trust stores): only such a path may replace a parent's.
	State bool
	// Content opens the bytes of a regular file. It is not serialised.
	Content Content `json:"-"`
}

// Content gives the bytes of a regular file, as often as asked.
type Content interface {
	Open(ctx context.Context) (io.ReadCloser, error)
}

// Held is content that holds itself to a sha256: where its bytes are others,
// the last Read is an error in place of io.EOF. Nobody else need hash it.
type Held interface {
	Content
	Holds() recipes.Digest
}
