package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// attack is a way to pass off what was not signed, or not so. The control
// changes nothing, and everybody takes it: what the others are refused for is
// the change alone.
type attack struct {
	name string
	// apply changes the child image and what is said of it; base is its
	// parent, signed by the same.
	apply func(ctx context.Context, child, base *signed) error
	// trust changes what the reader trusts.
	trust func(w *world, t trustIn) trustIn
	// command is what cosign is asked: verify, or verify-attestation of the
	// SBOM. With none, only the product is asked: cosign does not compare
	// names, and takes any bundle about a digest for its signature.
	command string
	// status are the product's exit statuses that are right.
	status []int
}

const sbomType = "https://spdx.dev/Document"

// attacks are all of them.
func attacks() []attack {
	nothing := func(context.Context, *signed, *signed) error { return nil }
	return []attack{
		{name: "control: verify", apply: nothing, command: "verify", status: []int{0}},
		{name: "control: SBOM", apply: nothing, command: "spdx", status: []int{0}},
		{name: "wrong key", apply: nothing, trust: wrongKey, command: "verify", status: []int{12}},
		{name: "wrong identity", apply: nothing, trust: wrongIdentity, command: "verify", status: []int{12}},
		{name: "wrong issuer", apply: nothing, trust: wrongIssuer, command: "verify", status: []int{12}},
		{name: "SBOM, wrong key", apply: nothing, trust: wrongKey, command: "spdx", status: []int{12}},
		{name: "SBOM, wrong identity", apply: nothing, trust: wrongIdentity, command: "spdx", status: []int{12}},
		{name: "moved signature", apply: moved, command: "verify", status: []int{10, 12}},
		{name: "changed layer", apply: changedLayer, command: "verify", status: []int{10, 12}},
		{name: "another's statements", apply: anothersStatements, command: "verify", status: []int{10, 12}},
		{name: "another's signature", apply: anothersSignature, status: []int{10, 12}},
		{name: "another's image", apply: anothersImage, status: []int{10, 12}},
		{name: "swapped SBOM", apply: swappedSBOM, command: "spdx", status: []int{13}},
		{name: "edited SBOM", apply: editedSBOM, command: "spdx", status: []int{13}},
		{name: "no SBOM", apply: noSBOM, command: "spdx", status: []int{13}},
		{name: "nothing signed", apply: nothingSigned, command: "verify", status: []int{10}},
		{name: "no signature", apply: noSignature, status: []int{10}},
	}
}

// wants says whether an attack is one on this kind of signer.
func (a attack) wants(signer string) bool {
	switch {
	case strings.Contains(a.name, "wrong key"):
		return signer == "key"
	case strings.Contains(a.name, "wrong identity"), strings.Contains(a.name, "wrong issuer"):
		return signer == "keyless"
	}
	return true
}

func wrongKey(w *world, t trustIn) trustIn {
	t.key = w.other + ".pub"
	return t
}

func wrongIdentity(_ *world, t trustIn) trustIn {
	t.identity = "stranger@example.net"
	return t
}

func wrongIssuer(w *world, t trustIn) trustIn {
	t.issuer = w.issuer.of("other")
	return t
}

// moved puts the signature on an image that differs by an annotation.
func moved(_ context.Context, child, _ *signed) error {
	return child.change(func(m *manifest) error {
		if m.Annotations == nil {
			m.Annotations = map[string]string{}
		}
		m.Annotations["org.opencontainers.image.version"] = "another"
		return nil
	})
}

