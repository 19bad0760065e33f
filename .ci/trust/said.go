package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// descriptor and manifest are OCI's, as far as they are tampered with; what
// else a manifest has is kept.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        *descriptor       `json:"config,omitempty"`
	Layers        []descriptor      `json:"layers,omitempty"`
	Manifests     []descriptor      `json:"manifests,omitempty"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// statement is a signed statement or signature with what it is stored in.
type statement struct {
	content       []byte // payload, envelope or bundle
	predicateType string // "" of a classic signature
	layer         descriptor
	referrer      *manifest // of a bundle
}

// signed is an image with all that is said of it, taken out of a repository to
// be put into another, changed or not.
type signed struct {
	from       repository
	image      []byte
	signatures []statement // under the .sig tag
	attested   []statement // under the .att tag
	bundles    []statement
}

// load reads an image by its digest, and what is said of it.
func load(ctx context.Context, from repository, digest string) (*signed, error) {
	s := &signed{from: from}
	var err error
	if s.image, err = from.manifest(ctx, digest); err != nil {
		return nil, err
	}
	if s.signatures, err = classic(ctx, from, tagOf(digest)+".sig"); err != nil {
		return nil, err
	}
	if s.attested, err = classic(ctx, from, tagOf(digest)+".att"); err != nil {
		return nil, err
	}
	referrers, err := referrersOf(ctx, from, digest)
	if err != nil {
		return nil, err
	}
	for _, d := range referrers {
		raw, err := from.manifest(ctx, d.Digest)
		if err != nil {
			return nil, err
		}
		var m manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, err
		}
		content, err := from.blob(ctx, m.Layers[0].Digest)
		if err != nil {
			return nil, err
		}
		predicate, err := predicateOf(content)
		if err != nil {
			return nil, err
		}
		s.bundles = append(s.bundles, statement{content, predicate, m.Layers[0], &m})
	}
	return s, nil
}

// tagOf makes a tag of a digest.
func tagOf(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// classic reads the statements under one of cosign's tags.
func classic(ctx context.Context, from repository, tag string) ([]statement, error) {
	raw, err := from.manifest(ctx, tag)
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	var found []statement
	for _, layer := range m.Layers {
		content, err := from.blob(ctx, layer.Digest)
		if err != nil {
			return nil, err
		}
		found = append(found, statement{content, layer.Annotations["predicateType"], layer, nil})
	}
	return found, nil
}

// referrersOf asks the API, or reads the fallback tag.
func referrersOf(ctx context.Context, from repository, digest string) ([]descriptor, error) {
	raw, _, err := from.do(ctx, "GET", "referrers/"+digest, "", nil)
	if errors.Is(err, errNotFound) {
		raw, err = from.manifest(ctx, tagOf(digest))
	}
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var index manifest
	err = json.Unmarshal(raw, &index)
	return index.Manifests, err
}

// predicateOf reads the type of a bundle's statement.
func predicateOf(bundle []byte) (string, error) {
	var b struct {
		DSSEEnvelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		return "", fmt.Errorf("bundle: %w", err)
	}
	var s struct {
		PredicateType string `json:"predicateType"`
	}
	if err := json.Unmarshal(b.DSSEEnvelope.Payload, &s); err != nil {
		return "", fmt.Errorf("bundle: %w", err)
	}
	return s.PredicateType, nil
}

// store puts an image, under a tag, and what is said of it into a repository,
// as of the image, whatever it was said of before. It returns the image's
// digest.
func (s *signed) store(ctx context.Context, to repository, tag string) (string, error) {
	var m manifest
	if err := json.Unmarshal(s.image, &m); err != nil {
		return "", err
	}
	for _, d := range append(m.Layers, *m.Config) {
		if err := s.bring(ctx, to, d.Digest); err != nil {
			return "", err
		}
	}
	digest, err := to.put(ctx, tag, s.image)
	if err != nil {
		return "", err
	}
	for suffix, statements := range map[string][]statement{".sig": s.signatures, ".att": s.attested} {
		if err := storeClassic(ctx, to, tagOf(digest)+suffix, statements); err != nil {
			return "", err
		}
	}
	return digest, s.storeBundles(ctx, to, descriptor{MediaType: imageManifest, Digest: digest, Size: int64(len(s.image))})
}

// bring copies a blob, unless it is there.
func (s *signed) bring(ctx context.Context, to repository, digest string) error {
	if _, _, err := to.do(ctx, "HEAD", "blobs/"+digest, "", nil); err == nil {
		return nil
	}
	content, err := s.from.blob(ctx, digest)
	if err != nil {
		return err
	}
	_, err = to.putBlob(ctx, content)
	return err
}

func storeClassic(ctx context.Context, to repository, tag string, statements []statement) error {
	if len(statements) == 0 {
		return nil
	}
	config, err := storeBlob(ctx, to, []byte(`{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`),
		descriptor{MediaType: "application/vnd.oci.image.config.v1+json"})
	if err != nil {
		return err
	}
	m := manifest{SchemaVersion: 2, MediaType: imageManifest, Config: &config}
	for _, s := range statements {
		layer, err := storeBlob(ctx, to, s.content, s.layer)
		if err != nil {
			return err
		}
		m.Layers = append(m.Layers, layer)
	}
	return putManifest(ctx, to, tag, m)
}

func (s *signed) storeBundles(ctx context.Context, to repository, subject descriptor) error {
	index := manifest{SchemaVersion: 2, MediaType: imageIndex}
	for _, b := range s.bundles {
		layer, err := storeBlob(ctx, to, b.content, b.layer)
		if err != nil {
			return err
		}
		if err := s.bring(ctx, to, b.referrer.Config.Digest); err != nil {
			return err
		}
		m := *b.referrer
		m.Layers, m.Subject = []descriptor{layer}, &subject
		raw, err := json.Marshal(m)
		if err != nil {
			return err
		}
		digest, err := to.put(ctx, "", raw)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, descriptor{MediaType: imageManifest, Digest: digest, Size: int64(len(raw)),
			ArtifactType: m.ArtifactType, Annotations: m.Annotations})
	}
	if to.host == referrersRegistry || len(s.bundles) == 0 {
		return nil
	}
	return putManifest(ctx, to, tagOf(subject.Digest), index)
}

func storeBlob(ctx context.Context, to repository, content []byte, like descriptor) (descriptor, error) {
	digest, err := to.putBlob(ctx, content)
	like.Digest, like.Size = digest, int64(len(content))
	return like, err
}

func putManifest(ctx context.Context, to repository, tag string, m manifest) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = to.put(ctx, tag, raw)
	return err
}

// about picks the statements of a predicate type.
func about(statements []statement, predicateType string) []statement {
	return slices.DeleteFunc(slices.Clone(statements), func(s statement) bool { return s.predicateType != predicateType })
}

// without leaves the statements of a predicate type out.
func without(statements []statement, predicateType string) []statement {
	return slices.DeleteFunc(slices.Clone(statements), func(s statement) bool { return s.predicateType == predicateType })
}

// edited changes a word of a statement inside its envelope or bundle, whose
// signature stays.
func edited(s statement, old, new string) (statement, error) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(s.content, &whole); err != nil {
		return s, err
	}
	envelope := whole
	if raw, ok := whole["dsseEnvelope"]; ok {
		envelope = nil
		if err := json.Unmarshal(raw, &envelope); err != nil {
			return s, err
		}
	}
	var payload []byte
	if err := json.Unmarshal(envelope["payload"], &payload); err != nil {
		return s, err
	}
	changed := strings.Replace(string(payload), old, new, 1)
	if changed == string(payload) {
		return s, fmt.Errorf("the statement does not say %q", old)
	}
	var err error
	if envelope["payload"], err = json.Marshal(base64.StdEncoding.EncodeToString([]byte(changed))); err != nil {
		return s, err
	}
	if _, ok := whole["dsseEnvelope"]; ok {
		if whole["dsseEnvelope"], err = json.Marshal(envelope); err != nil {
			return s, err
		}
	}
	s.content, err = json.Marshal(whole)
	return s, err
}
