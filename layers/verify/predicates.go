package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/recipes"
)

// attested looks for a statement of some type that holds up to check, which
// returns what it says in a few words.
func (c *checker) attested(e *evidence, f Finding, class error, match func(predicateType string) bool, check func(trust.Accepted) (string, error)) {
	var why, others []string
	passed := false
	for _, a := range e.accepted {
		if a.Statement == nil || !match(a.Statement.PredicateType) {
			continue
		}
		found, err := check(a)
		switch {
		case err != nil:
			line := fmt.Sprintf("refused: %s: %s", a, err)
			why, others = append(why, line), append(others, line)
		case passed:
			others = append(others, a.String())
		default:
			passed, f.Found = true, a.String()
			if found != "" {
				f.Found = found + "; " + f.Found
			}
		}
	}
	for _, r := range e.refused {
		if r.kind == "" || match(r.kind) {
			line := "refused: " + r.err.Error()
			if r.kind != "" {
				others = append(others, line)
			}
			why = append(why, line)
		}
	}
	f.Others = others
	if passed {
		c.pass(f)
		return
	}
	if len(why) == 0 {
		f.Found = "no such attestation"
	} else {
		f.Found = strings.Join(shortened(why), "; ")
	}
	c.fail(class, f)
}

// has says whether anything of a type lies there, accepted or not.
func (e *evidence) has(predicateType string) bool {
	return slices.ContainsFunc(e.accepted, func(a trust.Accepted) bool { return kindOf(a) == predicateType }) ||
		slices.ContainsFunc(e.refused, func(r refusal) bool { return r.kind == predicateType })
}

func only(predicateType string) func(string) bool {
	return func(other string) bool { return other == predicateType }
}

const distrust = "do not trust what this image says it holds; push it again"

// sboms looks for an SPDX document that speaks of the manifest; a CycloneDX
// document that is there must do so too.
func (c *checker) sboms(e *evidence) {
	f := e.finding("sbom")
	f.Expected, f.Advice = "an SPDX document of this manifest, signed by "+e.in.rule.Signers.String(), distrust
	c.attested(e, f, ErrAttestation, only(attest.PredicateSPDX), func(a trust.Accepted) (string, error) {
		return spdx(a.Statement.Predicate, e.digest)
	})
	if !e.has(attest.PredicateCycloneDX) {
		return
	}
	f.Check, f.Expected = "cyclonedx", "a CycloneDX document of this manifest, signed by "+e.in.rule.Signers.String()
	c.attested(e, f, ErrAttestation, only(attest.PredicateCycloneDX), func(a trust.Accepted) (string, error) {
		return cycloneDX(a.Statement.Predicate, e.digest)
	})
}

// spdx checks that a document describes the manifest and says what it lists.
func spdx(predicate []byte, digest string) (string, error) {
	doc, err := sbom.Parse(predicate)
	if err != nil {
		return "", err
	}
	image, err := sbom.Image(doc)
	if err != nil {
		return "", err
	}
	for _, sum := range image.PackageChecksums {
		if sum.Algorithm == common.SHA256 && "sha256:"+sum.Value == digest {
			return fmt.Sprintf("%d packages, %d files", len(doc.Packages), len(doc.Files)), nil
		}
	}
	return "", errors.New("the SBOM describes another manifest")
}

// cycloneDX is the same for CycloneDX.
func cycloneDX(predicate []byte, digest string) (string, error) {
	var bom cyclonedx.BOM
	if err := json.Unmarshal(predicate, &bom); err != nil {
		return "", fmt.Errorf("CycloneDX document: %w", err)
	}
	if bom.Metadata == nil || bom.Metadata.Component == nil {
		return "", errors.New("CycloneDX document: it describes nothing")
	}
	component := bom.Metadata.Component
	components := 0
	if bom.Components != nil {
		components = len(*bom.Components)
	}
	if component.Hashes != nil {
		for _, h := range *component.Hashes {
			if h.Algorithm == cyclonedx.HashAlgoSHA256 && "sha256:"+h.Value == digest {
				return fmt.Sprintf("%d components", components), nil
			}
		}
	}
	return "", errors.New("the SBOM describes another manifest")
}

// provenance looks for SLSA provenance of this image's build.
func (c *checker) provenance(e *evidence, m publish.Manifest) {
	f := e.finding("provenance")
	f.Expected = "SLSA provenance of this image, signed by " + e.in.rule.Signers.String()
	f.Advice = "push the image again; where it was made by other means, nothing says how"
	c.attested(e, f, ErrAttestation, only(attest.PredicateSLSA), func(a trust.Accepted) (string, error) {
		p, err := provenance.Parse(a.Statement.Predicate)
		if err != nil {
			return "", err
		}
		about := provenance.Image{Name: e.in.image, Platform: recipes.Platform(e.platform), Manifest: m.Raw}
		if err := p.About(about); err != nil {
			return "", err
		}
		return "built by " + p.RunDetails.Builder.ID, nil
	})
}

// Predicate is something that must be attested of an image.
type Predicate struct {
	// Name is how a policy calls it; Type the predicate type, or its beginning
	// where it ends with *.
	Name, Type string
}

// KnownPredicates are those with a short name. Of VEX every version counts.
func KnownPredicates() []Predicate {
	return []Predicate{
		{"spdx", attest.PredicateSPDX},
		{"cyclonedx", attest.PredicateCycloneDX},
		{"slsa-provenance", attest.PredicateSLSA},
		{"vex", "https://openvex.dev/ns*"},
		{"test-result", predicateTestResult},
	}
}

// predicateTestResult says how tests went:
// https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md.
const predicateTestResult = "https://in-toto.io/attestation/test-result/v0.1"

func (p Predicate) matches(predicateType string) bool {
	if prefix, ok := strings.CutSuffix(p.Type, "*"); ok {
		return strings.HasPrefix(predicateType, prefix)
	}
	return predicateType == p.Type
}

// predicates looks for what the rule wants beside SBOM and provenance.
func (c *checker) predicates(e *evidence) {
	for _, p := range e.in.rule.Predicates {
		if p.Type == attest.PredicateSPDX || p.Type == attest.PredicateSLSA {
			continue // every image must have them, and has been asked
		}
		f := e.finding("predicate")
		f.Expected = fmt.Sprintf("%s (%s), signed by %s", p.Name, p.Type, e.in.rule.Signers)
		f.Advice = "attest it and try again: the policy wants it" + at(e.in.rule)
		c.attested(e, f, ErrPolicy, p.matches, func(a trust.Accepted) (string, error) {
			return p.Name, p.holds(a.Statement.Predicate)
		})
	}
}

// holds looks into those predicates that can say no.
func (p Predicate) holds(predicate []byte) error {
	if p.Type != predicateTestResult {
		return nil
	}
	var tests struct {
		Result string `json:"result"`
	}
	if err := json.Unmarshal(predicate, &tests); err != nil {
		return fmt.Errorf("test result: %w", err)
	}
	if tests.Result != "PASSED" {
		return fmt.Errorf("test result: %q, not PASSED", tests.Result)
	}
	return nil
}

// at says where a rule stands.
func at(r Rule) string {
	if r.Source == "" {
		return ""
	}
	return " (" + r.Source + ")"
}
