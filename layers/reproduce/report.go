package reproduce

import (
	"context"
	"errors"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/existing"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/recipes"
)

// ErrDiffers is an image that came out another.
var ErrDiffers = errors.New("not reproduced")

// Report is what came of building again.
type Report struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	// Signers are those who may have signed the provenance, one of whom did;
	// empty where that was not checked.
	Signers string  `json:"signers,omitempty"`
	Images  []Image `json:"images"`
	// Index is how the index differs, where all of its images are the same.
	Index *Difference `json:"index,omitempty"`
}

// Image is one platform that was built again.
type Image struct {
	Image      string           `json:"image"` // NAME or NAME:STREAM
	Platform   recipes.Platform `json:"platform"`
	Digest     string           `json:"digest"`
	BuildID    string           `json:"buildID"`
	Builder    string           `json:"builder"` // who built what is published
	Layers     int              `json:"layers"`
	Reproduced bool             `json:"reproduced"`
	Difference *Difference      `json:"difference,omitempty"`
}

// Difference is the first place where a published image and what was built
// again part.
type Difference struct {
	In    string `json:"in"`              // layer, config, manifest or index
	Layer int    `json:"layer,omitempty"` // counts from 1, the base's first
	Name  string `json:"name,omitempty"`  // of the layer: IMAGE[:STREAM]/LAYER
	// Path is that of a file in the layer, or the key of the JSON; empty
	// where the whole differs.
	Path    string   `json:"path,omitempty"`
	Aspects []Aspect `json:"aspects"`
	// More counts the other paths of the layer that differ.
	More int `json:"more,omitempty"`
}

// Aspect is one thing that differs. What is bytes, mode, owner, time, type,
// link, attributes; missing for a path that is not in the published layer, and
// extra for one that only that has; or what else is told.
type Aspect struct {
	What      string `json:"what"`
	Published string `json:"published"`
	Rebuilt   string `json:"rebuilt"`
}

// String says where and what, in one line.
func (d *Difference) String() string {
	where := d.In
	if d.Layer > 0 {
		where = fmt.Sprintf("layer %d", d.Layer)
	}
	if d.Name != "" {
		where += " (" + d.Name + ")"
	}
	if d.Path != "" {
		where += ", " + d.Path
	}
	var what []string
	for _, a := range d.Aspects {
		what = append(what, a.What)
	}
	return where + ": " + strings.Join(what, ", ")
}

// Run builds every platform of a published image again and compares. The options need recipes, the
// lock, a fetcher and an empty store. The error is ErrDiffers where something
// came out another; what is not here that the provenance names is another
// error, and then nothing was compared.
func Run(ctx context.Context, p *existing.Image, o assemble.Options) (Report, error) {
	report := Report{Reference: p.Reference, Digest: p.Top.Digest().String(), Signers: p.Signers, Images: []Image{}}
	var all []*image.Built
	var first *Difference
	for _, one := range p.Platforms {
		built, err := assemble.Rebuild(ctx, o, one.Provenance)
		if err != nil {
			return report, fmt.Errorf("reproduce %s: %w", p.Reference, err)
		}
		all = append(all, built)
		d, err := comparison{p.Repository, o.Store}.image(ctx, one.Manifest, built)
		if err != nil {
			return report, fmt.Errorf("reproduce %s: %w", p.Reference, err)
		}
		if first == nil {
			first = d
		}
		report.Images = append(report.Images, describe(one, built, d))
	}
	if first == nil && p.Whole && p.Top.MediaType == ocispec.MediaTypeImageIndex {
		index, _, err := image.Index(all)
		if err != nil {
			return report, err
		}
		first = document("index", p.Top.Raw, index)
		report.Index = first
	}
	if first != nil {
		return report, fmt.Errorf("%w: %s: %s", ErrDiffers, p.Reference, first)
	}
	return report, nil
}

func describe(one existing.Platform, built *image.Built, d *Difference) Image {
	return Image{
		Image: built.Image.Ref.String(), Platform: built.Platform, Digest: one.Manifest.Digest().String(),
		BuildID: built.BuildID, Builder: one.Provenance.RunDetails.Builder.ID,
		Layers: len(built.Layers), Reproduced: d == nil, Difference: d,
	}
}
