package pypi

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// Libc is the C library that an image's binaries are linked with.
type Libc string

// The C libraries.
const (
	Glibc Libc = "glibc" // Debian
	Musl  Libc = "musl"  // Alpine
)

// What wheels may ask for at most: trixie's glibc, Alpine's musl since 3.13.
const (
	glibcMinor = 41 // 2.41
	muslMinor  = 2  // 1.2
)

// Target is the interpreter that files are chosen for.
type Target struct {
	Python string // 3.13
	Libc   Libc
	Arch   string // as Python's platform.machine says: x86_64, aarch64
}

// TargetOf finds the interpreter among an image's artefacts: the package
// python3 of its distro.
func TargetOf(d recipes.Distro, p recipes.Platform, artifacts []recipes.Artifact) (Target, error) {
	t := Target{Libc: Glibc}
	if d == recipes.Alpine {
		t.Libc = Musl
	}
	switch p {
	case recipes.LinuxAMD64:
		t.Arch = "x86_64"
	case recipes.LinuxARM64:
		t.Arch = "aarch64"
	default:
		return t, fmt.Errorf("python: no wheels are known for %s", p)
	}
	for _, a := range artifacts {
		if a.Name != "python3" || a.Kind != recipes.KindAPK && a.Kind != recipes.KindDeb {
			continue
		}
		f := strings.SplitN(a.Version, ".", 3)
		if len(f) < 2 {
			break
		}
		minor := strings.IndexFunc(f[1], func(r rune) bool { return r < '0' || r > '9' })
		if minor < 0 {
			minor = len(f[1])
		}
		t.Python = f[0] + "." + f[1][:minor]
		_, err := t.minor()
		return t, err
	}
	return t, fmt.Errorf("python: the image has no package python3 to choose wheels for; add it to the recipe's packages")
}

// minor is the 13 of Python 3.13.
func (t Target) minor() (int, error) {
	minor, ok := strings.CutPrefix(t.Python, "3.")
	n, err := strconv.Atoi(minor)
	if !ok || err != nil {
		return 0, fmt.Errorf("python %q: want 3.MINOR", t.Python)
	}
	return n, nil
}

// SitePackages is where the interpreter of the distro looks for modules.
func (t Target) SitePackages() string {
	if t.Libc == Musl {
		return "usr/lib/python" + t.Python + "/site-packages"
	}
	return "usr/lib/python3/dist-packages"
}

// environment are the variables of markers (PEP 508).
func (t Target) environment() map[string]string {
	return map[string]string{
		"os_name": "posix", "sys_platform": "linux", "platform_machine": t.Arch, "platform_python_implementation": "CPython",
		"platform_release": "", "platform_system": "Linux", "platform_version": "", "python_version": t.Python,
		"python_full_version": t.Python + ".0", "implementation_name": "cpython", "implementation_version": t.Python + ".0",
	}
}
