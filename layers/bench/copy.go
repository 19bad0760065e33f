package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// copyImage is what the row copies: the one with the largest layers.
const copyImage = "spark"

// copyContenders bring one image from a folder into an empty registry; ours
// brings its signature and what is said of it too.
func copyContenders(_ context.Context, s settings, dir string) ([]contender, error) {
	if s.images == "" {
		return nil, nil
	}
	layout := filepath.Join(s.images, copyImage)
	tag, digest, err := someTag(layout)
	if err != nil {
		return nil, err
	}
	blobs := filepath.Join(dir, "registry")
	l, err := startLoopback(blobs)
	if err != nil {
		return nil, err
	}
	one := func(name, repository string, args ...string) contender {
		return contender{
			name: name, args: args, dir: dir, env: []string{"SHUDL_PROGRESS=quiet"}, sent: l.sent,
			before: func(context.Context) error {
				l.reset()
				return errors.Join(remove(blobs), os.MkdirAll(blobs, 0o755))
			},
			check: func() error { return l.holds(layout, blobs, repository, tag, digest) },
		}
	}
	list := []contender{one("shudl-assemble copy", "ours/"+copyImage,
		s.command, "copy", "oci:"+layout+":"+tag, l.host+"/ours", "--cache", filepath.Join(dir, "cache"))}
	if there("skopeo") {
		list = append(list, one("skopeo copy", "skopeo/"+copyImage,
			"skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "oci:"+layout+":"+tag, "docker://"+l.host+"/skopeo/"+copyImage+":"+tag))
	}
	return list, nil
}

// someTag is one of a layout's tags, the same each time, and its manifest.
func someTag(layout string) (tag, digest string, err error) {
	tags, err := manifests(layout)
	if err != nil {
		return "", "", err
	}
	if len(tags) == 0 {
		return "", "", fmt.Errorf("%s has no tags", layout)
	}
	tag = slices.Min(slices.Collect(maps.Keys(tags)))
	return tag, tags[tag], nil
}

// holds says whether a tag of the registry is a manifest of a layout, and
// whether every blob of that came.
func (l *loopback) holds(layout, blobs, repository, tag, digest string) error {
	req, err := http.NewRequest(http.MethodHead, "http://"+l.host+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Docker-Content-Digest"); got != digest {
		return fmt.Errorf("%s:%s is %q, not %s", repository, tag, got, digest)
	}
	var m ocispec.Manifest
	if err := readJSON(blobPath(layout, ocispec.Descriptor{Digest: godigest.Digest(digest)}), &m); err != nil {
		return err
	}
	for _, d := range append(m.Layers, m.Config) {
		info, err := os.Stat(filepath.Join(blobs, d.Digest.Algorithm().String(), d.Digest.Encoded()))
		if err != nil {
			return err
		}
		if info.Size() != d.Size {
			return fmt.Errorf("%s came with %d bytes of %d", d.Digest, info.Size(), d.Size)
		}
	}
	return nil
}
