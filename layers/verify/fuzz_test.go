package verify

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/publish"
)

// Whatever a registry serves as manifest, index, config or document, reading
// it ends, and ends in an error or in something whose parts fit together.
func FuzzRead(f *testing.F) {
	const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:`+hex+`","size":2},"layers":[{"mediaType":"x","digest":"sha256:`+hex+`","size":1}],"annotations":{"org.opencontainers.image.base.name":"base:1","org.opencontainers.image.base.digest":"sha256:`+hex+`"}}`),
		[]byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:`+hex+`"]}}`))
	f.Add([]byte(`{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:`+hex+`","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}`), []byte(`{}`))
	f.Add([]byte(`{"a":1,"A":2}`), []byte(`{"bomFormat":"CycloneDX","metadata":{"component":{"type":"container","hashes":[{"alg":"SHA-256","content":"`+hex+`"}]}}}`))
	f.Fuzz(func(t *testing.T, manifest, config []byte) {
		m := publish.Manifest{MediaType: ocispec.MediaTypeImageIndex, Raw: manifest}
		if children, err := Platforms(m); err == nil && len(children) == 0 {
			t.Error("an index of no platforms")
		}
		titleOf(m)
		_, _ = spdx(config, m.Digest().String())
		_, _ = cycloneDX(config, m.Digest().String())
		i := image{Manifest: publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: manifest}}
		if i.parse() != nil || i.parseConfig(config) != nil {
			return
		}
		if len(i.config.RootFS.DiffIDs) != len(i.parsed.Layers) || i.platform == "" {
			t.Errorf("%+v", i)
		}
		if b, any, err := baseOf(&i); err == nil && any && (b.image == "" && b.name == "" || b.digest.Validate() != nil) {
			t.Errorf("base %+v", b)
		}
		if err := first(&i, &i); err != nil {
			t.Error(err)
		}
	})
}
