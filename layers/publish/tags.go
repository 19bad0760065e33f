package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/recipes"
)

// platforms is what a tag names: the manifest of each platform.
type platforms map[recipes.Platform]ocispec.Descriptor

// String lists the platforms by name.
func (p platforms) String() string {
	var names []string
	for _, platform := range slices.Sorted(maps.Keys(p)) {
		names = append(names, string(platform))
	}
	return strings.Join(names, ", ")
}

// checkTags compares what the tags name with what they shall name, before
// anything is written. It returns the manifest that they shall name, which
// with Merge holds the platforms that only the tags have.
func (p *publication) checkTags(ctx context.Context) (Manifest, error) {
	top := p.top()
	ours := platforms{}
	for _, img := range p.release.Images {
		ours[img.Platform] = imageManifest(img).Descriptor()
	}
	p.current = map[string]digest.Digest{}
	kept, read := platforms{}, map[digest.Digest]platforms{}
	named, err := p.resolve(ctx)
	if err != nil {
		return Manifest{}, err
	}
	for i, tag := range p.release.Tags {
		d := named[i]
		if d.Digest == "" {
			continue
		}
		p.current[tag] = d.Digest
		if d.Digest == top.Digest() {
			continue
		}
		there, ok := read[d.Digest]
		if !ok {
			if there, err = p.platformsThere(ctx, d); err != nil {
				return Manifest{}, err
			}
			read[d.Digest] = there
		}
		if err := p.compareTag(tag, there, ours, kept); err != nil {
			return Manifest{}, err
		}
	}
	if len(kept) > 0 {
		if top, err = p.mergedIndex(ctx, ours, kept); err != nil {
			return Manifest{}, err
		}
	}
	for _, tag := range p.release.Tags {
		if p.current[tag] != top.Digest() {
			p.result.Moved = append(p.result.Moved, tag)
		}
	}
	sort.SliceStable(p.result.Moved, func(i, j int) bool {
		return p.result.Moved[i] == p.release.Fixed && p.result.Moved[j] != p.release.Fixed
	})
	return top, nil
}

// resolve finds what the tags name: nothing where there is no such tag.
func (p *publication) resolve(ctx context.Context) ([]ocispec.Descriptor, error) {
	named := make([]ocispec.Descriptor, len(p.release.Tags))
	group, ctx := errgroup.WithContext(ctx)
	for i, tag := range p.release.Tags {
		group.Go(func() (err error) {
			if named[i], err = p.repo.Resolve(ctx, tag); errors.Is(err, ErrNoTag) {
				return nil
			}
			return err
		})
	}
	return named, group.Wait()
}

func (p *publication) top() Manifest {
	if p.release.Index != nil {
		return Manifest{MediaType: ocispec.MediaTypeImageIndex, Raw: p.release.Index}
	}
	return imageManifest(p.release.Images[0])
}

// platformsThere are those of what a tag names: none where it is broken, and
// so replaced.
func (p *publication) platformsThere(ctx context.Context, d ocispec.Descriptor) (platforms, error) {
	there, err := platformsOf(ctx, p.repo, d)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil, nil
	}
	return there, err
}

// compareTag refuses to move a tag that never moves, and to take platforms
// away; with Merge these are kept.
func (p *publication) compareTag(tag string, there, ours, kept platforms) error {
	var lost []string
	for platform, old := range there {
		mine, ok := ours[platform]
		switch {
		case ok && tag == p.release.Fixed && mine.Digest != old.Digest:
			return fmt.Errorf("%w: %s never moves and is %s for %s; this build of the same recipe and lock is %s: "+
				"was the other made by another version of this program? Remove it, or publish elsewhere",
				ErrMoved, p.repo.Reference(tag), old.Digest, platform, mine.Digest)
		case ok:
		case !p.options.Merge:
			lost = append(lost, string(platform))
		case kept[platform].Digest != "" && kept[platform].Digest != old.Digest:
			return fmt.Errorf("%w: the tags %s hold different images for %s", ErrPlatforms, strings.Join(p.release.Tags, ", "), platform)
		default:
			kept[platform] = old
		}
	}
	if len(lost) > 0 {
		sort.Strings(lost)
		return fmt.Errorf("%w: %s holds %s too: build these with --platform, or keep them with --merge",
			ErrPlatforms, p.repo.Reference(tag), strings.Join(lost, ", "))
	}
	return nil
}

