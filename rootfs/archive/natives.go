package archive

import (
	"path"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// foreignNatives takes native libraries out of a jar whose names say that
// they are for another operating system or another architecture than p. A
// library whose name says neither stays.
func foreignNatives(p recipes.Platform) dropper {
	return dropper{
		id: "natives " + string(p), rules: 1, lenient: true,
		reason: func(int) string { return "native library of another platform than " + string(p) },
		drop: func(name string) ([]int, error) {
			if isForeign(name, p) {
				return []int{0}, nil
			}
			return nil, nil
		},
	}
}

// isForeign reads operating system and architecture out of a library's path:
// META-INF/native/libnetty_tcnative_osx_aarch_64.jnilib,
// org/xerial/snappy/native/Windows/x86_64/snappyjava.dll,
// librocksdbjni-linux-ppc64le.so.
func isForeign(name string, p recipes.Platform) bool {
	base := strings.ToLower(path.Base(name))
	switch {
	case strings.HasSuffix(base, ".dll"), strings.HasSuffix(base, ".dylib"), strings.HasSuffix(base, ".jnilib"):
		return true // neither Linux nor ELF
	case strings.HasSuffix(base, ".so") || strings.Contains(base, ".so."):
	default:
		return false
	}
	words := nativeWords(name)
	if system := firstOf(words, nativeSystems()); system != "" && system != "linux" {
		return true
	}
	_, arch, _ := strings.Cut(string(p), "/")
	found := firstOf(words, nativeArchs())
	return found != "" && found != arch
}

// nativeWords splits a path where names are put together, and joins what is
// commonly split: x86_64, aarch_64.
func nativeWords(name string) []string {
	name = strings.ToLower(name)
	for _, joined := range []string{"x86", "aarch", "ppc", "sparc"} {
		name = strings.NewReplacer(joined+"_64", joined+"64", joined+"-64", joined+"64").Replace(name)
	}
	return strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("/-_.", r) })
}

// firstOf returns what the last word that the table knows means: the file's
// own name says more than the folders above it.
func firstOf(words []string, table map[string]string) string {
	for _, w := range slices.Backward(words) {
		if meaning, ok := table[w]; ok {
			return meaning
		}
	}
	return ""
}

// nativeSystems are the words that name an operating system.
func nativeSystems() map[string]string {
	return map[string]string{
		"linux": "linux", "linux64": "linux", "linux32": "linux", "linuxmusl": "linux", "musl": "linux", "gnu": "linux",
		"windows": "windows", "win": "windows", "win32": "windows", "win64": "windows",
		"darwin": "darwin", "osx": "darwin", "macos": "darwin", "mac": "darwin",
		"freebsd": "freebsd", "openbsd": "openbsd", "netbsd": "netbsd", "dragonfly": "dragonfly", "dragonflybsd": "dragonfly",
		"sunos": "solaris", "solaris": "solaris", "aix": "aix", "android": "android",
	}
}

// nativeArchs are the words that name an architecture, in Go's terms where
// Go has one.
func nativeArchs() map[string]string {
	return map[string]string{
		"amd64": "amd64", "x8664": "amd64", "x64": "amd64", "linux64": "amd64",
		"arm64": "arm64", "aarch64": "arm64", "armv8": "arm64",
		"x86": "386", "i386": "386", "i686": "386", "x8632": "386", "linux32": "386", "386": "386",
		"arm": "arm", "armv5": "arm", "armv6": "arm", "armv7": "arm", "armhf": "arm", "armel": "arm", "armv6l": "arm", "armv7l": "arm", "armv71": "arm",
		"ppc": "ppc", "ppc64": "ppc64", "ppc64le": "ppc64le", "ppcle64": "ppc64le", "s390x": "s390x", "s390": "s390",
		"riscv64": "riscv64", "riscv": "riscv64", "loongarch64": "loong64", "loong64": "loong64",
		"mips": "mips", "mips64": "mips64", "mips64el": "mips64le", "mipsel": "mipsle", "sparc": "sparc", "sparc64": "sparc64", "sparcv9": "sparc64",
		"ia64": "ia64", "alpha": "alpha",
	}
}
