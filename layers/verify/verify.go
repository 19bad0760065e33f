// Package verify is the reader's side of publishing: it holds an image in a
// registry or layout against a key, with nothing but what is stored there.
package verify

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// Errors of verification, which have exit statuses of their own.
var (
	// ErrNotSigned is an image without any signature.
	ErrNotSigned = errors.New("not signed")
	// ErrNoTag is an image that is not there.
	ErrNoTag = publish.ErrNoTag
	// ErrNoMatch is an image whose signatures are all of other keys or of
	// other bytes.
	ErrNoMatch = errors.New("no matching signature")
	// ErrAttestation is a missing or wrong SBOM or other attestation.
	ErrAttestation = errors.New("attestation missing or wrong")
	// ErrContent is a layer or config that is missing or has other bytes.
	ErrContent = errors.New("content missing or wrong")
	// ErrUsage is a reference that does not parse, or no key.
	ErrUsage = publish.ErrUsage
)

// Options says what an image must have.
type Options struct {
	// Key must have signed everything.
	Key crypto.PublicKey
	// Layers has every layer read and hashed; otherwise only what is small.
	Layers bool
	// Registry says how registries are reached.
	Registry publish.RegistryOptions
}

// Finding is one check and how it went.
type Finding struct {
	Check    string `json:"check"`  // signature, sbom, content
	Digest   string `json:"digest"` // of the manifest that was checked
	Platform string `json:"platform,omitempty"`
	OK       bool   `json:"ok"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	Advice   string `json:"advice,omitempty"`
}

// Report is what was checked of a reference, in order. Nothing is checked
// after the first manifest that fails.
type Report struct {
	Reference string    `json:"reference"`
	Digest    string    `json:"digest"`
	KeyID     string    `json:"key"`
	Findings  []Finding `json:"findings"`
}

// Verify checks oci:DIR/IMAGE:TAG or registry/path/IMAGE[:TAG|@DIGEST]: the
// signature of the manifest and of each platform's, that each has an SBOM
// which is signed and speaks of it, and that the content is there. The error
// is nil only where all of it holds; the report is filled as far as it went.
func Verify(ctx context.Context, ref string, o Options) (Report, error) {
	report := Report{Reference: ref}
	if o.Key == nil {
		return report, fmt.Errorf("%w: verify %s: which key must have signed it? give --key", ErrUsage, ref)
	}
	verifier, err := attest.NewVerifier(o.Key)
	if err != nil {
		return report, err
	}
	report.KeyID = verifier.ID()
	reference, err := publish.ParseReference(ref, o.Registry)
	if err != nil {
		return report, err
	}
	top, err := reference.Manifest(ctx)
	if err != nil {
		return report, fmt.Errorf("verify %s: %w", ref, err)
	}
	report.Digest = top.Digest().String()
	c := checker{repo: reference.Repository, verifier: verifier, layers: o.Layers, report: &report}
	if err := c.top(ctx, top); err != nil {
		return report, fmt.Errorf("verify %s: %w", ref, err)
	}
	return report, nil
}

type checker struct {
	repo     publish.Repository
	verifier *attest.Verifier
	layers   bool
	report   *Report
}

func (c *checker) top(ctx context.Context, m publish.Manifest) error {
	if m.MediaType != ocispec.MediaTypeImageIndex {
		return c.image(ctx, m, "")
	}
	if err := c.signature(ctx, m, ""); err != nil {
		return err
	}
	children, err := Platforms(m)
	if err != nil {
		return err
	}
	for _, child := range children {
		manifest, err := c.repo.Manifest(ctx, child.Digest)
		if err != nil {
			return c.fail(ErrContent, Finding{
				Check: "content", Digest: child.Digest.String(), Platform: child.Platform,
				Expected: "the manifest of a platform", Found: err.Error(), Advice: "push or copy the image again",
			})
		}
		if err := c.image(ctx, manifest, child.Platform); err != nil {
			return err
		}
	}
	return nil
}

// Child is one platform of an index.
type Child struct {
	Platform string
	Digest   digest.Digest
}

// Platforms lists the platforms of an index.
func Platforms(m publish.Manifest) ([]Child, error) {
	var index ocispec.Index
	if err := json.Unmarshal(m.Raw, &index); err != nil {
		return nil, fmt.Errorf("index %s: %w", m.Digest(), err)
	}
	if len(index.Manifests) == 0 {
		return nil, fmt.Errorf("index %s holds no platform", m.Digest())
	}
	children := make([]Child, 0, len(index.Manifests))
	for _, d := range index.Manifests {
		if d.Platform == nil || d.MediaType != ocispec.MediaTypeImageManifest {
			return nil, fmt.Errorf("index %s: %s is not the image of a platform", m.Digest(), d.Digest)
		}
		children = append(children, Child{Platform: d.Platform.OS + "/" + d.Platform.Architecture, Digest: d.Digest})
	}
	return children, nil
}

// image checks the manifest of one platform.
func (c *checker) image(ctx context.Context, m publish.Manifest, platform string) error {
	if m.MediaType != ocispec.MediaTypeImageManifest {
		return fmt.Errorf("%s: %s is not an image manifest", m.Digest(), m.MediaType)
	}
	if err := c.signature(ctx, m, platform); err != nil {
		return err
	}
	if err := c.sbom(ctx, m, platform); err != nil {
		return err
	}
	return c.content(ctx, m, platform)
}

// signature looks for a signature of the manifest by the key.
func (c *checker) signature(ctx context.Context, m publish.Manifest, platform string) error {
	f := Finding{Check: "signature", Digest: m.Digest().String(), Platform: platform, Expected: "key " + c.verifier.ID()}
	subject, err := publish.Hex(m.Digest())
	if err != nil {
		return err
	}
	items, err := Items(ctx, c.repo, attest.SignatureTag(subject))
	if errors.Is(err, ErrNoTag) || err == nil && len(items) == 0 {
		f.Found, f.Advice = "no signature", "it was built but not pushed with a key, or copied without its signatures"
		return c.fail(ErrNotSigned, f)
	}
	if err != nil {
		return err
	}
	why := make([]string, 0, len(items))
	for _, item := range items {
		if item.MediaType != attest.MediaTypeSimpleSigning {
			continue
		}
		if item.Content, err = publish.ReadSmall(ctx, c.repo, item.Descriptor); err == nil {
			var signed string
			if signed, err = c.verifier.Signature(ctx, item, subject); err == nil {
				if imageOf(signed) == imageOf(c.repo.Name()) {
					f.Found = "signed as " + signed
					return c.pass(f)
				}
				err = fmt.Errorf("signed as %s, which is another image", signed)
			}
		}
		why = append(why, err.Error())
	}
	f.Found = strings.Join(why, "; ")
	f.Advice = "name the key that signed it with --key; if that is the right one, do not use this image"
	return c.fail(ErrNoMatch, f)
}

// imageOf is the image's own name in what a signature names. Registry and
// path may differ, as after a copy; a signed image under another image's name
// is not what its reader asks for.
func imageOf(repository string) string {
	image := path.Base(repository)
	image, _, _ = strings.Cut(image, "@")
	image, _, _ = strings.Cut(image, ":")
	return image
}

// Items reads what lies under one of cosign's tags.
func Items(ctx context.Context, repo publish.Repository, tag string) ([]attest.Item, error) {
	d, err := repo.Resolve(ctx, tag)
	if err != nil {
		return nil, err
	}
	m, err := repo.Manifest(ctx, d.Digest)
	if err != nil {
		return nil, err
	}
	return attest.Read(m.Raw)
}

// content makes sure that config and layers are there; with Layers it hashes
// them.
func (c *checker) content(ctx context.Context, m publish.Manifest, platform string) error {
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return fmt.Errorf("manifest %s: %w", m.Digest(), err)
	}
	f := Finding{
		Check: "content", Digest: m.Digest().String(), Platform: platform,
		Expected: fmt.Sprintf("config and %d layers", len(manifest.Layers)),
		Advice:   "push or copy the image again",
	}
	if err := c.read(ctx, manifest.Config); err != nil {
		f.Found = "config: " + err.Error()
		return c.fail(ErrContent, f)
	}
	for _, layer := range manifest.Layers {
		if err := c.layer(ctx, layer); err != nil {
			f.Found = "layer " + layer.Digest.String() + ": " + err.Error()
			return c.fail(ErrContent, f)
		}
	}
	f.Advice, f.Found = "", "all there"
	if c.layers {
		f.Found = "all hashed"
	}
	return c.pass(f)
}

func (c *checker) layer(ctx context.Context, d ocispec.Descriptor) error {
	if c.layers {
		return c.read(ctx, d)
	}
	has, err := c.repo.Has(ctx, d)
	if err == nil && !has {
		err = publish.ErrNotFound
	}
	return err
}

// read reads a blob to its end, where its digest is held.
func (c *checker) read(ctx context.Context, d ocispec.Descriptor) error {
	rc, err := c.repo.Blob(ctx, d)
	if err != nil {
		return err
	}
	defer rc.Close()
	_, err = io.Copy(io.Discard, rc)
	return err
}

func (c *checker) pass(f Finding) error {
	f.OK = true
	c.report.Findings = append(c.report.Findings, f)
	return nil
}

func (c *checker) fail(class error, f Finding) error {
	c.report.Findings = append(c.report.Findings, f)
	return fmt.Errorf("%w: %s: %s", class, f.Digest, f.Found)
}

// digestOf is a manifest's digest as SBOMs write it.
func digestOf(m publish.Manifest) (recipes.Digest, error) { return publish.Hex(m.Digest()) }
