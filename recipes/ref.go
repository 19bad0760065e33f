package recipes

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Distros lists the distributions, the default first.
func Distros() []Distro { return []Distro{Alpine, Debian} }

// ParseDistro reads the name of a distribution.
func ParseDistro(text string) (Distro, error) {
	if d := Distro(text); slices.Contains(Distros(), d) {
		return d, nil
	}
	return "", fmt.Errorf("unknown distro %q: it is alpine or debian", text)
}

// Base is the name of the distribution's own base image.
func (d Distro) Base() string { return "base-" + string(d) }

// Platforms lists the platforms that images are made for.
func Platforms() []Platform { return []Platform{LinuxAMD64, LinuxARM64} }

// Machine is the platform of containers on this machine, whether images are
// made for it or not.
func Machine() Platform { return Platform("linux/" + runtime.GOARCH) }

// ParsePlatform reads a platform as OCI writes it: linux/amd64.
func ParsePlatform(text string) (Platform, error) {
	if p := Platform(text); slices.Contains(Platforms(), p) {
		return p, nil
	}
	return "", fmt.Errorf("unknown platform %q: it is linux/amd64 or linux/arm64", text)
}

// Go is the architecture as Go and OCI name it: amd64.
func (p Platform) Go() string { return strings.TrimPrefix(string(p), "linux/") }

// Deb is the architecture as Debian names it: amd64.
func (p Platform) Deb() string { return p.Go() }

// APK is the architecture as Alpine names it: x86_64.
func (p Platform) APK() string {
	switch p {
	case LinuxAMD64:
		return "x86_64"
	case LinuxARM64:
		return "aarch64"
	}
	return p.Go()
}

// ParseRef reads IMAGE or IMAGE:STREAM.
func ParseRef(text string) (Ref, error) {
	name, stream, streamed := strings.Cut(text, ":")
	if !imageName.MatchString(name) {
		return Ref{}, fmt.Errorf("bad image name %q: lower-case letters and digits, joined by hyphens", name)
	}
	if streamed && !streamName.MatchString(stream) {
		return Ref{}, fmt.Errorf("bad stream %q of image %s: it must be usable as a tag", stream, name)
	}
	return Ref{Name: name, Stream: stream}, nil
}

// Compare orders references by name, then by stream.
func (r Ref) Compare(other Ref) int {
	if c := strings.Compare(r.Name, other.Name); c != 0 {
		return c
	}
	return strings.Compare(r.Stream, other.Stream)
}

// ParseDigest reads a sha256 as 64 lower-case hexadecimal digits. A digest
// that has not passed it must not become part of a file name.
func ParseDigest(text string) (Digest, error) {
	if !hexDigest.MatchString(text) {
		return "", fmt.Errorf("bad sha256 %q: want 64 lower-case hexadecimal digits", text)
	}
	return Digest(text), nil
}

// String writes file:line:column.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}
