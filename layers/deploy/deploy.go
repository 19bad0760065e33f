// Package deploy writes manifests that run the images: every image by its
// digest, with the rights, probes and volumes that its recipe says. The same
// inputs give the same bytes.
package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// Options say what is deployed.
type Options struct {
	Set      *recipes.Set
	Distro   recipes.Distro
	Platform recipes.Platform
	// From is where the images were published: their digests are read there.
	From publish.Destination
	// Registry is the prefix that a cluster pulls from; "" means From, which
	// then must be a registry.
	Registry string
	// Stack is one of the Stack constants.
	Stack string
	// Namespace and Name are those of the objects; defaults are lakehouse and,
	// of ha, lakehouse-pg. Secret is the name of the Secret with the passwords;
	// default NAME-credentials. Compose has the name alone, for the project.
	Namespace, Name, Secret string
	// Store is what Patroni keeps its state in: configmaps (default) or
	// endpoints.
	Store string
	// Members is how many Patroni runs in the stack ha, 2 to 5; 0 means 3.
	Members int
	// MetricsFrom is the namespace of a Prometheus that the network policies
	// let in to metrics which share a port with something else; "" is none.
	MetricsFrom string
	// Synchronous begins the cluster of ha in synchronous mode.
	Synchronous bool
	// CreateNamespace writes the namespace, too, as one that admits only pods
	// under Pod Security "restricted". Who deletes these manifests deletes then
	// whatever it holds.
	CreateNamespace bool
	// AnyUID leaves out the ids that pods run as, for a platform that assigns
	// them. An image whose contract does not show that it can is an error.
	AnyUID bool
	// StorageClass is that of the volumes; "" is the cluster's default.
	StorageClass string
}

// OptionError is a value of an option that cannot be.
type OptionError struct{ Flag, Why string }

func (e *OptionError) Error() string { return fmt.Sprintf("--%s: %s", e.Flag, e.Why) }

// label is what Kubernetes takes as the name of a Service (RFC 1035), and
// here leaves room for the suffixes of the objects.
var label = recipes.NewPattern(`^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$`)

func (o *Options) complete() error {
	if o.Stack != "" && !slices.Contains(Stacks(), o.Stack) {
		return &OptionError{"stack", fmt.Sprintf("%q is none of %s", o.Stack, strings.Join(Stacks(), ", "))}
	}
	if o.Name == "" && (o.Stack == StackStandalone || o.Stack == StackLakehouse) {
		o.Name = "lakehouse"
	}
	for _, d := range []struct {
		value *string
		or    string
	}{{&o.Namespace, "lakehouse"}, {&o.Name, "lakehouse-pg"}, {&o.Store, "configmaps"}} {
		if *d.value == "" {
			*d.value = d.or
		}
	}
	if o.Secret == "" {
		o.Secret = o.Name + "-credentials"
	}
	if !label.MatchString(o.Name) {
		return &OptionError{"name", fmt.Sprintf("%q is not a lower-case name of at most 40 letters, digits and hyphens that begins with a letter", o.Name)}
	}
	if !namespace.MatchString(o.Namespace) {
		return &OptionError{"namespace", fmt.Sprintf("%q cannot be the name of a namespace", o.Namespace)}
	}
	if !subdomain(o.Secret) {
		return &OptionError{"secret", fmt.Sprintf("%q cannot be the name of a Secret", o.Secret)}
	}
	if o.StorageClass != "" && !subdomain(o.StorageClass) {
		return &OptionError{"storage-class", fmt.Sprintf("%q cannot be the name of a StorageClass", o.StorageClass)}
	}
	if o.MetricsFrom != "" && !namespace.MatchString(o.MetricsFrom) {
		return &OptionError{"metrics-from", fmt.Sprintf("%q cannot be the name of a namespace", o.MetricsFrom)}
	}
	if err := o.completeHA(); err != nil {
		return err
	}
	if o.Registry == "" {
		if strings.HasPrefix(o.From.String(), "oci:") {
			return &OptionError{"registry", "no cluster or container engine pulls from " + o.From.String() + ": give the PREFIX of a registry that `shudl-assemble copy` brought the images to"}
		}
		o.Registry = o.From.String()
	}
	o.Registry = strings.TrimRight(o.Registry, "/")
	if _, err := publish.ParseDestination(o.Registry, publish.RegistryOptions{}); err != nil || strings.HasPrefix(o.Registry, "oci:") {
		return &OptionError{"registry", fmt.Sprintf("%q is no registry path such as ghcr.io/org/repo", o.Registry)}
	}
	return nil
}

// completeHA is about what only the stack ha has.
func (o *Options) completeHA() error {
	if o.Synchronous && o.Stack != "" && o.Stack != StackHA {
		return &OptionError{"synchronous", "the stack " + o.Stack + " has one PostgreSQL, and nothing that could follow it: --stack ha has that"}
	}
	if o.Members != 0 && o.Stack != "" && o.Stack != StackHA {
		return &OptionError{"members", "the stack " + o.Stack + " has one PostgreSQL: --stack ha has members"}
	}
	if o.Members = cmp.Or(o.Members, defaultMembers); o.Members < 2 || o.Members > maxMembers {
		return &OptionError{"members", fmt.Sprintf("%d is not 2 to %d (one alone is --stack standalone)", o.Members, maxMembers)}
	}
	if o.Store != "configmaps" && o.Store != "endpoints" {
		return &OptionError{"dcs", fmt.Sprintf("%q is neither configmaps nor endpoints", o.Store)}
	}
	return nil
}

// namespace is the name of any namespace (RFC 1123), which the user may not
// have chosen.
var namespace = recipes.NewPattern(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

var dotted = recipes.NewPattern(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// subdomain says whether most objects could have this name (RFC 1123).
func subdomain(name string) bool { return len(name) <= 253 && dotted.MatchString(name) }

// pinned finds an image where it was published and writes it as the cluster
// pulls it: by digest alone.
func (o *Options) pinned(ctx context.Context, image *recipes.Image) (string, error) {
	repo, err := o.From.Repository(image.Name)
	if err != nil {
		return "", err
	}
	// The stream's tag, or latest where there is no stream.
	tag := image.Tags("version", "id")[2]
	found, err := repo.Resolve(ctx, tag)
	if errors.Is(err, publish.ErrNoTag) {
		return "", fmt.Errorf("%s is not published in %s: `shudl-assemble push %s --distro %s --to %s` does it: %w",
			image.Ref, o.From, image.Ref, o.Distro, o.From, err)
	}
	if err != nil {
		return "", err
	}
	return o.Registry + "/" + image.Name + "@" + found.Digest.String(), nil
}
