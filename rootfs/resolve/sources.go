package resolve

import (
	"context"
	"fmt"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/maven"
	"github.com/shudl/shudl-assemble/rootfs/pypi"
)

// maxTarball bounds a download whose size nothing has told yet, in bytes.
const maxTarball = 4 << 30

// find gives one artefact that is no package.
type find func(ctx context.Context) (recipes.Artifact, error)

// others lists what a layer has beside packages and root tarballs. A Maven
// artefact or Go module that the old lock has stays as it is; a tarball is in
// the store under the recipe's sha256, and a wheel must fit the interpreter.
func (j *job) others(r *result, layer recipes.Layer) []find {
	var out []find
	f := j.Fetcher
	add := func(key string, work find) {
		out = append(out, func(ctx context.Context) (recipes.Artifact, error) {
			a, err := once(&j.memo, key, func() (recipes.Artifact, error) { return work(ctx) })
			a.Layer = layer.Name
			return a, err
		})
	}
	for _, src := range layer.Tarballs {
		if !src.APKRoot {
			// Its sha256 and licence are the recipe's word, and count for each.
			key := fmt.Sprintf("tarball %q", []string{src.Name, src.Version, src.License, src.URL, src.Archive, src.Path, src.Release, string(src.SHA256), string(r.image.Platform)})
			add(key, func(ctx context.Context) (recipes.Artifact, error) {
				return j.tarball(ctx, f, r.image.Platform, src, layer.Name)
			})
		}
	}
	for _, src := range layer.Maven {
		add("maven "+src.Coordinate+" "+src.License, func(ctx context.Context) (recipes.Artifact, error) {
			c, err := maven.Parse(src.Coordinate)
			if err != nil {
				return recipes.Artifact{}, err
			}
			if a, ok := j.known(r.image, layer.Name, recipes.KindMaven, c.Name(), c.Version, src.License); ok {
				return a, nil
			}
			return maven.Resolve(ctx, f, src, layer.Name)
		})
	}
	for _, src := range layer.PyPI {
		add(fmt.Sprint("pypi ", src.Requirement, " ", src.SDist, src.License, r.image.Platform), func(ctx context.Context) (recipes.Artifact, error) {
			target, err := r.target()
			if err != nil {
				return recipes.Artifact{}, err
			}
			return pypi.Resolve(ctx, f, src, target, layer.Name)
		})
	}
	for _, src := range layer.Go {
		// Each recipe has module files of its own.
		add("go "+r.image.Name+" "+src.Package+"@"+src.Version+" "+src.License, func(ctx context.Context) (recipes.Artifact, error) {
			if a, ok := j.known(r.image, layer.Name, recipes.KindGo, src.Package, src.Version, src.License); ok {
				return a, nil
			}
			return j.program(ctx, f, r.image, src, layer.Name)
		})
	}
	return out
}

// known finds the old lock's artefact of a source that names its version: it
// cannot move, so it is not fetched to lock it again, for a refresh neither.
func (j *job) known(image *recipes.Image, layer string, kind recipes.Kind, name, version, license string) (recipes.Artifact, bool) {
	if j.old == nil {
		return recipes.Artifact{}, false
	}
	locked, ok := j.old.Image(image.Ref, image.Platform)
	if !ok {
		return recipes.Artifact{}, false
	}
	for _, a := range locked.In(layer) {
		if a.Kind == kind && a.Name == name && (version == "" || a.Version == version) && (license == "" || a.License == license) {
			return a, true
		}
	}
	return recipes.Artifact{}, false
}

// genericPURL names an archive that no package type knows.
func genericPURL(name, version string, p recipes.Platform) string {
	qualifiers := packageurl.QualifiersFromMap(map[string]string{"arch": p.Go()})
	return packageurl.NewPackageURL(packageurl.TypeGeneric, "", name, version, qualifiers, "").ToString()
}

// checkPython holds the Python projects of an image to each other, its
// ancestors' included.
func (j *job) checkPython(ctx context.Context, l *recipes.Lock, r *result) error {
	var files []pypi.File
	var without []recipes.Exclude
	own := false
	for _, image := range r.chain {
		locked, ok := l.Image(image.Ref, image.Platform)
		if !ok {
			return fmt.Errorf("image %s is not locked", image.Ref)
		}
		for _, layer := range image.Layers {
			if len(layer.PyPI) > 0 {
				without = append(without, layer.Excludes...)
			}
			for _, src := range layer.PyPI {
				name, _, err := pypi.ParseRequirement(src.Requirement)
				if err != nil {
					return err
				}
				for _, a := range locked.In(layer.Name) {
					if a.Kind == recipes.KindPyPI && a.Name == name {
						files, own = append(files, pypi.File{Artifact: a, Source: src}), own || image == r.image
					}
				}
			}
		}
	}
	if !own {
		return nil
	}
	target, err := r.target()
	if err == nil {
		for _, file := range files { // a kept entry may not have been fetched here yet
			if err := j.Fetcher.Artifact(ctx, file.Artifact); err != nil {
				return err
			}
		}
		err = pypi.Check(ctx, j.Fetcher.Store, target, files, without...)
	}
	if err != nil {
		return fmt.Errorf("image %s on %s: %w", r.image.Ref, r.image.Platform, err)
	}
	return nil
}
