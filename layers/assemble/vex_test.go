package assemble

import (
	"errors"
	"strings"
	"testing"

	openvex "github.com/openvex/go-vex/pkg/vex"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

const statement = `{
  "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "Example",
  "timestamp": "2026-11-20T10:00:00Z", "version": 1,
  "statements": [{"vulnerability": {"name": "CVE-2026-0001"}, "products": [{"@id": "pkg:oci/service"}], "status": "under_investigation"}]
}`

func TestVEXIsAttached(t *testing.T) {
	plain := mustRun(t, options(t, nil))
	o := options(t, map[string]string{"service/vex/2026.json": statement})
	r := mustRun(t, o)
	if plain.Images[1].Digest != r.Images[1].Digest || plain.Images[1].Tags[0] != r.Images[1].Tags[0] {
		t.Error("what is said of an image changed it")
	}
	digest := r.Images[1].Platforms[0].Digest
	doc, err := openvex.Parse(attested(t, o, "service", digest, attest.PredicateVEX))
	if err != nil {
		t.Fatal(err)
	}
	if s := doc.EffectiveStatement("pkg:oci/service", "CVE-2026-0001"); s == nil || s.Status != openvex.StatusUnderInvestigation {
		t.Errorf("%+v", doc)
	}
	if data := attested(t, o, "base-debian", r.Images[0].Platforms[0].Digest, attest.PredicateVEX); data != nil {
		t.Errorf("the base says %s", data)
	}
	if again := mustRun(t, o); again.Images[1].Written != 0 {
		t.Errorf("a second run wrote %d", again.Images[1].Written)
	}
}

// A new statement goes to an image that is there already, in place of the
// one before.
func TestNewStatementsReachAnOldImage(t *testing.T) {
	o := options(t, map[string]string{"service/vex/2026.json": statement})
	first := mustRun(t, o)
	set, err := recipes.Load(testRecipes(map[string]string{
		"service/vex/2026.json": strings.Replace(statement, "under_investigation", "fixed", 1),
	}))
	if err != nil {
		t.Fatal(err)
	}
	o.Set = set
	second := mustRun(t, o)
	if first.Images[1].Digest != second.Images[1].Digest || !second.Images[1].Platforms[0].Cached {
		t.Error("the image was made anew")
	}
	data := string(attested(t, o, "service", second.Images[1].Platforms[0].Digest, attest.PredicateVEX))
	if !strings.Contains(data, `"fixed"`) || strings.Contains(data, "under_investigation") {
		t.Error(data)
	}
}

func TestVEXOfAPackageThatIsNotThere(t *testing.T) {
	o := options(t, map[string]string{"service/vex/2026.json": strings.Replace(statement, "pkg:oci/service", "pkg:deb/debian/libfoo@1", 1)})
	_, err := Run(t.Context(), o)
	var wrong *recipes.Error
	if !errors.As(err, &wrong) || wrong.File != "service/vex/2026.json" || !strings.Contains(err.Error(), "is not in the lock of image service") {
		t.Errorf("%v", err)
	}
	nothingPublished(t, o)
	if _, err := NewPlan(o); !errors.As(err, &wrong) {
		t.Errorf("a plan passes it: %v", err)
	}
	// A lock that holds a part of the platforms cannot tell.
	o.Lock.Images = nil
	for _, ref := range o.Refs {
		o.Lock.Put(recipes.LockedImage{Ref: ref, Platform: recipes.LinuxAMD64})
	}
	r := mustRun(t, o)
	if data := attested(t, o, "service", r.Images[1].Platforms[0].Digest, attest.PredicateVEX); data != nil {
		t.Errorf("%s", data)
	}
}
