package resolve

import (
	"context"
	"fmt"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

func program(ctx context.Context, f *fetch.Fetcher, src recipes.GoSource, layer string) (recipes.Artifact, error) {
	return recipes.Artifact{}, fmt.Errorf("not yet")
}
