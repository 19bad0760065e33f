package apk

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/klauspost/compress/gzip"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Minirootfs is the flavour of Alpine's smallest release tarball.
const Minirootfs = "alpine-minirootfs"

const (
	maxReleaseList = 4 << 20
	maxReleaseFile = 256 << 20
)

// release is one entry of a branch's latest-releases.yaml.
type release struct {
	Flavor  string `yaml:"flavor"`
	Version string `yaml:"version"`
	File    string `yaml:"file"`
	Size    int64  `yaml:"size"`
	SHA256  string `yaml:"sha256"`
	SHA512  string `yaml:"sha512"`
}

// FindRelease looks up the newest release tarball of a flavour on the mirror:
// in the branch's latest-releases.yaml, or where the mirror has none, in its
// releases/checksums.sha512. Neither is signed: the tarball is trusted at
// first lock, and by the lock's SHA-256 from then on. The packages in it are
// described by their own signed index.
func FindRelease(ctx context.Context, f *fetch.Fetcher, branch, arch, flavor string) (recipes.Artifact, error) {
	r, err := latestRelease(ctx, f, branch, arch, flavor)
	if err != nil {
		var fallback error
		if r, fallback = checksummedRelease(ctx, f, branch, arch, flavor); fallback != nil {
			return recipes.Artifact{}, fmt.Errorf("%s of %s: %w", flavor, branch, errors.Join(err, fallback))
		}
	}
	file := path.Join(branch, "releases", arch, r.File)
	if r.File != path.Base(r.File) || !strings.HasPrefix(r.File, flavor+"-") {
		return recipes.Artifact{}, fmt.Errorf("%s of %s: the release list names the file %q", flavor, branch, cut(r.File))
	}
	request := fetch.Request{Archive: Archive, Path: file, Size: r.Size, MaxSize: maxReleaseFile, Check: checkSHA512(r.SHA512)}
	if r.SHA256 != "" {
		if request.SHA256, err = recipes.ParseDigest(r.SHA256); err != nil {
			return recipes.Artifact{}, fmt.Errorf("%s of %s: %w", flavor, branch, err)
		}
	}
	got, err := f.Get(ctx, request)
	if err != nil {
		return recipes.Artifact{}, fmt.Errorf("%s of %s: %w", flavor, branch, err)
	}
	return recipes.Artifact{
		Kind: recipes.KindTarball, Name: flavor, Version: r.Version,
		PURL: "pkg:generic/" + flavor + "@" + escapeVersion(r.Version) + "?arch=" + arch,
		Size: got.Size, SHA256: got.SHA256, Archive: Archive, Path: file,
	}, nil
}

func latestRelease(ctx context.Context, f *fetch.Fetcher, branch, arch, flavor string) (release, error) {
	name := path.Join(branch, "releases", arch, "latest-releases.yaml")
	data, err := fetchList(ctx, f, name)
	if err != nil {
		return release{}, err
	}
	var list []release
	if err := yaml.Unmarshal(data, &list); err != nil {
		return release{}, fmt.Errorf("%s: %w", name, err)
	}
	for _, r := range list {
		if r.Flavor == flavor && r.SHA256 != "" {
			return r, nil
		}
	}
	return release{}, fmt.Errorf("%s lists no %s", name, flavor)
}

// checksummedRelease takes the newest version from lines of "SHA512  ARCH/FILE".
func checksummedRelease(ctx context.Context, f *fetch.Fetcher, branch, arch, flavor string) (release, error) {
	name := path.Join(branch, "releases", "checksums.sha512")
	data, err := fetchList(ctx, f, name)
	if err != nil {
		return release{}, err
	}
	var newest release
	for line := range strings.Lines(string(data)) {
		sum, file, ok := strings.Cut(strings.TrimSpace(line), "  ")
		file = strings.TrimPrefix(file, arch+"/")
		version, isTar := strings.CutSuffix(strings.TrimPrefix(file, flavor+"-"), "-"+arch+".tar.gz")
		if !ok || !isTar || !ValidVersion(version) {
			continue
		}
		if newest.File == "" || CompareVersions(version, newest.Version) > 0 {
			newest = release{Flavor: flavor, Version: version, File: file, SHA512: sum}
		}
	}
	if newest.File == "" {
		return release{}, fmt.Errorf("%s lists no %s for %s", name, flavor, arch)
	}
	return newest, nil
}

// fetchList fetches a list.
func fetchList(ctx context.Context, f *fetch.Fetcher, name string) ([]byte, error) {
	got, err := f.Get(ctx, fetch.Request{Archive: Archive, Path: name, MaxSize: maxReleaseList})
	if err != nil {
		return nil, err
	}
	file, err := f.Store.Open(ctx, got.SHA256)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// checkSHA512 holds a file to a SHA-512, where there is one.
func checkSHA512(want string) func(io.ReadSeeker) error {
	if want == "" {
		return nil
	}
	return func(content io.ReadSeeker) error {
		sum := sha512.New()
		if _, err := io.Copy(sum, content); err != nil {
			return err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != want {
			return fmt.Errorf("its SHA-512 is %s…, and the release list says %s…", got[:16], cut(want)[:min(16, len(want))])
		}
		return nil
	}
}

// keysInRoot reads the public keys of a root file system's tarball.
func keysInRoot(r io.Reader) ([]Key, error) {
	plain, err := gzip.NewReader(r)
	if err != nil {
		return nil, noEOF(err)
	}
	defer plain.Close()
	var keys []Key
	stream := tar.NewReader(plain)
	for {
		header, err := stream.Next()
		if err == io.EOF {
			return keys, nil
		}
		if err != nil {
			return nil, noEOF(err)
		}
		if header.Typeflag != tar.TypeReg || !isKeyPath(path.Clean(header.Name)) {
			continue
		}
		var data bytes.Buffer
		if _, err := io.CopyN(&data, stream, maxKey); err != nil && err != io.EOF {
			return nil, noEOF(err)
		}
		key, err := ParseKey(path.Base(header.Name), data.Bytes())
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
}
