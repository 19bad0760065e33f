package provenance

import (
	"fmt"
	"strings"
	"time"
)

// InputsError says that a build here would not be the one that provenance
// describes: it would prove nothing.
type InputsError struct {
	Image       string // IMAGE[:STREAM]
	Doing       string // what cannot be done: reproduced or rebased
	Differences []Difference
}

// Difference is one input that is another here.
type Difference struct {
	What   string
	Named  string // by the provenance
	Here   string
	Advice string
}

// The ways to the inputs that provenance names.
const (
	otherProgram = "use the release of shudl-assemble that made the image"
	otherLock    = "check out the revision whose lock made the image, or name its folder by --recipes"
	otherRecipe  = "check out the revision whose recipes made the image, or name their folder by --recipes"
)

func (e *InputsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "image %s cannot be %s from what is here:", e.Image, e.Doing)
	for _, d := range e.Differences {
		fmt.Fprintf(&b, "\n%s: %s made it, here is %s: %s", d.What, d.Named, d.Here, d.Advice)
	}
	return b.String()
}

// SameInputs holds the predicate of a build here against the one of a
// published image: program, lock and recipes must be the same, whoever runs
// the build. The digest of the parent is left out, since it is a result. The
// error is an *InputsError.
func (p *Predicate) SameInputs(here *Predicate) error {
	c := comparison{}
	a, b := p.BuildDefinition.InternalParameters, here.BuildDefinition.InternalParameters
	c.program(p, here)
	c.equal("release of the distro", a.Release, b.Release, otherLock)
	c.equal("date of the lock", a.LockDate.UTC().Format(time.RFC3339), b.LockDate.UTC().Format(time.RFC3339), otherLock)
	c.equal("Go", orNone(a.Go), orNone(b.Go), otherLock)
	c.artifacts(p.Artifacts(), here.Artifacts(), otherLock)
	c.recipes(a.Recipes, b.Recipes)
	c.equal("parameters", p.parameters(), here.parameters(), otherRecipe)
	if len(c.found) == 0 {
		// Whatever the fields above do not tell apart.
		c.equal("build id", a.Version+"-"+a.BuildID, b.Version+"-"+b.BuildID, otherRecipe)
	}
	if len(c.found) == 0 {
		return nil
	}
	return &InputsError{p.BuildDefinition.ExternalParameters.Ref().String(), "reproduced", c.found}
}

// anew is the way where a service has changed and not only its base.
const anew = "push makes the image anew"

// SameService holds the predicate of a build here against the one of a
// published image where only its bases may have moved: program, parameters,
// and the image's own recipe and artefacts must be the same. The error is an
// *InputsError.
func (p *Predicate) SameService(here *Predicate) error {
	c := comparison{}
	a, b := p.BuildDefinition.InternalParameters, here.BuildDefinition.InternalParameters
	c.program(p, here)
	c.equal("parameters", p.parameters(), here.parameters(), anew)
	c.equal("Go", orNone(a.Go), orNone(b.Go), anew)
	if names(a.Recipes) != names(b.Recipes) {
		c.equal("chain of images", names(a.Recipes), names(b.Recipes), anew)
	} else if last := len(a.Recipes) - 1; last >= 0 {
		c.equal("recipe of "+a.Recipes[last].Name, "sha256 "+string(a.Recipes[last].Digest.SHA256), "sha256 "+string(b.Recipes[last].Digest.SHA256), anew)
	}
	c.artifacts(p.own(), here.own(), anew)
	if len(c.found) == 0 {
		return nil
	}
	return &InputsError{p.BuildDefinition.ExternalParameters.Ref().String(), "rebased", c.found}
}

// own are the artefacts of the image without those of its ancestors.
func (p *Predicate) own() []Resource {
	name := p.BuildDefinition.ExternalParameters.Ref().String()
	var list []Resource
	for _, r := range p.Artifacts() {
		if r.Annotations[AnnotationImage] == name {
			list = append(list, r)
		}
	}
	return list
}

type comparison struct{ found []Difference }

func (c *comparison) equal(what, named, here, advice string) {
	if named != here {
		c.found = append(c.found, Difference{what, named, here, advice})
	}
}

// program compares what a release decides.
func (c *comparison) program(p, here *Predicate) {
	a, b := p.BuildDefinition.InternalParameters, here.BuildDefinition.InternalParameters
	advice := otherProgram
	if v := p.RunDetails.Builder.Version["shudl-assemble"]; v != "" {
		advice += " (" + v + ")"
	}
	for _, f := range []struct {
		what        string
		named, here int
	}{
		{"format of build ids", a.Formats.BuildID, b.Formats.BuildID},
		{"format of the lock", a.Formats.Lock, b.Formats.Lock},
		{"format of layers", a.Formats.Layer, b.Formats.Layer},
	} {
		c.equal(f.what, fmt.Sprint(f.named), fmt.Sprint(f.here), advice)
	}
	c.equal("encoder", a.Encoder.text(), b.Encoder.text(), advice)
}

func (r Resource) text() string { return fmt.Sprintf("%s (sha256 %s)", r.Name, r.Digest.SHA256) }

// parameters are those that a build here takes over from the provenance, and
// so differ only by a mistake.
func (p *Predicate) parameters() string {
	e := p.BuildDefinition.ExternalParameters
	return fmt.Sprintf("%s, %s, %s, %s, source date %d", e.Ref(), e.Distro, e.Platform, e.Compression, e.SourceDate.Unix())
}

// artifacts names the first artefact that is not locked here as it was.
func (c *comparison) artifacts(named, here []Resource, advice string) {
	for i := range max(len(named), len(here)) {
		a, b := "nothing", "nothing"
		if i < len(named) {
			a = named[i].artifact()
		}
		if i < len(here) {
			b = here[i].artifact()
		}
		if a != b {
			c.equal("locked artefacts", a, b, advice)
			return
		}
	}
}

func (r Resource) artifact() string {
	return fmt.Sprintf("%s (sha256 %s) in layer %s of %s", r.URI, r.Digest.SHA256, r.Annotations[AnnotationLayer], r.Annotations[AnnotationImage])
}

// recipes compares the chain of recipes, the base first.
func (c *comparison) recipes(named, here []Resource) {
	if a, b := names(named), names(here); a != b {
		c.equal("chain of images", a, b, otherRecipe)
		return
	}
	for i := range named {
		c.equal("recipe of "+named[i].Name, "sha256 "+string(named[i].Digest.SHA256), "sha256 "+string(here[i].Digest.SHA256), otherRecipe)
	}
}

func names(chain []Resource) string {
	var list []string
	for _, r := range chain {
		list = append(list, r.Name)
	}
	return strings.Join(list, " → ")
}
