package provenance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
)

// Input is what the driver knows of one build.
type Input struct {
	// Chain is the image with its ancestors, the base first, and Locked what
	// the lock holds for each.
	Chain  []*recipes.Image
	Locked []recipes.LockedImage
	Lock   *recipes.Lock
	// Parent is the digest of the parent's manifest; empty for a base.
	Parent recipes.Digest

	Compression string
	SourceDate  time.Time // zero where dates come from the lock
	Version     string
	BuildID     string
	Formats     Formats
	// Encoder names the compressor, EncoderGolden the digest of its golden
	// stream.
	Encoder       string
	EncoderGolden recipes.Digest

	// Builder is the id that BuilderID gives; empty is Local.
	Builder string
	// Tool is the version of shudl-assemble.
	Tool string
}

// New makes the predicate of a build.
func New(in Input) *Predicate {
	image := in.Chain[len(in.Chain)-1]
	p := &Predicate{
		BuildDefinition: BuildDefinition{
			BuildType: BuildType,
			ExternalParameters: ExternalParameters{
				Image: image.Name, Stream: image.Stream, Distro: image.Distro, Platform: image.Platform,
				Compression: in.Compression, SourceDate: utc(in.SourceDate),
			},
			InternalParameters: in.internal(),
		},
		RunDetails: RunDetails{Builder: Builder{ID: in.Builder}},
	}
	if in.Builder == "" {
		p.RunDetails.Builder.ID = Local
	}
	if in.Tool != "" {
		p.RunDetails.Builder.Version = map[string]string{"shudl-assemble": in.Tool}
	}
	p.BuildDefinition.ResolvedDependencies = in.dependencies()
	return p
}

// internal is what decides the bytes and was not chosen for this run.
func (in Input) internal() InternalParameters {
	p := InternalParameters{
		Version: in.Version, BuildID: in.BuildID, Release: in.Lock.Release, LockDate: utc(in.Lock.DateOf(in.Locked)),
		Formats: in.Formats,
		Encoder: Resource{Name: in.Encoder, Digest: Digests{in.EncoderGolden}},
	}
	for _, image := range in.Chain {
		p.Recipes = append(p.Recipes, Resource{Name: image.Ref.String(), Digest: Digests{image.Digest}})
	}
	isGo := func(a recipes.Artifact) bool { return a.Kind == recipes.KindGo }
	if slices.ContainsFunc(in.Locked, func(l recipes.LockedImage) bool { return slices.ContainsFunc(l.Artifacts, isGo) }) {
		p.Go = in.Lock.Go
	}
	return p
}

// dependencies are the parent first, then the artefacts of the base, then
// those of each child, in the order of the lock.
func (in Input) dependencies() []Resource {
	list := []Resource{}
	if n := len(in.Chain); n > 1 {
		parent := in.Chain[n-2]
		list = append(list, Resource{
			URI: imagePURL(parent, in.Parent), Digest: Digests{in.Parent}, Name: parent.Ref.String(),
			Annotations: map[string]string{AnnotationKind: KindParent},
		})
	}
	for i, locked := range in.Locked {
		for _, a := range locked.Artifacts {
			list = append(list, Resource{
				URI: a.PURL, Digest: Digests{a.SHA256}, Name: a.Name, DownloadLocation: address(a.URL),
				Annotations: map[string]string{
					AnnotationImage: in.Chain[i].Ref.String(), AnnotationLayer: a.Layer, AnnotationKind: string(a.Kind),
				},
			})
		}
	}
	return list
}

// imagePURL names an image by its digest:
// https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md.
func imagePURL(image *recipes.Image, digest recipes.Digest) string {
	arch := packageurl.QualifiersFromMap(map[string]string{"arch": image.Platform.Go()})
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", image.Name, "sha256:"+string(digest), arch, "").ToString()
}

// address is the address that a recipe names an artefact by, unless it could
// hold a secret.
func address(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return raw
}

// utc is a date in whole seconds, as everything in an image has it.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// Encode gives the predicate's bytes: JSON on one line, with < and > left as
// they are.
func (p *Predicate) Encode() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	return []byte(strings.TrimSuffix(out.String(), "\n")), nil
}
