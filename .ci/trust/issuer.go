package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// identity is one kind of user or machine that an OpenID provider vouches
// for, with the claims that Fulcio asks of this kind.
type identity struct {
	kind   string // the provider's path, which is its issuer
	fulcio string // Fulcio's name for the kind
	claims map[string]any
	// subject is what Fulcio writes into the certificate.
	subject string
}

// identities are a person, and a job on each platform whose tokens the
// product finds by itself.
func identities() []identity {
	const sha = "0123456789abcdef0123456789abcdef01234567"
	return []identity{
		{"email", "email", map[string]any{
			"sub": "1", "email": "builder@example.com", "email_verified": true,
		}, "builder@example.com"},
		{"other", "email", map[string]any{
			"sub": "2", "email": "stranger@example.net", "email_verified": true,
		}, "stranger@example.net"},
		{"github", "github-workflow", map[string]any{
			"sub":              "repo:example/images:ref:refs/heads/main",
			"job_workflow_ref": "example/images/.github/workflows/publish.yaml@refs/heads/main",
			"workflow_ref":     "example/images/.github/workflows/publish.yaml@refs/heads/main",
			"job_workflow_sha": sha, "workflow_sha": sha, "sha": sha,
			"event_name": "push", "repository": "example/images", "workflow": "publish", "ref": "refs/heads/main",
			"runner_environment": "github-hosted", "repository_id": "11", "repository_owner": "example",
			"repository_owner_id": "12", "repository_visibility": "public", "run_id": "13", "run_attempt": "1",
		}, "https://github.com/example/images/.github/workflows/publish.yaml@refs/heads/main"},
		{"gitlab", "gitlab-pipeline", map[string]any{
			"sub": "project_path:example/images:ref_type:branch:ref:main", "project_path": "example/images", "project_id": "21",
			"pipeline_source": "push", "pipeline_id": "22", "ci_config_sha": sha, "sha": sha,
			"ci_config_ref_uri": "gitlab.com/example/images//.gitlab-ci.yml@refs/heads/main",
			"namespace_path":    "example", "namespace_id": "23", "job_id": "24", "ref": "main", "ref_type": "branch",
			"runner_environment": "gitlab-hosted", "runner_id": 25, "project_visibility": "public",
		}, "https://gitlab.com/example/images//.gitlab-ci.yml@refs/heads/main"},
		{"kubernetes", "kubernetes", map[string]any{
			"sub": "system:serviceaccount:build:publisher",
			"kubernetes.io": map[string]any{
				"namespace": "build", "pod": map[string]any{"name": "publish-1", "uid": "31"},
				"serviceaccount": map[string]any{"name": "publisher", "uid": "32"},
			},
		}, "https://kubernetes.io/namespaces/build/serviceaccounts/publisher"},
	}
}

// issuer is an OpenID provider for each identity: discovery and keys, and the
// tokens themselves, as plain text and as GitHub's runners hand them out.
type issuer struct {
	url    string
	signer jose.Signer
	keys   jose.JSONWebKeySet
	known  map[string]identity
}

// requestToken is what a job sends to be given a token, as GitHub's
// ACTIONS_ID_TOKEN_REQUEST_TOKEN.
const requestToken = "request-token-of-the-job"

func newIssuer(url string) (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	if err != nil {
		return nil, err
	}
	i := &issuer{url: url, signer: signer, known: map[string]identity{}}
	i.keys.Keys = []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: string(jose.RS256), Use: "sig"}}
	for _, id := range identities() {
		i.known[id.kind] = id
	}
	return i, nil
}

// of is the issuer's URL of one kind of identity.
func (i *issuer) of(kind string) string { return i.url + "/" + kind }

func (i *issuer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	kind, path, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	id, ok := i.known[kind]
	if !ok {
		http.NotFound(w, req)
		return
	}
	switch path {
	case ".well-known/openid-configuration":
		answer(w, map[string]any{
			"issuer": i.of(kind), "jwks_uri": i.of(kind) + "/keys", "token_endpoint": i.of(kind) + "/token",
			"authorization_endpoint":                i.of(kind) + "/none",
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{string(jose.RS256)},
		})
	case "keys":
		answer(w, i.keys)
	case "token":
		i.token(w, id, "sigstore", func(token string) { fmt.Fprint(w, token) })
	case "request":
		if !strings.EqualFold(req.Header.Get("Authorization"), "Bearer "+requestToken) {
			http.Error(w, "no such job", http.StatusUnauthorized)
			return
		}
		i.token(w, id, req.URL.Query().Get("audience"), func(token string) { answer(w, map[string]string{"value": token}) })
	default:
		http.NotFound(w, req)
	}
}

func (i *issuer) token(w http.ResponseWriter, id identity, audience string, then func(string)) {
	token, err := i.sign(id, audience)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	then(token)
}

// sign makes a token that is good for ten minutes.
func (i *issuer) sign(id identity, audience string) (string, error) {
	claims := maps.Clone(id.claims)
	now := time.Now()
	claims["iss"], claims["aud"] = i.of(id.kind), audience
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Unix(), now.Add(10*time.Minute).Unix()
	return jwt.Signed(i.signer).Claims(claims).Serialize()
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// fulcioConfig says whose tokens Fulcio takes.
func (i *issuer) fulcioConfig() ([]byte, error) {
	type entry struct{ IssuerURL, ClientID, Type string }
	issuers := map[string]entry{}
	for kind, id := range i.known {
		issuers[i.of(kind)] = entry{i.of(kind), "sigstore", id.fulcio}
	}
	return json.Marshal(map[string]any{"OIDCIssuers": issuers})
}
