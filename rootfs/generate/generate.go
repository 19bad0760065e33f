// Package generate makes the files that maintainer scripts would have made:
// accounts, trust stores, applet links, alternatives. No script runs; each
// generator reads the finished tree and returns entries for the state layer.
package generate

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// Input is what a generator sees.
type Input struct {
	Image *recipes.Image
	// View is the parent's tree with all content layers of the image on top.
	View *rootfs.Tree
	// Accounts are those that the image itself declares, in recipe order.
	Accounts []recipes.Account
	// Owner is the recipe entry that asked: "recipe:base-debian/base/generate/ca-bundle".
	Owner string
}

// Func is a generator: it reads the view and returns entries whose owner is
// in.Owner and which may replace a parent's (State is set). An entry equal to
// what the view holds already may be returned; it is left out of the layer.
type Func func(ctx context.Context, in Input) ([]rootfs.Entry, error)

// Lookup returns the generator of a name that recipes may use.
func Lookup(name string) (Func, error) {
	f, ok := generators()[name]
	if !ok {
		return nil, fmt.Errorf("no generator %q; there are %v", name, Names())
	}
	return f, nil
}

// Names lists the generators that recipes may name, sorted.
func Names() []string {
	var names []string
	for name := range generators() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Read returns the bytes of a regular file of the view, links followed; one
// that is not there is an error.
func (in Input) Read(ctx context.Context, path string) ([]byte, error) {
	e, ok := in.View.Follow(path)
	if !ok {
		return nil, fmt.Errorf("the image has no %s", path)
	}
	if e.Type != rootfs.Regular {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	r, err := e.Content.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxRead))
}

// maxRead bounds what a generator reads of one file, in bytes.
const maxRead = 16 << 20
