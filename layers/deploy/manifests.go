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
// are admitted under Pod Security "restricted".
func Kubernetes(ctx context.Context, o Options) (Manifests, error) {
	if o.Stack == "" {
		o.Stack = StackHA
	}
	if err := o.complete(); err != nil {
		return Manifests{}, err
	}
	if o.Stack == StackHA {
		text, err := HA(ctx, o)
		return Manifests{Text: text, Notes: o.Notes()}, err
	}
	all, err := o.services(ctx)
	if err != nil {
		return Manifests{}, err
	}
	w := workloads{Options: o, all: all}
	text, err := marshal(w.objects())
	return Manifests{Text: text, Notes: w.notes()}, err
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
	// grace is how long it has to stop.
	grace time.Duration
}

// services finds the images of the parts of a stack.
func (o *Options) services(ctx context.Context) ([]service, error) {
	var all []service
	for _, p := range parts(o.Stack) {
		s := service{part: p}
		var err error
		if s.image, err = o.Set.Image(recipes.Ref{Name: p.image}, o.Distro, o.Platform); err != nil {
			return nil, err
		}
		if s.uid, s.gid, err = ids(s.image); err != nil {
			return nil, err
		}
		held, err := o.Set.Contract(s.image.Ref, o.Distro, o.Platform)
		if err != nil {
			return nil, err
		}
		// The contract speaks of a service without work.
		s.grace = 6 * held.Stop
		if s.pull, err = o.pinned(ctx, s.image); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
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

// secretNote says how the Secret is made that the objects refer to.
func secretNote(o Options, keys []string) string {
	text := fmt.Sprintf("the pods wait for the Secret %s, which is not among the manifests; after they are applied, make it once "+
		"(where it is there already, add the keys that it lacks by kubectl patch: a password of PostgreSQL that is made anew does not change the server's):\n"+
		"  kubectl -n %s create secret generic %s", o.Secret, o.Namespace, o.Secret)
	for _, key := range keys {
		text += fmt.Sprintf(" --from-literal=%s=\"$(openssl rand -hex 24)\"", key)
	}
	return text
}