// PlatformsOf lists the platforms that a tag's manifest is for, by name.
func PlatformsOf(ctx context.Context, repo Repository, d ocispec.Descriptor) ([]recipes.Platform, error) {
	found, err := platformsOf(ctx, repo, d)
	return slices.Sorted(maps.Keys(found)), err
}

// platformsOf reads which platforms a tag's manifest is for.
func platformsOf(ctx context.Context, repo Repository, d ocispec.Descriptor) (platforms, error) {
	m, err := repo.Manifest(ctx, d.Digest)
	if err != nil {
		return nil, err
	}
	if m.MediaType == ocispec.MediaTypeImageIndex {
		var index ocispec.Index
		if err := json.Unmarshal(m.Raw, &index); err != nil {
			return nil, fmt.Errorf("%s: %w", repo.Reference(d.Digest.String()), err)
		}
		found := platforms{}
		for _, child := range index.Manifests {
			if child.Platform != nil {
				found[platformName(*child.Platform)] = child
			}
		}
		return found, nil
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", repo.Reference(d.Digest.String()), err)
	}
	config, err := ReadSmall(ctx, repo, manifest.Config)
	if err != nil {
		return nil, err
	}
	var platform ocispec.Platform
	if err := json.Unmarshal(config, &platform); err != nil {
		return nil, fmt.Errorf("%s: config: %w", repo.Reference(d.Digest.String()), err)
	}
	return platforms{platformName(platform): m.Descriptor()}, nil
}

func platformName(p ocispec.Platform) recipes.Platform {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" && !(p.Architecture == "arm64" && p.Variant == "v8") {
		s += "/" + p.Variant
	}
	return recipes.Platform(s)
}

// mergedIndex makes the index of our platforms and those that are kept, which
// must be of the same version: the index that building all at once makes.
func (p *publication) mergedIndex(ctx context.Context, ours, kept platforms) (Manifest, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	all := maps.Clone(kept)
	maps.Copy(all, ours)
	raw := map[digest.Digest][]byte{}
	for _, img := range p.release.Images {
		raw[digest.FromBytes(img.Manifest)] = img.Manifest
	}
	version := ""
	for _, platform := range slices.Sorted(maps.Keys(all)) {
		d := all[platform]
		if raw[d.Digest] == nil {
			m, err := p.repo.Manifest(ctx, d.Digest)
			if err != nil {
				return Manifest{}, err
			}
			raw[d.Digest] = m.Raw
			p.stand(d.Digest)
		}
		var manifest ocispec.Manifest
		if err := json.Unmarshal(raw[d.Digest], &manifest); err != nil {
			return Manifest{}, fmt.Errorf("manifest %s: %w", d.Digest, err)
		}
		v := manifest.Annotations[ocispec.AnnotationVersion]
		if index.Manifests == nil {
			version, index.Annotations = v, indexAnnotations(manifest)
		}
		if v != version {
			return Manifest{}, fmt.Errorf("%w: %s would hold versions %s and %s: platforms of one tag hold the same version",
				ErrPlatforms, p.repo.Reference(p.release.Tags[0]), version, v)
		}
		index.Manifests = append(index.Manifests, child(platform, d))
	}
	merged, err := json.Marshal(index)
	return Manifest{MediaType: ocispec.MediaTypeImageIndex, Raw: merged}, err
}

// indexAnnotations are those of the first platform, without the digest of its
// base, which each platform has of its own.
func indexAnnotations(m ocispec.Manifest) map[string]string {
	annotations := maps.Clone(m.Annotations)
	delete(annotations, ocispec.AnnotationBaseImageDigest)
	return annotations
}

func child(platform recipes.Platform, d ocispec.Descriptor) ocispec.Descriptor {
	if d.Platform == nil {
		os, arch, _ := strings.Cut(string(platform), "/")
		arch, variant, _ := strings.Cut(arch, "/")
		d.Platform = &ocispec.Platform{OS: os, Architecture: arch, Variant: variant}
	}
	return d
}
