package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// Manifests are what a tool is fed with, and what its user has to do first.
type Manifests struct {
	Text  []byte
	Notes string // without a line end
}

// Kubernetes writes the objects of a stack as one YAML stream; "" is ha. They
// are admitted under Pod Security "restricted". All but a namespace that is
// asked for are inside the namespace, so that who deletes them deletes nothing
// of others.
func Kubernetes(ctx context.Context, o Options) (Manifests, error) {
	if o.Stack == "" {
		o.Stack = StackHA
	}
	if err := o.complete(); err != nil {
		return Manifests{}, err
	}
	if o.Stack == StackHA {
		return o.ha(ctx)
	}
	all, err := o.services(ctx)
	if err != nil {
		return Manifests{}, err
	}
	w := workloads{Options: o, all: all}
	text, err := marshal(w.objects())
	return Manifests{Text: text, Notes: o.notes(secretNames(all))}, err
}

// Compose writes a stack as a file of the Compose Specification; "" is
// standalone.
func Compose(ctx context.Context, o Options) (Manifests, error) {
	if o.Stack == "" {
		o.Stack = StackStandalone
	}
	if err := o.complete(); err != nil {
		return Manifests{}, err
	}
	if o.Stack == StackHA {
		return Manifests{}, &OptionError{"stack", "there is no ha under compose: Patroni wants Kubernetes or an etcd, which is not among the images; `shudl-assemble deploy kubernetes` writes it"}
	}
	all, err := o.services(ctx)
	if err != nil {
		return Manifests{}, err
	}
	text, err := composeFile(o, all)
	return Manifests{Text: text, Notes: composeNotes(all)}, err
}

// service is a part of a stack with what its recipe says of it.
type service struct {
	part
	image    *recipes.Image
	pull     string
	uid, gid int64
	// healthy is how long its start may take, grace how long it has to stop.
	healthy, grace time.Duration
}

// services finds the images of the parts of a stack.
func (o *Options) services(ctx context.Context) ([]service, error) {
	var all []service
	for _, p := range parts(o.Stack) {
		s, err := o.service(ctx, p)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (o *Options) service(ctx context.Context, p part) (s service, err error) {
	s.part = p
	if s.image, err = o.Set.Image(recipes.Ref{Name: p.image}, o.Distro, o.Platform); err != nil {
		return s, err
	}
	if s.uid, s.gid, err = ids(s.image); err != nil {
		return s, err
	}
	held, err := o.Set.Contract(s.image.Ref, o.Distro, o.Platform)
	if err != nil {
		return s, err
	}
	if o.AnyUID && !anyUser(held) {
		return s, &OptionError{"any-uid", fmt.Sprintf("%s is not known to run as another user than its own, %s: no case of its contract does it", s.image.Ref, held.User)}
	}
	s.healthy = held.Healthy
	if h := s.image.Config.Healthcheck; h != nil {
		s.healthy = max(s.healthy, h.StartPeriod)
	}
	// The contract speaks of a service without work.
	s.grace = 6 * held.Stop
	s.pull, err = o.pinned(ctx, s.image)
	return s, err
}

// anyUser says whether a contract runs its image as a user that is neither its
// own nor root.
func anyUser(c *recipes.Contract) bool {
	for _, one := range c.Cases {
		for _, run := range one.Containers {
			if run.Image.Name == "" && run.User != "" && run.User != c.User && !strings.HasPrefix(run.User, "0:") {
				return true
			}
		}
	}
	return false
}

// command is what the container runs instead of the image's own command.
func (s service) command(address *strings.Replacer) []string {
	if s.script != "" {
		return []string{"sh", "-ec", address.Replace(s.script)}
	}
	return s.args
}

// secretNames lists the passwords of a stack, each once, sorted.
func secretNames(all []service) []string {
	var names []string
	for _, s := range all {
		for _, one := range s.secrets {
			if !slices.Contains(names, one.key) {
				names = append(names, one.key)
			}
		}
	}
	slices.Sort(names)
	return names
}

// addresses replaces each {NAME} by what address gives for it.
func addresses(all []service, address func(service) string) *strings.Replacer {
	var pairs []string
	for _, s := range all {
		pairs = append(pairs, "{"+s.name+"}", address(s))
	}
	return strings.NewReplacer(pairs...)
}

// find gives the service of a name that a part needs.
func find(all []service, name string) service {
	for _, s := range all {
		if s.name == name {
			return s
		}
	}
	panic(fmt.Sprintf("no part of the stack is named %q", name))
}

// notes say how that is made which the objects want and which is not among
// them: no password is ever written.
func (o *Options) notes(keys []string) string {
	var b strings.Builder
	when, rest := "the namespace before they are applied", "kubectl delete -f leaves both, and the volumes. "+o.left()+"The label is for a namespace that holds nothing else: it refuses pods of others that ask for more."
	if o.CreateNamespace {
		when, rest = "after they are applied", "The namespace is among them: kubectl delete -f deletes it, the Secret and the volumes."
	}
	fmt.Fprintf(&b, "make once what is not among the manifests, %s:\n", when)
	if !o.CreateNamespace {
		fmt.Fprintf(&b, "  kubectl create namespace %s && kubectl label namespace %[1]s pod-security.kubernetes.io/enforce=restricted\n", o.Namespace)
	}
	// A password among kubectl's arguments would stand in the list of processes.
	fmt.Fprintf(&b, "  for key in %s; do echo \"$key=$(openssl rand -hex 24)\"; done | kubectl -n %s create secret generic %s --from-env-file=/dev/stdin\n",
		strings.Join(keys, " "), o.Namespace, o.Secret)
	b.WriteString(rest + " Where the Secret is there already, add the keys that it lacks by kubectl patch --patch-file: " +
		"a password of PostgreSQL that is made anew does not change the server's.")
	return b.String()
}

// left says what Patroni has made by itself and what that means for another
// cluster of the name. Endpoints go with the Services of their names.
func (o *Options) left() string {
	if o.Stack != StackHA || o.Store != "configmaps" {
		return ""
	}
	return fmt.Sprintf("It leaves Patroni's ConfigMaps, too, and on fresh volumes members wait without end for the leader that these know. To throw the cluster away with all its data:\n"+
		"  kubectl -n %s delete configmap,pvc -l application=patroni,cluster-name=%s\n", o.Namespace, o.Name)
}
