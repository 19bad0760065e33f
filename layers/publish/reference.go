package publish

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"

	"github.com/shudl/shudl-assemble/recipes"
)

// LayoutPrefix begins a destination that is a folder of OCI layouts.
const LayoutPrefix = "oci:"

var (
	imageName = recipes.NewPattern(`^[a-z0-9]+([._-]+[a-z0-9]+)*$`)
	tagName   = recipes.NewPattern(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// ParseDestination reads oci:DIR or a registry path such as ghcr.io/org/repo.
func ParseDestination(s string, o RegistryOptions) (Destination, error) {
	if dir, ok := strings.CutPrefix(s, LayoutPrefix); ok {
		if dir == "" {
			return nil, fmt.Errorf("%w: %q: oci: wants a folder after it", ErrUsage, s)
		}
		return NewLayout(dir), nil
	}
	return NewRegistry(s, o)
}

// SamePlace says whether two destinations are one: of folders, however their
// names are written.
func SamePlace(a, b Destination) bool {
	one, ok := a.(*Layout)
	other, too := b.(*Layout)
	if !ok || !too {
		return a.String() == b.String()
	}
	first, err := os.Stat(one.dir)
	if err != nil {
		return one.dir == other.dir
	}
	second, err := os.Stat(other.dir)
	return err == nil && os.SameFile(first, second)
}

// Reference is one image at a destination, by tag or by digest.
type Reference struct {
	Destination Destination // where the image's bases lie too
	Repository  Repository
	Image       string // postgresql
	Tag         string
	Digest      digest.Digest // wins over Tag where both are given
}

// String writes the reference as the user would.
func (r Reference) String() string {
	if r.Digest != "" {
		return r.Repository.Reference(r.Digest.String())
	}
	return r.Repository.Reference(r.Tag)
}

// ParseReference reads oci:DIR/IMAGE:TAG or registry/path/IMAGE:TAG, with
// @sha256:… in place of or after the tag. Without either the tag is latest.
func ParseReference(s string, o RegistryOptions) (Reference, error) {
	rest, layout := strings.CutPrefix(s, LayoutPrefix)
	var r Reference
	path, at, hasDigest := strings.Cut(rest, "@")
	if hasDigest {
		r.Digest = digest.Digest(at)
		if _, err := Hex(r.Digest); err != nil {
			return Reference{}, fmt.Errorf("%w: %q: %w", ErrUsage, s, err)
		}
	}
	slash := strings.LastIndex(path, "/")
	if slash < 0 {
		if !layout {
			return Reference{}, fmt.Errorf("%w: %q: want oci:DIR/IMAGE:TAG or REGISTRY/PATH/IMAGE:TAG", ErrUsage, s)
		}
		path, slash = "./"+path, 1
	}
	image := path[slash+1:]
	if i := strings.LastIndex(image, ":"); i >= 0 {
		image, r.Tag = image[:i], image[i+1:]
		if !tagName.MatchString(r.Tag) {
			return Reference{}, fmt.Errorf("%w: %q: %q is not a tag", ErrUsage, s, r.Tag)
		}
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	var dest Destination
	var err error
	if layout {
		dest = NewLayout(filepath.FromSlash(path[:max(slash, 1)]))
	} else if dest, err = NewRegistry(path[:slash], o); err != nil {
		return Reference{}, err
	}
	r.Destination, r.Image = dest, image
	r.Repository, err = dest.Repository(image)
	return r, err
}

func checkImageName(image string) error {
	if !imageName.MatchString(image) {
		return fmt.Errorf("%w: %q is not an image name", ErrUsage, image)
	}
	return nil
}

// Loopback says whether a registry, as HOST or HOST:PORT, is on this machine.
func Loopback(registry string) bool {
	host := registry
	if h, _, err := net.SplitHostPort(registry); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// parsePrefix reads a registry path below which images lie; the path may be
// empty: 127.0.0.1:5000.
func parsePrefix(s string) (name.Registry, string, error) {
	host, path, _ := strings.Cut(strings.TrimSuffix(s, "/"), "/")
	if !strings.ContainsAny(host, ".:") && host != "localhost" || strings.HasPrefix(host, ".") || strings.Contains(s, "://") {
		return name.Registry{}, "", fmt.Errorf("%w: %q: want a registry's host name first, as in ghcr.io/org/repo, or oci:DIR", ErrUsage, s)
	}
	registry, err := name.NewRegistry(host, name.StrictValidation)
	if err != nil {
		return name.Registry{}, "", fmt.Errorf("%w: %q: %w", ErrUsage, s, err)
	}
	if path != "" {
		if _, err := name.NewRepository(host+"/"+path, name.StrictValidation); err != nil {
			return name.Registry{}, "", fmt.Errorf("%w: %q: %w", ErrUsage, s, err)
		}
	}
	return registry, path, nil
}
