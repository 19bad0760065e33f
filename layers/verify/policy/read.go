package policy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

// document is the file as it is written.
type document struct {
	Version     int             `yaml:"version"`
	TrustedRoot string          `yaml:"trusted-root"`
	Registries  []string        `yaml:"registries"`
	Images      []documentEntry `yaml:"images"`
}

type documentEntry struct {
	Match      []string         `yaml:"match"`
	Signers    []documentSigner `yaml:"signers"`
	Predicates []string         `yaml:"predicates"`
	MaxAge     string           `yaml:"max-age"`
	Parents    []string         `yaml:"parents"`
	Registries []string         `yaml:"registries"`
}

type documentSigner struct {
	Key            string `yaml:"key"`
	Identity       string `yaml:"identity"`
	IdentityRegexp string `yaml:"identity-regexp"`
	Issuer         string `yaml:"issuer"`
	IssuerRegexp   string `yaml:"issuer-regexp"`
	IgnoreLog      bool   `yaml:"insecure-ignore-tlog"`
	IgnoreSCT      bool   `yaml:"insecure-ignore-sct"`
}

// Open reads a policy. Keys and trusted root are looked for beside it. What
// is wrong with it is recipes.Errors.
func Open(file string) (*Policy, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return Parse(file, data)
}

// Parse reads a policy that was read from a file of this name.
func Parse(file string, data []byte) (*Policy, error) {
	var doc document
	places, err := decode(file, data, &doc)
	if err != nil {
		return nil, err
	}
	r := &reader{places: places, dir: filepath.Dir(file)}
	p := &Policy{file: file, registries: r.registries("registries", doc.Registries)}
	if doc.Version != 1 {
		r.add("version", "%d: this program reads version 1", doc.Version)
	}
	if doc.TrustedRoot != "" {
		if r.root, err = trust.ReadRoot(r.beside(doc.TrustedRoot)); err != nil {
			r.add("trusted-root", "%s", err)
		}
	}
	if len(doc.Images) == 0 {
		r.add("images", "want at least one entry: without it every image is refused")
	}
	for n, one := range doc.Images {
		p.entries = append(p.entries, r.entry(fmt.Sprintf("images[%d]", n), one))
	}
	if len(r.errs) > 0 {
		return nil, r.errs
	}
	return p, nil
}

// reader turns a document into a policy and collects what is wrong with it.
type reader struct {
	places places
	dir    string
	root   root.TrustedMaterial
	errs   recipes.Errors
}

func (r *reader) add(key, format string, args ...any) {
	r.errs = append(r.errs, &recipes.Error{Position: r.places.of(key), Key: key, Message: fmt.Sprintf(format, args...)})
}

// beside is a path relative to the policy.
func (r *reader) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.dir, filepath.FromSlash(name))
}

func (r *reader) entry(key string, d documentEntry) entry {
	e := entry{match: d.Match, registries: r.registries(key+".registries", d.Registries)}
	e.rule.Source = fmt.Sprintf("%s: %s", r.places.of(key), key)
	if len(d.Match) == 0 {
		r.add(key+".match", "want at least one glob")
	}
	for n, glob := range d.Match {
		if glob == "" || !doublestar.ValidatePattern(glob) {
			r.add(fmt.Sprintf("%s.match[%d]", key, n), "bad glob %q", glob)
		}
	}
	if len(d.Signers) == 0 {
		r.add(key+".signers", "want at least one signer")
	}
	for n, s := range d.Signers {
		at := fmt.Sprintf("%s.signers[%d]", key, n)
		signer, err := r.signer(s)
		if err != nil {
			r.add(at, "%s", err)
			continue
		}
		e.rule.Signers = append(e.rule.Signers, signer)
	}
	for n, name := range d.Predicates {
		predicate, err := predicate(name)
		if err != nil {
			r.add(fmt.Sprintf("%s.predicates[%d]", key, n), "%s", err)
		}
		e.rule.Predicates = append(e.rule.Predicates, predicate)
	}
	for n, parent := range d.Parents {
		if !parentName.MatchString(parent) {
			r.add(fmt.Sprintf("%s.parents[%d]", key, n), "bad image name %q", parent)
		}
	}
	e.rule.Parents = d.Parents
	if d.MaxAge != "" {
		var err error
		if e.rule.MaxAge, err = age(d.MaxAge); err != nil {
			r.add(key+".max-age", "%s", err)
		}
	}
	return e
}

var parentName = recipes.NewPattern(`^[a-z0-9]+([._-]+[a-z0-9]+)*$`)

// signer reads one who may sign: a key, or an identity with its issuer.
func (r *reader) signer(d documentSigner) (trust.Signer, error) {
	identity := d
	identity.Key = ""
	if d.Key != "" {
		if identity != (documentSigner{}) {
			return nil, errors.New("want a key or an identity, not both: a list takes several signers")
		}
		file := d.Key
		if !strings.HasPrefix(file, "env://") {
			file = r.beside(file)
		}
		public, err := attest.LoadPublicKey(file)
		if err != nil {
			return nil, err
		}
		return trust.Key(public)
	}
	if d.Identity == "" && d.IdentityRegexp == "" || d.Issuer == "" && d.IssuerRegexp == "" {
		return nil, errors.New("want a key, or an identity and its issuer")
	}
	if r.root == nil {
		return nil, errors.New("an identity needs a trusted-root in the policy, which `cosign trusted-root create` makes")
	}
	return trust.Identity(trust.IdentityOptions{
		Identity: d.Identity, IdentityRegexp: whole(d.IdentityRegexp), Issuer: d.Issuer, IssuerRegexp: whole(d.IssuerRegexp),
		Root: r.root, IgnoreLog: d.IgnoreLog, IgnoreSCT: d.IgnoreSCT,
	})
}

// whole makes an expression match all of a text, and not one that only
// contains what it means.
func whole(expression string) string {
	if expression == "" {
		return ""
	}
	return "^(?:" + expression + ")$"
}

// registries reads where images may come from.
func (r *reader) registries(key string, list []string) []string {
	for n, one := range list {
		if one == "" || strings.Contains(one, "://") || strings.ContainsAny(one, "*?[") {
			r.add(fmt.Sprintf("%s[%d]", key, n), "bad registry %q: want ghcr.io/org, which is it and all below, or oci: for folders", one)
		}
	}
	return list
}

// predicate reads the name of something that must be attested, or its type.
func predicate(name string) (verify.Predicate, error) {
	var known []string
	for _, p := range verify.KnownPredicates() {
		if p.Name == name {
			return p, nil
		}
		known = append(known, p.Name)
	}
	if strings.HasPrefix(name, "https://") && !strings.Contains(name, "*") {
		return verify.Predicate{Name: name, Type: name}, nil
	}
	return verify.Predicate{}, fmt.Errorf("unknown predicate %q: there are %s, or the https:// address of a predicate type", name, strings.Join(known, ", "))
}

// age reads a duration, also in days: 90d, 36h.
func age(text string) (time.Duration, error) {
	wrong := fmt.Errorf("bad age %q: want something like 90d or 36h", text)
	if number, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n <= 0 || n > 36500 {
			return 0, wrong
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, wrong
	}
	return d, nil
}
