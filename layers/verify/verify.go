// Package verify is the reader's side of publishing: it holds an image in a
// registry or layout against those who may have signed it, with nothing but
// what is stored there. What it finds is a Report; how that is shown is up to
// the caller.
package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/recipes"
)

// Errors of verification, which have exit statuses of their own. What stands
// earlier is asked first: an image that is not signed is not signed, whatever
// else is wrong with it.
var (
	// ErrNotSigned is an image without any signature.
	ErrNotSigned = errors.New("not signed")
	// ErrNoTag is an image that is not there.
	ErrNoTag = publish.ErrNoTag
	// ErrNoMatch is an image whose signatures are all of others, or of other
	// bytes.
	ErrNoMatch = errors.New("no matching signature")
	// ErrAttestation is an SBOM, provenance or base that is missing or wrong.
	ErrAttestation = errors.New("attestation missing or wrong")
	// ErrContent is a layer, config or manifest that is missing, malformed or
	// has other bytes.
	ErrContent = errors.New("content missing or wrong")
	// ErrPolicy is an image that holds, and that a policy does not allow.
	ErrPolicy = errors.New("policy not met")
	// ErrUsage is a reference that does not parse, or nobody to trust.
	ErrUsage = publish.ErrUsage
)

// Rule is what one image must have.
type Rule struct {
	// Signers may have signed it; there must be one.
	Signers trust.Signers
	// Predicates must be attested beside SBOM and provenance, which every
	// image must have.
	Predicates []Predicate
	// MaxAge is the oldest that the image may be, by its own date; zero for
	// any age.
	MaxAge time.Duration
	// Parents are images that it must be built on, all of them.
	Parents []string
	// Source is where the rule stands, for messages; empty for flags.
	Source string
}

// Rules gives the rule of an image at a destination: oci:DIR or
// ghcr.io/org/repo, and postgresql. The error is ErrPolicy where it may not be
// used at all.
type Rules func(destination, image string) (Rule, error)

// Always is the same rule for every image.
func Always(r Rule) Rules { return func(string, string) (Rule, error) { return r, nil } }

// Options says what images must have.
type Options struct {
	Rules Rules
	// Layers has every layer read, hashed and unpacked to its diffID;
	// otherwise only what is small.
	Layers bool
	// NoChain leaves out the bases: that they are there, signed, and the
	// first layers of what is built on them.
	NoChain bool
	// Registry says how registries are reached.
	Registry publish.RegistryOptions
	// Now is the time that ages are measured at; zero for the current time.
	Now time.Time
}

// Verify checks oci:DIR/IMAGE:TAG or registry/path/IMAGE[:TAG|@DIGEST]: the
// signature of the manifest and of each platform's, that each has an SBOM and
// provenance which are signed and speak of it, what its rule wants beside
// that, that the content is there, and that the bases are there and signed
// too. All is checked, also after a failure. The error is nil only where all
// of it holds, else that of the first finding that does not; the report is
// filled as far as it went.
func Verify(ctx context.Context, ref string, o Options) (Report, error) {
	report := Report{Reference: ref}
	err := verify(ctx, ref, o, &report)
	if err == nil {
		err = report.err()
	}
	report.OK = err == nil
	if err != nil {
		return report, fmt.Errorf("verify %s: %w", ref, err)
	}
	return report, nil
}

func verify(ctx context.Context, ref string, o Options, report *Report) error {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	reference, err := publish.ParseReference(ref, o.Registry)
	if err != nil {
		return err
	}
	c := &checker{options: o, destination: reference.Destination, report: report}
	c.skip(o.skips()...)
	in, err := c.place(reference.Image)
	if errors.Is(err, ErrPolicy) {
		c.fail(ErrPolicy, Finding{
			Check: "policy", Image: reference.Image, Expected: "a policy that allows the image", Found: told(err),
			Advice: "add the image or its registry to the policy, or do not use it",
		})
		return nil
	}
	if err != nil {
		return err
	}
	in.repo = reference.Repository
	report.Signers = in.rule.Signers.String()
	top, err := reference.Manifest(ctx)
	switch {
	case errors.Is(err, publish.ErrUnreadable), errors.Is(err, publish.ErrCorrupt):
		return fmt.Errorf("%w: %w", ErrContent, err)
	case err != nil:
		return err
	}
	report.Digest = top.Digest().String()
	return c.top(ctx, in, top)
}

