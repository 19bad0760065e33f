package keyless

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/sigstore/cosign/v2/pkg/providers"
	// Where tokens come from without being asked for, in this order.
	_ "github.com/sigstore/cosign/v2/pkg/providers/envvar"
	"github.com/sigstore/cosign/v2/pkg/providers/filesystem"
	_ "github.com/sigstore/cosign/v2/pkg/providers/github"
)

// audience is whom a token must be for.
const audience = "sigstore"

// tokens returns where a token comes from. It is asked again for each
// certificate: tokens are short-lived, and most places renew them.
func tokens(given string) func(ctx context.Context) (string, error) {
	if given == "" {
		return ambient
	}
	return func(context.Context) (string, error) {
		if isToken(given) {
			return given, nil
		}
		return readToken(given)
	}
}

// isToken says whether a text has the form of a JSON web token (RFC 7519).
func isToken(s string) bool { return strings.Count(s, ".") == 2 && strings.HasPrefix(s, "ey") }

func readToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: identity token: neither a token nor a file with one: %w", ErrIdentity, err)
	}
	token := strings.TrimSpace(string(data))
	if !isToken(token) {
		return "", fmt.Errorf("%w: identity token: %s holds no JSON web token", ErrIdentity, path)
	}
	return token, nil
}

// ambient asks the environment: SIGSTORE_ID_TOKEN, as GitLab sets it; a token
// that Kubernetes projects into a file; GitHub Actions.
func ambient(ctx context.Context) (string, error) {
	for _, place := range providers.Providers() {
		if !place.Provider.Enabled(ctx) {
			continue
		}
		token, err := place.Provider.Provide(ctx, audience)
		if err != nil {
			return "", fmt.Errorf("%w: token from %s: %w", ErrIdentity, place.Name, err)
		}
		if token = strings.TrimSpace(token); !isToken(token) {
			return "", fmt.Errorf("%w: %s gave no token", ErrIdentity, place.Name)
		}
		return token, nil
	}
	return "", fmt.Errorf("%w: no token is given and none is found here", ErrIdentity)
}

// Ways says how a token can be had, a line each.
func Ways() []string {
	return []string{
		"GitHub Actions: give the job `permissions: id-token: write`",
		"GitLab CI: give the job `id_tokens: {SIGSTORE_ID_TOKEN: {aud: " + audience + "}}`",
		"Kubernetes: project a service account token with audience " + audience + " at " + filesystem.FilesystemTokenPath,
		"elsewhere: give a token, or a file with one, by --identity-token",
	}
}
