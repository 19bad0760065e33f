package assemble

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// Plan says what a run would build, in order, and what it would take from the
// store. Nothing is fetched or written.
type Plan struct {
	Images []Planned `json:"images"`
}

// Planned is one image of one platform.
type Planned struct {
	Image     string           `json:"image"` // NAME or NAME:STREAM
	Platform  recipes.Platform `json:"platform"`
	Parent    string           `json:"parent,omitempty"`
	Tag       string           `json:"tag"`    // the one that never moves
	Layers    []string         `json:"layers"` // its own, without the state layer
	Artifacts int              `json:"artifacts"`
	Download  int64            `json:"download"` // bytes that the store does not hold
	Cached    bool             `json:"cached"`   // nothing to collect or pack
}

// NewPlan plans a run.
func NewPlan(o Options) (*Plan, error) {
	r, err := newRun(o)
	if err != nil {
		return nil, err
	}
	if err := r.checkVEX(); err != nil {
		return nil, err
	}
	p := &Plan{Images: []Planned{}}
	for _, n := range r.nodes {
		one := Planned{
			Image: n.image.Ref.String(), Platform: n.image.Platform, Tag: n.image.Tags(n.version, n.buildID)[0],
			Artifacts: len(n.locked.Artifacts), Cached: n.lookup(), Layers: []string{},
		}
		if n.parent != nil {
			one.Parent = n.parent.image.Ref.String()
		}
		for _, l := range n.image.Layers {
			one.Layers = append(one.Layers, l.Name)
		}
		for _, a := range n.locked.Artifacts {
			if _, ok := r.Store.Has(a.SHA256); !ok {
				one.Download += a.Size
			}
		}
		p.Images = append(p.Images, one)
	}
	return p, nil
}

// JSON writes the plan as one indented object.
func (p *Plan) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(p)
}

// Tree writes the plan as an indented list, each image below its parent.
func (p *Plan) Tree(w io.Writer) error {
	var b strings.Builder
	platforms := p.platforms()
	for _, platform := range platforms {
		if len(platforms) > 1 {
			fmt.Fprintf(&b, "%s\n", platform)
		}
		p.below(&b, platform, "", "")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Plan) below(b *strings.Builder, platform recipes.Platform, parent, indent string) {
	for _, i := range p.Images {
		if i.Platform != platform || i.Parent != parent {
			continue
		}
		what := fmt.Sprintf("build (%d artefacts, %.1f MB to fetch)", i.Artifacts, float64(i.Download)/1e6)
		if i.Cached {
			what = "cached"
		}
		fmt.Fprintf(b, "%s%s  %s  %s\n", indent, i.Image, i.Tag, what)
		p.below(b, platform, i.Image, indent+"  ")
	}
}

// Mermaid writes the plan as a Mermaid flow chart; what is cached is dashed.
func (p *Plan) Mermaid(w io.Writer) error {
	var b strings.Builder
	b.WriteString("flowchart TD\n  classDef cached stroke-dasharray: 4 4\n")
	for n, i := range p.Images {
		class := ""
		if i.Cached {
			class = ":::cached"
		}
		fmt.Fprintf(&b, "  n%d[\"%s<br/>%s<br/>%s\"]%s\n", n, i.Image, i.Tag, i.Platform, class)
	}
	for n, i := range p.Images {
		for at, above := range p.Images {
			if above.Image == i.Parent && above.Platform == i.Platform {
				fmt.Fprintf(&b, "  n%d --> n%d\n", at, n)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// platforms lists the platforms in the order of the plan.
func (p *Plan) platforms() []recipes.Platform {
	var list []recipes.Platform
	seen := make(map[recipes.Platform]bool)
	for _, i := range p.Images {
		if !seen[i.Platform] {
			seen[i.Platform] = true
			list = append(list, i.Platform)
		}
	}
	return list
}
