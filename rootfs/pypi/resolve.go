package pypi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

const (
	// maxFile bounds a download that no lock has bounded yet, in bytes.
	maxFile = 4 << 30
	// maxIndex bounds the list of a project's files, in bytes.
	maxIndex = 64 << 20
	// indexType is the media type of the list as JSON (PEP 691).
	indexType = "application/vnd.pypi.simple.v1+json"
)

// Resolve chooses the file of a release that fits the target, downloads it,
// holds it to the sha256 that the index publishes and returns what a lock
// keeps of it: the project and the file's name, not its address, which is
// another host's as a rule and looked up again by Locate.
func Resolve(ctx context.Context, f *fetch.Fetcher, src recipes.PyPISource, t Target, layer string) (recipes.Artifact, error) {
	a, err := resolve(ctx, f, src, t)
	if err != nil {
		return recipes.Artifact{}, fmt.Errorf("pypi %s: %w", src.Requirement, err)
	}
	a.Layer = layer
	return a, nil
}

func resolve(ctx context.Context, f *fetch.Fetcher, src recipes.PyPISource, t Target) (recipes.Artifact, error) {
	name, version, err := ParseRequirement(src.Requirement)
	if err != nil {
		return recipes.Artifact{}, err
	}
	files, err := index(ctx, f, name)
	if err != nil {
		return recipes.Artifact{}, err
	}
	var file release
	if src.SDist {
		file, err = chooseSDist(files, name, version)
	} else {
		file, err = chooseWheel(files, name, version, t)
	}
	if err != nil {
		return recipes.Artifact{}, err
	}
	want, err := recipes.ParseDigest(file.Hashes["sha256"])
	if err != nil {
		return recipes.Artifact{}, fmt.Errorf("the index has no sha256 of %s: %w", file.Filename, err)
	}
	got, err := f.Get(ctx, fetch.Request{URL: file.URL, SHA256: want, Size: file.Size, MaxSize: maxFile})
	if err != nil {
		return recipes.Artifact{}, err
	}
	a := recipes.Artifact{
		Kind: recipes.KindPyPI, Name: name, Version: version, Size: got.Size, SHA256: got.SHA256, License: src.License,
		Archive: fetch.PyPI, Path: name + "/" + file.Filename,
		PURL: packageurl.NewPackageURL(packageurl.TypePyPi, "", name, version, nil, "").ToString(),
	}
	if src.SDist {
		_, err = archive.Expand(ctx, f.Store, a.SHA256, file.Filename, archive.Limits{})
		return a, err
	}
	w, err := openWheel(ctx, f.Store, a)
	if err != nil {
		return a, fmt.Errorf("%s: %w", file.Filename, err)
	}
	if a.License == "" {
		a.License = w.metadata.license
	}
	return a, nil
}

// Locate is the fetch.Locator of Python files: it looks up the address of
// "project/file" in the index. Where no index answers it returns none, so
// that the file is looked for at that path below the mirrors: a folder of
// files serves as a mirror too.
func Locate(ctx context.Context, f *fetch.Fetcher, a recipes.Artifact) (string, error) {
	project, name, ok := strings.Cut(a.Path, "/")
	if !ok || strings.Contains(name, "/") {
		return "", fmt.Errorf("pypi: the lock's path %q is not project/file", a.Path)
	}
	files, err := index(ctx, f, project)
	var mirrors *fetch.MirrorError
	if errors.As(err, &mirrors) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if file.Filename == name {
			return file.URL, nil
		}
	}
	return "", nil
}

// projectName is what may stand in an index's path.
var projectName = recipes.NewPattern(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$`)

// index reads the list of a project's files (PEP 691), with addresses made
// absolute.
func index(ctx context.Context, f *fetch.Fetcher, project string) ([]release, error) {
	if !projectName.MatchString(project) {
		return nil, fmt.Errorf("%q is no project's name", project)
	}
	check := func(r io.ReadSeeker) error {
		_, err := readIndex(r, project)
		return err
	}
	got, err := f.Get(ctx, fetch.Request{Archive: fetch.PyPI, Path: project + "/", MaxSize: maxIndex, Accept: indexType, Check: check})
	if err != nil {
		return nil, err
	}
	file, err := f.Store.Open(ctx, got.SHA256)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	files, err := readIndex(file, project)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(got.URL)
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		u, err := base.Parse(file.URL)
		if err != nil {
			return nil, fmt.Errorf("index of %s: address of %s: %w", project, file.Filename, err)
		}
		u.Fragment = ""
		files[i].URL = u.String()
	}
	return files, nil
}

// readIndex reads the JSON of a project's page.
func readIndex(r io.Reader, project string) ([]release, error) {
	var list struct {
		Name  string    `json:"name"`
		Files []release `json:"files"`
	}
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		return nil, fmt.Errorf("its index is not JSON as PEP 691 has it: %w", err)
	}
	if Normalize(list.Name) != project {
		return nil, fmt.Errorf("its index of %s is that of %q", project, list.Name)
	}
	return list.Files, nil
}
