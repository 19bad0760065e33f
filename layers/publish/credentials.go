package publish

import (
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	ecr "github.com/awslabs/amazon-ecr-credential-helper/ecr-login"
	acr "github.com/chrismellard/docker-credential-acr-env/pkg/credhelper"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/authn/github"
	"github.com/google/go-containerregistry/pkg/v1/google"
	"golang.org/x/net/publicsuffix"
)

// Keychain finds credentials as ko does, and GitLab's: the configuration and
// helpers of docker and podman, GitLab's CI variables, GITHUB_TOKEN for
// ghcr.io, then the cloud providers' own.
func Keychain() authn.Keychain {
	return authn.NewMultiKeychain(
		authn.DefaultKeychain,
		gitlab{},
		github.Keychain,
		google.Keychain,
		authn.NewKeychainFromHelper(ecr.NewECRHelper(ecr.WithLogger(io.Discard))),
		authn.NewKeychainFromHelper(acr.NewACRCredentialsHelper()),
	)
}

// gitlab reads the variables that GitLab gives to a CI job:
// https://docs.gitlab.com/ci/variables/predefined_variables/.
type gitlab struct{}

func (gitlab) Resolve(target authn.Resource) (authn.Authenticator, error) {
	registry := os.Getenv("CI_REGISTRY")
	if registry == "" || registry != target.RegistryStr() {
		return authn.Anonymous, nil
	}
	user, password := os.Getenv("CI_REGISTRY_USER"), os.Getenv("CI_REGISTRY_PASSWORD")
	if password == "" {
		user, password = "gitlab-ci-token", os.Getenv("CI_JOB_TOKEN")
	}
	if password == "" {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: user, Password: password}, nil
}

// trustedRealm says whether a registry's credentials may be sent to the host
// that the registry names as its token server: itself, a host of the same
// registered domain by https, or one that the user allowed. Otherwise
// whoever answers for a registry could have them sent anywhere.
func trustedRealm(registry string, realm *url.URL, allowed []string) bool {
	if realm.Host == registry {
		return true
	}
	for _, host := range allowed {
		if realm.Host == host && realm.Scheme == "https" {
			return true
		}
	}
	if Loopback(registry) {
		return Loopback(realm.Host)
	}
	return realm.Scheme == "https" && sameDomain(hostname(registry), realm.Hostname())
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

func sameDomain(a, b string) bool {
	if net.ParseIP(a) != nil || net.ParseIP(b) != nil {
		return false
	}
	domainA, errA := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(a))
	domainB, errB := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(b))
	return errA == nil && errB == nil && domainA == domainB
}
