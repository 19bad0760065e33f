package generate

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
)

// busyboxPaths is where each busybox package lists its applets, in a file of
// the program's name.
const busyboxPaths = "etc/busybox-paths.d"

// busyboxApplets links every applet to its program, as busybox --install -s
// does. What a package brings under an applet's name stays.
func busyboxApplets(ctx context.Context, in Input) ([]rootfs.Entry, error) {
	var out []rootfs.Entry
	for _, e := range in.View.All() {
		if e.Type == rootfs.Directory || path.Dir(e.Path) != busyboxPaths {
			continue
		}
		list, err := in.Read(ctx, e.Path)
		if err != nil {
			return nil, err
		}
		program := "/bin/" + path.Base(e.Path)
		if _, ok := in.View.Follow(program[1:]); !ok {
			return nil, fmt.Errorf("%s lists the applets of %s, which is not there", e.Path, program)
		}
		for applet := range strings.FieldsSeq(string(list)) {
			if in.packaged(applet) {
				continue
			}
			out = append(out, in.Link(applet, program))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s lists no applets", busyboxPaths)
	}
	return out, nil
}

// packaged says whether a package has a path, whose folders may be links.
func (in Input) packaged(p string) bool {
	if dir, ok := in.View.Follow(path.Dir(p)); ok {
		p = path.Join(dir.Path, path.Base(p))
	}
	e, ok := in.View.Lookup(p)
	return ok && strings.HasPrefix(e.Owner, "pkg:apk/")
}
