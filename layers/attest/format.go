package attest

import "fmt"

// Format says in which form signatures and attestations lie beside an image.
type Format string

// The formats. Dual, which the zero value is too, writes both others.
const (
	Dual    Format = "dual"
	Classic Format = "classic" // cosign's .sig and .att tags
	Bundles Format = "bundle"  // sigstore bundles, version 0.3, as referrers
)

// ParseFormat reads the name of a format; "" is dual.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case "":
		return Dual, nil
	case Dual, Classic, Bundles:
		return f, nil
	}
	return "", fmt.Errorf("sign format %q: it is dual, classic or bundle", s)
}

// Classic says whether the .sig and .att tags are written.
func (f Format) Classic() bool { return f != Bundles }

// Bundles says whether referrers are written.
func (f Format) Bundles() bool { return f != Classic }