// checker checks one reference.
type checker struct {
	options     Options
	destination publish.Destination
	report      *Report
}

// skips says what the options leave out.
func (o Options) skips() []string {
	var skipped []string
	if !o.Layers {
		skipped = append(skipped, "bytes of layers: only their presence was checked, --layers reads them")
	}
	if o.NoChain {
		skipped = append(skipped, "bases: --no-chain")
	}
	return skipped
}

// skip notes what was not checked.
func (c *checker) skip(lines ...string) {
	for _, line := range lines {
		if !slices.Contains(c.report.Skipped, line) {
			c.report.Skipped = append(c.report.Skipped, line)
		}
	}
}

// place is the repository of one image with the rule that holds there.
type place struct {
	image string
	repo  publish.Repository
	rule  Rule
}

func (c *checker) place(image string) (place, error) {
	rule, err := c.options.Rules(c.destination.String(), image)
	if err != nil {
		return place{}, err
	}
	if len(rule.Signers) == 0 {
		return place{}, fmt.Errorf("%w: %s: who may have signed it? name a key or an identity", ErrUsage, image)
	}
	c.skip(rule.Signers.Skips()...)
	repo, err := c.destination.Repository(image)
	return place{image, repo, rule}, err
}

// top checks what the reference names, with all platforms.
func (c *checker) top(ctx context.Context, in place, m publish.Manifest) error {
	if m.MediaType != ocispec.MediaTypeImageIndex {
		return c.image(ctx, in, m, "")
	}
	children, err := Platforms(m)
	if err != nil {
		c.fail(ErrContent, Finding{
			Check: "content", Image: in.image, Digest: m.Digest().String(),
			Expected: "an index of platforms", Found: err.Error(), Advice: repair,
		})
		return nil
	}
	beside, err := c.gather(ctx, in, m, "", false)
	if err != nil {
		return err
	}
	c.signature(beside)
	for _, child := range children {
		manifest, err := in.repo.Manifest(ctx, child.Digest)
		if failed(err) {
			c.fail(ErrContent, Finding{
				Check: "content", Image: in.image, Digest: child.Digest.String(), Platform: child.Platform,
				Expected: "the manifest of a platform", Found: err.Error(), Advice: repair,
			})
			continue
		}
		if err != nil {
			return err
		}
		if err := c.image(ctx, in, manifest, child.Platform); err != nil {
			return err
		}
	}
	return nil
}

// failed says whether an error is what a repository holds, and not that it
// could not be asked.
func failed(err error) bool {
	return errors.Is(err, publish.ErrNotFound) || errors.Is(err, publish.ErrCorrupt) ||
		errors.Is(err, publish.ErrUnreadable) || errors.Is(err, publish.ErrNoTag)
}

// repair is what to do about content that is not as it must be.
const repair = "push or copy the image again"

// image checks the manifest of one platform.
func (c *checker) image(ctx context.Context, in place, m publish.Manifest, platform string) error {
	beside, err := c.gather(ctx, in, m, platform, false)
	if err != nil {
		return err
	}
	c.signature(beside)
	i, err := c.content(ctx, in, m, platform)
	if err != nil {
		return err
	}
	c.sboms(beside)
	c.provenance(beside, m)
	c.predicates(beside)
	if i == nil {
		return nil // malformed: there is no more to say of it
	}
	c.age(in, i)
	return c.chain(ctx, in, i)
}

// digestOf is a manifest's digest as SBOMs write it.
func digestOf(m publish.Manifest) recipes.Digest { return recipes.Digest(m.Digest().Encoded()) }
