package collect

import (
	"context"
	"fmt"
	"slices"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/apk"
	"github.com/shudl/shudl-assemble/rootfs/deb"
	"github.com/shudl/shudl-assemble/rootfs/generate"
)

// State collects the last layer of the image: the package database, the
// accounts, and what the recipe asks to have generated. View is the tree with
// all content layers of the image. What the view holds already, byte for
// byte, is left out.
func State(ctx context.Context, in Input, view *rootfs.Tree) (*rootfs.Tree, error) {
	t := rootfs.NewTree(view)
	s := stater{Input: in, tree: t}
	for _, step := range []func(context.Context) error{s.database, s.accounts, s.generate} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("image %s, state layer: %w", in.Image.Ref, err)
		}
	}
	return t, nil
}

// stater fills the state layer.
type stater struct {
	Input
	tree *rootfs.Tree
}

// add puts an entry into the layer unless the view has the same.
func (s *stater) add(e rootfs.Entry) error {
	if old, ok := s.tree.Lookup(e.Path); ok && same(old, e) {
		return nil
	}
	e.State = true
	return s.tree.Add(e)
}

// same tells whether two entries give the same path in an image, whoever
// owns them.
func same(a, b rootfs.Entry) bool {
	return a.Type == b.Type && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.Size == b.Size && a.SHA256 == b.SHA256 && a.Link == b.Link
}

// input is what generators see of the image as it is now.
func (s *stater) input(owner string) generate.Input {
	in := generate.Input{Image: s.Image, View: s.tree, Owner: owner}
	for _, l := range s.Image.Layers {
		in.Accounts = append(in.Accounts, l.Accounts...)
	}
	return in
}

// database records the image's own packages where scanners look for them.
func (s *stater) database(ctx context.Context) error {
	var debs []*deb.Contents
	var apks []*apk.Contents
	for _, a := range s.Locked.Artifacts {
		if inRoot(a) {
			continue
		}
		switch a.Kind {
		case recipes.KindDeb:
			c, err := deb.Open(ctx, s.Store, a)
			if err != nil {
				return err
			}
			debs = append(debs, c)
		case recipes.KindAPK:
			c, err := apk.Open(ctx, s.Store, a)
			if err != nil {
				return err
			}
			apks = append(apks, c)
		}
	}
	entries, err := deb.Database(debs)
	if err != nil {
		return err
	}
	more, err := s.apkDatabase(ctx, apks)
	if err != nil {
		return err
	}
	return s.addAll(append(entries, more...))
}

func (s *stater) addAll(entries []rootfs.Entry) error {
	for _, e := range entries {
		if err := s.add(e); err != nil {
			return err
		}
	}
	return nil
}

// accounts adds the users of the recipe.
func (s *stater) accounts(ctx context.Context) error {
	in := s.input("recipe:" + s.Image.Name + "/accounts")
	if len(in.Accounts) == 0 {
		return nil
	}
	entries, err := generate.Accounts(ctx, in)
	if err != nil {
		return err
	}
	return s.addAll(entries)
}

// generate runs the generators that the recipe names, in its order: a Java
// trust store is made from the CA bundle that came before it.
func (s *stater) generate(ctx context.Context) error {
	for _, l := range s.Image.Layers {
		for _, name := range l.Generate {
			f, err := generate.Lookup(name)
			if err != nil {
				return fmt.Errorf("%s:%d:%d: %w", l.Pos.File, l.Pos.Line, l.Pos.Column, err)
			}
			entries, err := f(ctx, s.input("recipe:"+s.Image.Name+"/"+l.Name+"/generate/"+name))
			if err != nil {
				return fmt.Errorf("generate %s: %w", name, err)
			}
			slices.SortFunc(entries, func(a, b rootfs.Entry) int {
				if a.Path < b.Path {
					return -1
				}
				return 1
			})
			if err := s.addAll(entries); err != nil {
				return fmt.Errorf("generate %s: %w", name, err)
			}
		}
	}
	return nil
}
