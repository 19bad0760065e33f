package resolve

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/pypi"
)

// result is one image while its artefacts are looked at.
type result struct {
	image  *recipes.Image
	chain  []*recipes.Image // with its ancestors, the base first
	world  world
	target func() (pypi.Target, error)
	layers [][]recipes.Artifact // of each layer, filled concurrently by slot
}

// fill resolves every image of the work into the lock. The packages of a
// platform are decided one image after the other, children on their parents;
// fetching and checking what was decided runs for all of them at once.
func (j *job) fill(ctx context.Context, l *recipes.Lock, worlds map[recipes.Platform]world) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(j.Jobs)
	var results []*result
	for _, p := range recipes.Platforms() {
		if worlds[p] == nil {
			continue
		}
		found, err := j.decide(ctx, l, p, worlds[p])
		if err != nil {
			return err
		}
		results = append(results, found...)
	}
	for _, r := range results {
		j.lookAt(inner, group, r)
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, r := range results {
		l.Put(r.locked())
	}
	for _, r := range results {
		if err := j.checkPython(ctx, l, r); err != nil {
			return err
		}
	}
	return nil
}

// locked is the finished entry of the lock.
func (r *result) locked() recipes.LockedImage {
	out := recipes.LockedImage{Ref: r.image.Ref, Platform: r.image.Platform, Sources: r.image.Sources()}
	for _, layer := range r.layers {
		sorted := slices.Clone(layer)
		slices.SortStableFunc(sorted, func(a, b recipes.Artifact) int {
			return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Name, b.Name))
		})
		out.Artifacts = append(out.Artifacts, sorted...)
	}
	return out
}

// decide finds the packages of one platform's images, parents first. What it
// decides goes into the lock at once, so that children find it there.
func (j *job) decide(ctx context.Context, l *recipes.Lock, p recipes.Platform, w world) ([]*result, error) {
	images, err := j.set.Images(j.distro, p)
	if err != nil {
		return nil, err
	}
	var out []*result
	for _, image := range images {
		if !slices.Contains(j.work[p], image.Ref) {
			continue
		}
		r, err := j.decideImage(ctx, l, image, w)
		if err != nil {
			return nil, fmt.Errorf("image %s on %s: %w", image.Ref, p, err)
		}
		l.Put(r.locked())
		out = append(out, r)
	}
	return out, nil
}

func (j *job) decideImage(ctx context.Context, l *recipes.Lock, image *recipes.Image, w world) (*result, error) {
	chain, err := j.set.Chain(image.Ref, j.distro, image.Platform)
	if err != nil {
		return nil, err
	}
	held, below, err := standsOn(ctx, l, chain[:len(chain)-1], w)
	if err != nil {
		return nil, err
	}
	r := &result{image: image, chain: chain, world: w}
	for _, layer := range image.Layers {
		added, own, err := j.decideLayer(ctx, r, layer, held, below)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", layer.Name, err)
		}
		r.layers = append(r.layers, added)
		held = append(held, packagesOf(added)...)
		for _, one := range own {
			one.own = false
			below = append(below, one)
		}
	}
	r.target = func() (pypi.Target, error) { return pypi.TargetOf(j.distro, image.Platform, held) }
	return r, nil
}

// standsOn gives the packages of an image's ancestors, which the world then
// knows, and their roots.
func standsOn(ctx context.Context, l *recipes.Lock, ancestors []*recipes.Image, w world) (held []recipes.Artifact, below []root, err error) {
	locked, err := l.Chain(ancestors)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range locked {
		held = append(held, packagesOf(a.Artifacts)...)
	}
	if err := w.learn(ctx, held); err != nil {
		return nil, nil, err
	}
	below, err = inherited(l, ancestors)
	return held, below, err
}

// decideLayer finds the root tarballs and the packages of one layer.
func (j *job) decideLayer(ctx context.Context, r *result, layer recipes.Layer, held []recipes.Artifact, below []root) ([]recipes.Artifact, []root, error) {
	own, err := j.roots(ctx, r.image, layer)
	if err != nil {
		return nil, nil, err
	}
	var added []recipes.Artifact
	for _, one := range own {
		added = append(added, one.artifact)
	}
	if len(layer.Packages) == 0 && len(own) == 0 {
		return added, own, nil
	}
	found, err := r.world.add(ctx, wish{layer: layer, held: held, exclude: excluded(r.chain, layer), roots: append(slices.Clone(below), own...)})
	return append(added, found...), own, err
}

// packagesOf keeps the distro's packages.
func packagesOf(all []recipes.Artifact) []recipes.Artifact {
	var out []recipes.Artifact
	for _, a := range all {
		if isPackage(a) {
			out = append(out, a)
		}
	}
	return out
}

func isPackage(a recipes.Artifact) bool {
	return a.Kind == recipes.KindDeb || a.Kind == recipes.KindAPK
}

// excluded is what a layer leaves out: what its image and the ancestors
// exclude, except what the layer asks for by name. Else a child would bring
// in again what its parent left out on purpose.
func excluded(chain []*recipes.Image, layer recipes.Layer) []recipes.Exclude {
	var out []recipes.Exclude
	for _, image := range chain {
		for _, l := range image.Layers {
			for _, e := range l.Excludes {
				wanted := slices.ContainsFunc(layer.Packages, func(p recipes.Package) bool {
					name, _, _ := strings.Cut(p.Name, "=")
					return name == e.Name
				})
				known := slices.ContainsFunc(out, func(o recipes.Exclude) bool { return o.Name == e.Name })
				if len(l.Packages) > 0 && !wanted && !known {
					out = append(out, e)
				}
			}
		}
	}
	return out
}

// lookAt starts the work on an image's artefacts, each into a slot of its own.
func (j *job) lookAt(ctx context.Context, group *errgroup.Group, r *result) {
	for n, layer := range r.image.Layers {
		decided := len(r.layers[n])
		others := j.others(r, layer)
		r.layers[n] = append(r.layers[n], make([]recipes.Artifact, len(others))...)
		for _, i := range largestFirst(r.layers[n]) {
			slot := &r.layers[n][i]
			group.Go(func() (err error) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if i >= decided {
					*slot, err = others[i-decided](ctx)
				} else if isPackage(*slot) {
					*slot, err = j.completed(ctx, r.world, *slot)
				}
				if err != nil {
					return fmt.Errorf("image %s on %s, layer %s: %w", r.image.Ref, r.image.Platform, layer.Name, err)
				}
				return nil
			})
		}
	}
}

// largestFirst is an order in which no large package is left for the end, when
// there is nothing to do beside it. What has no size yet comes last.
func largestFirst(artifacts []recipes.Artifact) []int {
	order := make([]int, len(artifacts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(artifacts[b].Size, artifacts[a].Size) })
	return order
}

// completed looks at a package once, whichever images have it.
func (j *job) completed(ctx context.Context, w world, a recipes.Artifact) (recipes.Artifact, error) {
	done, err := once(&j.memo, "package "+a.Archive+" "+a.Path+" "+a.Name, func() (recipes.Artifact, error) { return w.complete(ctx, a) })
	if err != nil {
		return a, fmt.Errorf("package %s %s: %w", a.Name, a.Version, err)
	}
	done.Layer = a.Layer
	return done, nil
}
