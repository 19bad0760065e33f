package resolve

import (
	"context"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/gobin"
)

// program pins a Go program. Where its recipe has no generated module yet, or
// that of another version, the files are kept for the recipe's folder.
func (j *job) program(ctx context.Context, f *fetch.Fetcher, image *recipes.Image, src recipes.GoSource, layer string) (recipes.Artifact, error) {
	a, module, err := gobin.Resolve(ctx, f, src, layer)
	if err != nil || src.GoMod == string(module.GoMod) && src.GoSum == string(module.GoSum) {
		return a, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for name, data := range module.Files(src) {
		j.files[image.Name+"/"+name] = data
	}
	return a, nil
}
