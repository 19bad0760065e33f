package assemble

import (
	"fmt"

	"github.com/shudl/shudl-assemble/layers/vex"
	"github.com/shudl/shudl-assemble/recipes"
)

// checkVEX holds the VEX documents of every image of the run to the lock,
// before anything is built.
func (r *run) checkVEX() error {
	for _, name := range r.names() {
		files := r.Set.VEX(name)
		if len(files) == 0 {
			continue
		}
		locked, complete, err := r.everything(name)
		if err != nil {
			return err
		}
		// Of a lock that holds a part of the image, what is missing may be
		// in the rest.
		if !complete {
			continue
		}
		if err := vex.Check(files, vex.Locked{Name: name, Distro: r.Lock.Distro, Artifacts: locked}); err != nil {
			return err
		}
	}
	return nil
}

// everything lists the artefacts of an image in all its streams and for all
// platforms, the ancestors' included.
func (r *run) everything(name string) (locked []recipes.Artifact, complete bool, err error) {
	for _, p := range recipes.Platforms() {
		images, err := r.Set.Images(r.Lock.Distro, p)
		if err != nil {
			return nil, false, err
		}
		for _, image := range images {
			if image.Name != name {
				continue
			}
			chain, err := r.Set.Chain(image.Ref, r.Lock.Distro, p)
			if err != nil {
				return nil, false, err
			}
			for _, one := range chain {
				l, ok := r.Lock.Image(one.Ref, p)
				if !ok {
					return nil, false, nil
				}
				locked = append(locked, l.Artifacts...)
			}
		}
	}
	return locked, true, nil
}

// statements is the image's VEX document; nil where its recipe says nothing
// that applies.
func (n *node) statements() ([]byte, error) {
	in := vex.Input{Name: n.image.Name, Files: n.run.Set.VEX(n.image.Name)}
	for _, at := range n.chain() {
		in.Artifacts = append(in.Artifacts, at.locked.Artifacts...)
	}
	doc, err := vex.Document(in)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", n.image.Ref, err)
	}
	return doc, nil
}
