package provenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
)

// ErrBuildType is provenance of another kind of build.
var ErrBuildType = errors.New("the provenance is of another kind of build")

// Parse reads a predicate and holds each field to its form. As SLSA wants it,
// parameters that are not known are refused, since they may mean anything, and
// other unknown fields are passed over.
func Parse(data []byte) (*Predicate, error) {
	var raw struct {
		BuildDefinition struct {
			BuildType            string          `json:"buildType"`
			ExternalParameters   json.RawMessage `json:"externalParameters"`
			InternalParameters   json.RawMessage `json:"internalParameters"`
			ResolvedDependencies []Resource      `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails RunDetails `json:"runDetails"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	d := raw.BuildDefinition
	if d.BuildType != BuildType {
		return nil, fmt.Errorf("%w: %q, not %s", ErrBuildType, d.BuildType, BuildType)
	}
	p := &Predicate{
		BuildDefinition: BuildDefinition{BuildType: d.BuildType, ResolvedDependencies: d.ResolvedDependencies},
		RunDetails:      raw.RunDetails,
	}
	if err := strict(d.ExternalParameters, &p.BuildDefinition.ExternalParameters); err != nil {
		return nil, fmt.Errorf("provenance: externalParameters: %w", err)
	}
	if err := strict(d.InternalParameters, &p.BuildDefinition.InternalParameters); err != nil {
		return nil, fmt.Errorf("provenance: internalParameters: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	return p, nil
}

func strict(data json.RawMessage, into any) error {
	if len(data) == 0 {
		return errors.New("missing")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

var buildIDText = recipes.NewPattern(`^[0-9a-f]{8}$`)

func (p *Predicate) check() error {
	external, internal := p.BuildDefinition.ExternalParameters, p.BuildDefinition.InternalParameters
	if ref, err := recipes.ParseRef(external.Ref().String()); err != nil || ref != external.Ref() {
		return errors.Join(fmt.Errorf("bad image %q or stream %q", external.Image, external.Stream), err)
	}
	if _, err := recipes.ParseDistro(string(external.Distro)); err != nil {
		return err
	}
	if _, err := recipes.ParsePlatform(string(external.Platform)); err != nil {
		return err
	}
	if c := external.Compression; c != "gzip" && c != "zstd" {
		return fmt.Errorf("unknown compression %q", c)
	}
	if !buildIDText.MatchString(internal.BuildID) {
		return fmt.Errorf("bad build id %q", internal.BuildID)
	}
	if internal.LockDate.IsZero() || internal.Version == "" {
		return errors.New("no date of the lock, or no version")
	}
	if n := len(internal.Recipes); n == 0 || internal.Recipes[n-1].Name != external.Ref().String() {
		return fmt.Errorf("its recipes do not end with that of %s", external.Ref())
	}
	for _, r := range append(slices.Clone(internal.Recipes), internal.Encoder) {
		if err := r.checkDigest(); err != nil {
			return err
		}
	}
	if err := p.checkDependencies(); err != nil {
		return err
	}
	return checkBuilder(p.RunDetails.Builder.ID)
}

// checkDependencies makes sure that every dependency is a purl with a sha256,
// and that the parent is there exactly where there is a recipe of one.
func (p *Predicate) checkDependencies() error {
	parents := 0
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if err := d.checkDigest(); err != nil {
			return err
		}
		if _, err := packageurl.FromString(d.URI); err != nil {
			return fmt.Errorf("dependency %s: uri %q: %w", d.Name, d.URI, err)
		}
		if d.Annotations[AnnotationKind] == KindParent {
			parents++
		}
	}
	want := 0
	chain := p.BuildDefinition.InternalParameters.Recipes
	if len(chain) > 1 {
		want = 1
	}
	if parents != want {
		return fmt.Errorf("%d parent images among the dependencies, not %d", parents, want)
	}
	if parent, ok := p.Parent(); ok && parent.Name != chain[len(chain)-2].Name {
		return fmt.Errorf("its parent is %s, and the recipe before its own is that of %s", parent.Name, chain[len(chain)-2].Name)
	}
	return nil
}

func (r Resource) checkDigest() error {
	if _, err := recipes.ParseDigest(string(r.Digest.SHA256)); err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	return nil
}
