package maven

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// maxArtifact bounds a download that no lock has bounded yet, in bytes.
const maxArtifact = 4 << 30

// Resolve downloads the artefact that a recipe names, holds it to the
// checksums that the repository publishes beside it and returns what a lock
// keeps of it. The licence is the recipe's, else what the POM or one of its
// parents says, where SPDX knows that.
func Resolve(ctx context.Context, f *fetch.Fetcher, src recipes.MavenSource, layer string) (recipes.Artifact, error) {
	c, err := Parse(src.Coordinate)
	if err != nil {
		return recipes.Artifact{}, err
	}
	got, err := f.Get(ctx, fetch.Request{Archive: fetch.Maven, Path: c.Path(), MaxSize: maxArtifact})
	if err != nil {
		return recipes.Artifact{}, fmt.Errorf("maven %s: %w", src.Coordinate, err)
	}
	if err := published(ctx, f, c, got.SHA256); err != nil {
		return recipes.Artifact{}, fmt.Errorf("maven %s: %w", src.Coordinate, err)
	}
	a := recipes.Artifact{
		Layer: layer, Kind: recipes.KindMaven, Name: c.Name(), Version: c.Version, PURL: c.PURL(),
		Size: got.Size, SHA256: got.SHA256, License: src.License, Archive: fetch.Maven, Path: c.Path(),
	}
	if a.License == "" {
		a.License = licenseOf(ctx, f, c)
	}
	return a, nil
}

// published compares an artefact with the checksum that the repository
// publishes beside it: its sha256 where there is one, else its sha1. This
// guards the first download against damage, not against the repository; from
// then on the lock's sha256 counts.
func published(ctx context.Context, f *fetch.Fetcher, c Coordinate, have recipes.Digest) error {
	want, err := sidecar(ctx, f, c.Path()+".sha256")
	if err == nil {
		if want != string(have) {
			return fmt.Errorf("its sha256 is %s, the repository publishes %q", have, want)
		}
		return nil
	}
	var missing *fetch.MirrorError
	if !errors.As(err, &missing) || !missing.NotFound() {
		return err
	}
	want, err = sidecar(ctx, f, c.Path()+".sha1")
	if err != nil {
		return fmt.Errorf("no checksum beside it: %w", err)
	}
	file, err := f.Store.Open(ctx, have)
	if err != nil {
		return err
	}
	defer file.Close()
	h := sha1.New()
	if _, err := io.Copy(h, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("its sha1 is %s, the repository publishes %q", got, want)
	}
	return nil
}

// sidecar reads a checksum file: the digest, alone or before a file name.
func sidecar(ctx context.Context, f *fetch.Fetcher, path string) (string, error) {
	data, err := small(ctx, f, path, 4<<10)
	if err != nil {
		return "", err
	}
	digest, _, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	return strings.ToLower(digest), nil
}

// small reads a file of at most limit bytes.
func small(ctx context.Context, f *fetch.Fetcher, path string, limit int64) ([]byte, error) {
	got, err := f.Get(ctx, fetch.Request{Archive: fetch.Maven, Path: path, MaxSize: limit})
	if err != nil {
		return nil, err
	}
	file, err := f.Store.Open(ctx, got.SHA256)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}
