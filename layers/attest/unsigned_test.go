package attest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

func unsignedSubject() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("image"), Size: 5}
}

func unsignedStatement(t *testing.T, about digest.Digest) []byte {
	t.Helper()
	s, err := attest.NewStatement("postgresql", recipes.Digest(about.Encoded()), attest.PredicateSPDX, []byte(`{"spdxVersion":"SPDX-2.3"}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unsignedGolden is the digest of the manifest below: what one version leaves
// in a layout another reads.
const unsignedGolden = "sha256:db3d23fa00e94d5b26cfef6832c2ed1907d445f08638abdc268cbeda6f24c664"

func TestUnsigned(t *testing.T) {
	subject := unsignedSubject()
	item := attest.UnsignedItem(attest.PredicateSPDX, unsignedStatement(t, subject.Digest))
	made, err := attest.Unsigned(subject, []attest.Item{item})
	if err != nil {
		t.Fatal(err)
	}
	if got := digest.FromBytes(made.Raw).String(); got != unsignedGolden {
		t.Errorf("%s, golden %s\n%s", got, unsignedGolden, made.Raw)
	}
	items, err := attest.ReadUnsigned(made.Raw, subject)
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != 1 || items[attest.PredicateSPDX].Digest != item.Digest {
		t.Errorf("%+v", items)
	}
	s, err := attest.OpenUnsigned(item.Content, attest.PredicateSPDX, recipes.Digest(subject.Digest.Encoded()))
	if err != nil || string(s.Predicate) != `{"spdxVersion":"SPDX-2.3"}` {
		t.Errorf("%+v %v", s, err)
	}
}

func TestUnsignedOfAnotherFormIsRefused(t *testing.T) {
	subject := unsignedSubject()
	item := attest.UnsignedItem(attest.PredicateSPDX, unsignedStatement(t, subject.Digest))
	nameless := item
	nameless.Annotations = nil
	tests := map[string]struct {
		items []attest.Item
		edit  func(*ocispec.Manifest)
		about ocispec.Descriptor
	}{
		"two of one type":    {items: []attest.Item{item, item}, about: subject},
		"none of a type":     {items: []attest.Item{nameless}, about: subject},
		"of another subject": {items: []attest.Item{item}, about: ocispec.Descriptor{MediaType: subject.MediaType, Digest: digest.FromString("other"), Size: 5}},
		"of another size":    {items: []attest.Item{item}, about: ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: 6}},
		"with annotations":   {items: []attest.Item{item}, about: subject, edit: func(m *ocispec.Manifest) { m.Annotations = map[string]string{"a": "b"} }},
		"an image":           {items: []attest.Item{item}, about: subject, edit: func(m *ocispec.Manifest) { m.ArtifactType = "" }},
		"too many":           {items: make([]attest.Item, 17), about: subject},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			made, err := attest.Unsigned(subject, test.items)
			if err != nil {
				t.Fatal(err)
			}
			raw := made.Raw
			if test.edit != nil {
				var m ocispec.Manifest
				if err := json.Unmarshal(raw, &m); err != nil {
					t.Fatal(err)
				}
				test.edit(&m)
				if raw, err = json.Marshal(m); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := attest.ReadUnsigned(raw, test.about); !errors.Is(err, attest.ErrUnsigned) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestUnsignedStatementOfAnotherImageIsRefused(t *testing.T) {
	about := unsignedSubject().Digest
	good := unsignedStatement(t, about)
	second := `{"name":"b","digest":{"sha256":"` + strings.Repeat("0", 64) + `"}}],"predicateType"`
	tests := map[string][]byte{
		"of another":           unsignedStatement(t, digest.FromString("other")),
		"of two":               bytes.Replace(good, []byte(`],"predicateType"`), []byte(","+second), 1),
		"of another statement": bytes.Replace(good, []byte("Statement/v1"), []byte("Statement/v0.1"), 1),
		"of another predicate": bytes.Replace(good, []byte(attest.PredicateSPDX), []byte(attest.PredicateSLSA), 1),
		"no JSON":              []byte("{"),
	}
	for name, content := range tests {
		if bytes.Equal(content, good) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := attest.OpenUnsigned(content, attest.PredicateSPDX, recipes.Digest(about.Encoded())); !errors.Is(err, attest.ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
