package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/publish"
)

// maxChain is how many bases an image may stand on.
const maxChain = 16

// base is what a manifest says of the image that it is built on.
type base struct {
	image  string
	name   string // as it was recorded: base-java:25.0.1-debian
	digest digest.Digest
}

// baseOf reads which image another is built on; false for one that is a base
// itself.
func baseOf(i *image) (base, bool, error) {
	name, d := i.parsed.Annotations[ocispec.AnnotationBaseImageName], digest.Digest(i.parsed.Annotations[ocispec.AnnotationBaseImageDigest])
	if name == "" && d == "" {
		return base{}, false, nil
	}
	if name == "" || d == "" {
		return base{}, true, errors.New("only one of the base's name and digest is recorded")
	}
	if _, err := publish.Hex(d); err != nil {
		return base{}, true, fmt.Errorf("base: %w", err)
	}
	image, _, _ := strings.Cut(name, ":")
	if strings.Contains(image, "/") {
		return base{}, true, fmt.Errorf("the base %q lies elsewhere, where nothing is looked for", name)
	}
	return base{image, name, d}, true, nil
}

// chain follows the bases to the root: each must lie in the same destination,
// be signed, and be the first layers of what is built on it.
func (c *checker) chain(ctx context.Context, in place, i *image) error {
	var names []string
	reached := true
	if c.options.NoChain {
		reached = false
	} else {
		var err error
		if names, reached, err = c.follow(ctx, in, i); err != nil {
			return err
		}
	}
	c.parents(in, i, names, reached)
	return nil
}

// follow walks from an image to the root and gives the names of its bases;
// reached is false where the walk ended before.
func (c *checker) follow(ctx context.Context, in place, i *image) (names []string, reached bool, err error) {
	for range maxChain {
		f := Finding{
			Check: "chain", Image: in.image, Digest: i.Digest().String(), Platform: i.platform,
			Expected: "its base here, signed, and its first layers those of the base",
		}
		b, any, err := baseOf(i)
		if err == nil && !any {
			return names, true, nil
		}
		if err != nil {
			f.Found, f.Advice = err.Error(), "--no-chain does without the base"
			c.fail(ErrAttestation, f)
			return names, false, nil
		}
		below, lower, err := c.oneBase(ctx, f, b, i)
		if err != nil || lower == nil {
			return names, false, err
		}
		names = append(names, b.image)
		in, i = below, lower
	}
	c.fail(ErrAttestation, Finding{
		Check: "chain", Image: in.image, Digest: i.Digest().String(), Platform: i.platform,
		Expected: "a root", Found: fmt.Sprintf("more than %d bases", maxChain), Advice: distrust,
	})
	return names, false, nil
}

// oneBase checks the base of an image. It is nil where it failed.
func (c *checker) oneBase(ctx context.Context, f Finding, b base, upper *image) (place, *image, error) {
	in, err := c.place(b.image)
	if errors.Is(err, ErrPolicy) {
		f.Found, f.Advice = told(err), "allow the base in the policy, or do not use what is built on it"
		c.fail(ErrPolicy, f)
		return place{}, nil, nil
	}
	if errors.Is(err, publish.ErrUsage) {
		f.Found, f.Advice = fmt.Sprintf("base %q: %s", b.name, err), distrust
		c.fail(ErrAttestation, f)
		return place{}, nil, nil
	}
	if err != nil {
		return place{}, nil, err
	}
	lower, err := c.readBase(ctx, in, b, upper.platform)
	switch {
	// Registries refuse to say that a repository is not there.
	case failed(err), errors.Is(err, publish.ErrPermission):
		f.Found = fmt.Sprintf("chain not found here: base %s@%s: %s", b.name, b.digest, err)
		f.Advice = "`shudl-assemble copy` the base here too, or go without it by --no-chain"
	case errors.Is(err, ErrContent):
		f.Found, f.Advice = fmt.Sprintf("base %s: %s", b.name, told(err)), distrust
	case err != nil:
		return place{}, nil, err
	default:
		if err := first(lower, upper); err != nil {
			f.Found, f.Advice = fmt.Sprintf("base %s@%s: %s", b.name, b.digest, err), distrust
			c.fail(ErrAttestation, f)
			return place{}, nil, nil
		}
		f.Found = fmt.Sprintf("on %s@%s, whose %d layers are its first", b.name, b.digest, len(lower.parsed.Layers))
		c.pass(f)
		beside, err := c.gather(ctx, in, lower.Manifest, lower.platform, true)
		if err != nil {
			return place{}, nil, err
		}
		c.signature(beside)
		return in, lower, nil
	}
	c.fail(ErrAttestation, f)
	return place{}, nil, nil
}

func (c *checker) readBase(ctx context.Context, in place, b base, platform string) (*image, error) {
	m, err := in.repo.Manifest(ctx, b.digest)
	if err != nil {
		return nil, err
	}
	lower, err := readImage(ctx, in.repo, m, platform)
	if err != nil {
		return nil, err
	}
	if title := titleOf(m); title != "" && title != in.image {
		return nil, fmt.Errorf("%w: it calls itself %q", ErrContent, title)
	}
	return lower, nil
}

// first says how the layers of a base are not the first of another image.
func first(lower, upper *image) error {
	if len(lower.parsed.Layers) > len(upper.parsed.Layers) {
		return fmt.Errorf("it has %d layers, and what is built on it %d", len(lower.parsed.Layers), len(upper.parsed.Layers))
	}
	for n, l := range lower.parsed.Layers {
		u := upper.parsed.Layers[n]
		if l.Digest != u.Digest || l.Size != u.Size || lower.config.RootFS.DiffIDs[n] != upper.config.RootFS.DiffIDs[n] {
			return fmt.Errorf("its layer %d is %s, and that of what is built on it is %s", n+1, l.Digest, u.Digest)
		}
	}
	return nil
}

// parents holds the bases against those that the rule wants.
func (c *checker) parents(in place, i *image, names []string, reached bool) {
	if len(in.rule.Parents) == 0 {
		return
	}
	f := Finding{
		Check: "parents", Image: in.image, Digest: i.Digest().String(), Platform: i.platform,
		Expected: "built on " + strings.Join(in.rule.Parents, " and "),
		Found:    "built on " + strings.Join(names, ", "),
		Advice:   "the policy wants it" + at(in.rule),
	}
	if len(names) == 0 {
		f.Found = "built on nothing"
	}
	if !reached {
		f.Found += "; further the chain was not followed"
	}
	for _, want := range in.rule.Parents {
		if !slices.Contains(names, want) {
			c.fail(ErrPolicy, f)
			return
		}
	}
	c.pass(f)
}

// age holds the image's own date against the rule.
func (c *checker) age(in place, i *image) {
	limit := in.rule.MaxAge
	if limit == 0 {
		return
	}
	f := Finding{
		Check: "age", Image: in.image, Digest: i.Digest().String(), Platform: i.platform,
		Expected: "made within " + days(limit), Advice: "use a newer image: the policy wants it" + at(in.rule),
	}
	created := i.config.Created
	switch {
	case created == nil || created.IsZero():
		f.Found = "no date"
		c.fail(ErrPolicy, f)
	case c.options.Now.Sub(*created) > limit:
		f.Found = created.UTC().Format(time.RFC3339) + ", " + days(c.options.Now.Sub(*created)) + " ago"
		c.fail(ErrPolicy, f)
	default:
		f.Found = created.UTC().Format(time.RFC3339)
		c.pass(f)
	}
}

// days writes a duration as people count it.
func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 || d > 72*time.Hour {
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
	return d.Round(time.Minute).String()
}
