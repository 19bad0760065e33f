package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// product is the command that is under test.
type product struct {
	command, cache, home string
}

func (p product) env(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "TUF_ROOT=" + p.home + "/tuf", "COSIGN_PASSWORD=" + password}, more...)
}

func (p product) run(ctx context.Context, more []string, args ...string) ([]byte, error) {
	return output(ctx, p.env(more...), p.command, append(args, "--cache", p.cache)...)
}

// password opens the private key.
const password = "a password of the test"

// world is what was signed and pushed, and with what.
type world struct {
	*services
	product
	clients []client
	recipes string // the tests' Alpine recipes
	mirror  string // what they are made of
	key     string // without .key and .pub
	other   string // another key
	// attacked are the formats that attacks are made on.
	attacked []string
}

// images are what is pushed everywhere: Debian's base, an index of two
// platforms, and a base with its child from the tests' Alpine recipes.
func (w *world) images() [][]string {
	return [][]string{
		{"base-debian", "--distro", "debian", "--platform", "all"},
		append([]string{"tools"}, w.alpineArgs()...),
	}
}

func (w *world) alpineArgs() []string {
	return []string{"--distro", "alpine", "--recipes", w.path("alpine"), "--platform", "linux/amd64", "--mirror", "alpine=file:" + w.mirror}
}

// prepare makes keys and the lock of the Alpine images.
func (w *world) prepare(ctx context.Context) error {
	for _, image := range []string{"base-alpine", "tools"} {
		if err := os.CopyFS(w.path("alpine/"+image), os.DirFS(filepath.Join(w.recipes, image))); err != nil {
			return err
		}
	}
	if _, err := w.run(ctx, nil, append([]string{"lock", "--release", "v3.19", "--offline", "--progress", "quiet"}, w.alpineArgs()...)...); err != nil {
		return err
	}
	w.key, w.other = w.path("signer"), w.path("stranger")
	for _, key := range []string{w.key, w.other} {
		if _, err := output(ctx, w.env(), w.tool("cosign3"), "generate-key-pair", "--output-key-prefix", key); err != nil {
			return err
		}
	}
	return nil
}

// destination is where a row of the table was pushed.
func (w *world) destination(r row) string {
	name := r.signer + "-" + r.format
	switch r.place {
	case "registry":
		return plainRegistry + "/" + name
	case "referrers":
		return referrersRegistry + "/" + name
	}
	return "oci:" + w.path("layouts/"+name)
}

// identityAt is who signs on a place, without a key: in each the product finds
// its identity in another way.
func identityAt(place string) string {
	return map[string]string{"registry": "gitlab", "referrers": "github", "layout": "email"}[place]
}

// signing is the flags and the environment with which the product signs.
func (w *world) signing(r row) (flags, env []string, err error) {
	flags = []string{"--sign-format", r.format}
	if r.signer == "key" {
		return append(flags, "--key", w.key+".key"), nil, nil
	}
	flags = append(flags, "--keyless", "--signing-config", w.path("signing_config.json"), "--trusted-root", w.path("trusted_root.json"))
	kind := identityAt(r.place)
	token, err := w.issuer.sign(w.issuer.known[kind], "sigstore")
	switch kind {
	case "github":
		env = []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + w.issuer.of(kind) + "/request?api-version=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + requestToken}
	case "gitlab":
		env = []string{"SIGSTORE_ID_TOKEN=" + token}
	default:
		flags = append(flags, "--identity-token", token)
	}
	return flags, env, err
}

// trusts is what a reader trusts who takes a signer's images.
func (w *world) trusts(signer, place string) trustIn {
	if signer == "key" {
		return trustIn{key: w.key + ".pub", root: w.path("key_root.json")}
	}
	kind := identityAt(place)
	return trustIn{root: w.path("trusted_root.json"), identity: w.issuer.known[kind].subject, issuer: w.issuer.of(kind)}
}

// push pushes all images to one place and returns a subject for each: "index",
// "verify", which is an image of that index or, in a layout, the child, and in
// a registry "child" and "base".
func (w *world) push(ctx context.Context, r row) (map[string]subject, error) {
	to := w.destination(r)
	flags, env, err := w.signing(r)
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for _, images := range w.images() {
		args := append([]string{"push"}, images...)
		args = append(append(args, flags...), "--offline", "--to", to, "--output", "refs", "--progress", "quiet")
		out, err := w.run(ctx, env, args...)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(out) {
			name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(line)), to+"/"), ":")
			refs[name] = strings.TrimSpace(string(line))
		}
	}
	if r.place == "layout" {
		return w.layouts(ctx, to, refs)
	}
	index, err := parseSubject(refs["base-debian"])
	if err != nil {
		return nil, err
	}
	image, err := w.platform(ctx, index)
	if err != nil {
		return nil, err
	}
	child, err := parseSubject(refs["tools"])
	if err != nil {
		return nil, err
	}
	base, err := parseSubject(refs["base-alpine"])
	return map[string]subject{"index": index, "verify": image, "child": child, "base": base}, err
}

// layouts makes a layout of one tag of each image.
func (w *world) layouts(ctx context.Context, from string, refs map[string]string) (map[string]subject, error) {
	subjects := map[string]subject{}
	for command, name := range map[string]string{"index": "base-debian", "verify": "tools"} {
		s, err := parseSubject(refs[name])
		if err != nil {
			return nil, err
		}
		dir := strings.TrimPrefix(from, "oci:") + "-" + name
		if _, err := output(ctx, w.env(), w.product.command, "copy", refs[name], "oci:"+dir); err != nil {
			return nil, err
		}
		subjects[command] = subject{ref: dir + "/" + name, layout: true, digest: s.digest}
	}
	return subjects, nil
}

// parseSubject takes NAME:TAG@DIGEST.
func parseSubject(ref string) (subject, error) {
	name, digest, ok := strings.Cut(ref, "@")
	colon := strings.LastIndex(name, ":")
	if !ok || colon < 0 {
		return subject{}, fmt.Errorf("%q is not NAME:TAG@DIGEST", ref)
	}
	return subject{ref: name[:colon] + "@" + digest, digest: digest}, nil
}

// platform is the amd64 image of an index.
func (w *world) platform(ctx context.Context, index subject) (subject, error) {
	raw, err := registryAt(index.ref).manifest(ctx, index.digest)
	if err != nil {
		return subject{}, err
	}
	var m struct {
		Manifests []struct {
			Digest   string `json:"digest"`
			Platform struct {
				Architecture string `json:"architecture"`
			} `json:"platform"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return subject{}, err
	}
	for _, d := range m.Manifests {
		if d.Platform.Architecture == "amd64" {
			name, _, _ := strings.Cut(index.ref, "@")
			return subject{ref: name + "@" + d.Digest, digest: d.Digest}, nil
		}
	}
	return subject{}, fmt.Errorf("%s has no image for amd64: %s", index.ref, raw)
}
