package trial

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/shudl/shudl-assemble/layers/contract/container"
)

// point is a file or folder that was made in an unpacked image so that
// something can be mounted there.
type point struct {
	root string // folder of the image
	name string
}

// makePoints makes what a container's mounts need in its root. The root is
// shared by all cases, so that each takes away what it made; what a runtime
// makes by itself would stay.
func (m *member) makePoints() (err error) {
	root, err := os.OpenRoot(m.image.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	mounts := append([]container.Mount{{Source: "/proc/self/exe", Target: container.BecomeAt}}, m.mounts...)
	for _, mount := range mounts {
		info, err := os.Stat(mount.Source)
		if err != nil {
			return err
		}
		if m.within(mount) {
			continue // it lies in a volume, which goes with the case
		}
		if err := m.makePoint(root, strings.TrimPrefix(mount.Target, "/"), info.IsDir()); err != nil {
			return err
		}
	}
	return nil
}

// within says whether a mount lies in another one.
func (m *member) within(inner container.Mount) bool {
	for _, outer := range m.mounts {
		if strings.HasPrefix(inner.Target, outer.Target+"/") {
			return true
		}
	}
	return false
}

func (m *member) makePoint(root *os.Root, name string, folder bool) error {
	if _, err := root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if dir := path.Dir(name); dir != "." {
		if err := m.makePoint(root, dir, true); err != nil {
			return err
		}
	}
	if folder {
		if err := root.Mkdir(name, 0o755); err != nil {
			return err
		}
	} else {
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	m.life.points = append(m.life.points, point{m.image.dir, name})
	return nil
}

// unmake removes the points of the case.
func (l *life) unmake() error {
	var errs error
	for i := len(l.points) - 1; i >= 0; i-- {
		root, err := os.OpenRoot(l.points[i].root)
		if err != nil {
			return err
		}
		errs = errors.Join(errs, root.Remove(l.points[i].name), root.Close())
	}
	return errs
}