// changedLayer puts it on an image whose last layer is another, the config
// changed to fit.
func changedLayer(ctx context.Context, child, _ *signed) error {
	return child.change(func(m *manifest) error {
		var layer bytes.Buffer
		tar := make([]byte, 10240) // an empty archive
		z := gzip.NewWriter(&layer)
		z.Write(tar)
		z.Close()
		raw, err := child.from.blob(ctx, m.Config.Digest)
		if err != nil {
			return err
		}
		var config map[string]json.RawMessage
		if err := json.Unmarshal(raw, &config); err != nil {
			return err
		}
		var rootfs struct {
			Type    string   `json:"type"`
			DiffIDs []string `json:"diff_ids"`
		}
		if err := json.Unmarshal(config["rootfs"], &rootfs); err != nil {
			return err
		}
		last := len(m.Layers) - 1
		rootfs.DiffIDs[last] = digestOf(tar)
		if config["rootfs"], err = json.Marshal(rootfs); err != nil {
			return err
		}
		if raw, err = json.Marshal(config); err != nil {
			return err
		}
		if m.Layers[last], err = storeBlob(ctx, child.from, layer.Bytes(), m.Layers[last]); err != nil {
			return err
		}
		*m.Config, err = storeBlob(ctx, child.from, raw, *m.Config)
		return err
	})
}

// change makes another image of it.
func (s *signed) change(f func(m *manifest) error) error {
	var m manifest
	if err := json.Unmarshal(s.image, &m); err != nil {
		return err
	}
	if err := f(&m); err != nil {
		return err
	}
	raw, err := json.Marshal(m)
	s.image = raw
	return err
}

// signType is the type of a bundle that is a signature.
const signType = "https://sigstore.dev/cosign/sign/v1"

// anothersStatements replaces all that is said by what is said, by the same
// signer, of a digest of another repository.
func anothersStatements(_ context.Context, child, base *signed) error {
	child.signatures, child.attested, child.bundles = base.signatures, base.attested, base.bundles
	return nil
}

// anothersSignature replaces the signature alone.
func anothersSignature(_ context.Context, child, base *signed) error {
	child.signatures = base.signatures
	child.bundles = append(without(child.bundles, signType), about(base.bundles, signType)...)
	return nil
}

// anothersImage has the base, with all that is said of it, in the child's
// place.
func anothersImage(_ context.Context, child, base *signed) error {
	*child = *base
	return nil
}

// swappedSBOM has the base's SBOM, which is signed, for the child.
func swappedSBOM(_ context.Context, child, base *signed) error {
	child.attested = append(without(child.attested, sbomType), about(base.attested, sbomType)...)
	child.bundles = append(without(child.bundles, sbomType), about(base.bundles, sbomType)...)
	return nil
}

// editedSBOM changes the SBOM below its signature.
func editedSBOM(_ context.Context, child, _ *signed) error {
	for _, statements := range [][]statement{child.attested, child.bundles} {
		for i, s := range statements {
			if s.predicateType != sbomType {
				continue
			}
			changed, err := edited(s, "busybox", "toolbox")
			if err != nil {
				return err
			}
			statements[i] = changed
		}
	}
	return nil
}

func noSBOM(_ context.Context, child, _ *signed) error {
	child.attested, child.bundles = without(child.attested, sbomType), without(child.bundles, sbomType)
	return nil
}

func nothingSigned(_ context.Context, child, _ *signed) error {
	child.signatures, child.attested, child.bundles = nil, nil, nil
	return nil
}

// noSignature keeps the attestations.
func noSignature(_ context.Context, child, _ *signed) error {
	child.signatures, child.bundles = nil, without(child.bundles, signType)
	return nil
}

// mount performs an attack in the repository PREFIX/tools, which has the
// child's name, and returns what a reader is asked about.
func (a attack) mount(ctx context.Context, prefix string, child, base subject) (subject, error) {
	there := registryAt(child.ref)
	image, err := load(ctx, there, child.digest)
	if err != nil {
		return subject{}, err
	}
	parent, err := load(ctx, registryAt(base.ref), base.digest)
	if err != nil {
		return subject{}, err
	}
	if err := a.apply(ctx, image, parent); err != nil {
		return subject{}, fmt.Errorf("%s: %w", a.name, err)
	}
	to := repository{there.host, prefix + "/tools"}
	digest, err := image.store(ctx, to, "1")
	return subject{ref: to.String() + "@" + digest, digest: digest}, err
}
