package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Media types of manifests.
const (
	imageManifest = "application/vnd.oci.image.manifest.v1+json"
	imageIndex    = "application/vnd.oci.image.index.v1+json"
)

// repository is one repository of a registry, to read and to tamper with.
type repository struct{ host, name string }

// registryAt takes HOST/NAME, a tag or digest after it or not.
func registryAt(ref string) repository {
	ref, _, _ = strings.Cut(ref, "@")
	host, name, _ := strings.Cut(ref, "/")
	name, _, _ = strings.Cut(name, ":")
	return repository{host, name}
}

func (r repository) String() string { return r.host + "/" + r.name }

func (r repository) do(ctx context.Context, method, path, contentType string, body []byte) ([]byte, http.Header, error) {
	url := path
	if !strings.HasPrefix(path, "http://") {
		url = "http://" + r.host + "/v2/" + r.name + "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", imageManifest+", "+imageIndex)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusNotFound:
		err = fmt.Errorf("%s %s: %w", method, url, errNotFound)
	case resp.StatusCode >= 300:
		err = fmt.Errorf("%s %s: %s: %.300s", method, url, resp.Status, answer)
	}
	return answer, resp.Header, err
}

// errNotFound is an answer of 404.
var errNotFound = errors.New("not found")

// manifest reads a manifest by tag or digest.
func (r repository) manifest(ctx context.Context, identifier string) ([]byte, error) {
	raw, _, err := r.do(ctx, http.MethodGet, "manifests/"+identifier, "", nil)
	return raw, err
}

func (r repository) blob(ctx context.Context, digest string) ([]byte, error) {
	raw, _, err := r.do(ctx, http.MethodGet, "blobs/"+digest, "", nil)
	return raw, err
}

// put writes a manifest, by a tag or, with none, by its digest.
func (r repository) put(ctx context.Context, tag string, raw []byte) (string, error) {
	var m struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", err
	}
	digest := digestOf(raw)
	if tag == "" {
		tag = digest
	}
	_, _, err := r.do(ctx, http.MethodPut, "manifests/"+tag, m.MediaType, raw)
	return digest, err
}

// putBlob uploads a blob in one piece.
func (r repository) putBlob(ctx context.Context, content []byte) (string, error) {
	_, header, err := r.do(ctx, http.MethodPost, "blobs/uploads/", "", nil)
	if err != nil {
		return "", err
	}
	digest, location := digestOf(content), header.Get("Location")
	if !strings.HasPrefix(location, "http://") {
		location = "http://" + r.host + location
	}
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	_, _, err = r.do(ctx, http.MethodPut, location+separator+"digest="+digest, "application/octet-stream", content)
	return digest, err
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
