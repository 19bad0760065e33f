package deploy

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/shudl/shudl-assemble/recipes"
)

// load reads a compose file as docker compose does: held to the schema of the
// Compose Specification, which knows no key but its own, with variables
// replaced and references looked up.
func load(t *testing.T, text []byte) *types.Project {
	t.Helper()
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: "/srv", Environment: types.Mapping{"1": "wrong", "NESSIE_MANAGEMENT_PORT": "wrong"},
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestCompose(t *testing.T) {
	o := published(t)
	for stack, size := range map[string]int{StackStandalone: 3, StackLakehouse: 9} {
		for _, d := range recipes.Distros() {
			o := o
			o.Stack, o.Distro = stack, d
			made, err := Compose(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if d == recipes.Debian {
				golden(t, "compose-"+stack+".yaml", made.Text)
			}
			project := load(t, made.Text)
			if len(project.Services) != size || project.Name != "lakehouse" {
				t.Errorf("%s has %d services under the name %s", stack, len(project.Services), project.Name)
			}
			for name := range project.Secrets {
				if !strings.Contains(made.Notes, " "+name) {
					t.Errorf("the notes do not make the secret %s", name)
				}
			}
			all, err := o.services(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				holdService(t, s, project.Services[s.name])
			}
		}
	}
}

// holdService holds a service to what is promised of each.
func holdService(t *testing.T, s service, c types.ServiceConfig) {
	t.Helper()
	if !strings.Contains(c.Image, "/"+s.part.image+"@sha256:") {
		t.Errorf("%s: image %s", s.name, c.Image)
	}
	if !c.ReadOnly || !slices.Equal(c.CapDrop, []string{"ALL"}) || !slices.Contains(c.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("%s: it has rights that it does not need: %+v", s.name, c)
	}
	if c.User != s.image.Config.User || c.MemLimit != types.UnitBytes(s.memory)<<20 {
		t.Errorf("%s: user %s, %d bytes", s.name, c.User, c.MemLimit)
	}
	for _, p := range c.Ports {
		if p.HostIP != "127.0.0.1" {
			t.Errorf("%s: port %s is open at %q", s.name, p.Published, p.HostIP)
		}
	}
	for _, path := range s.image.Config.Volumes {
		mounted := slices.ContainsFunc(c.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == path && v.Type == types.VolumeTypeVolume })
		thrown := slices.ContainsFunc(c.Tmpfs, func(t string) bool { return strings.HasPrefix(t, path+":") })
		if mounted == thrown || thrown != (s.script != "") {
			t.Errorf("%s: its volume %s is a volume: %t, or forgotten: %t", s.name, path, mounted, thrown)
		}
	}
	for _, v := range c.Environment {
		if v != nil && strings.ContainsAny(*v, "{}") {
			t.Errorf("%s: %s is no value", s.name, *v)
		}
	}
	if s.script != "" {
		// Compose has replaced no dollar sign of the script.
		if want := addresses(nil, nil); len(c.Command) != 3 || strings.Count(c.Command[2], "$") != strings.Count(want.Replace(s.script), "$") {
			t.Errorf("%s: command %q", s.name, c.Command)
		}
		if c.HealthCheck == nil || !c.HealthCheck.Disable {
			t.Errorf("%s: the health check of a server is that of its script", s.name)
		}
		return
	}
	if c.HealthCheck.StartPeriod == nil || time.Duration(*c.HealthCheck.StartPeriod) < s.healthy || s.healthy < s.image.Config.Healthcheck.StartPeriod {
		t.Errorf("%s: it has %v to start, its contract %s", s.name, c.HealthCheck.StartPeriod, s.healthy)
	}
	if !slices.Equal(c.HealthCheck.Test, s.image.Config.Healthcheck.Test) || c.StopGracePeriod == nil {
		t.Errorf("%s: health check %q, image %q", s.name, c.HealthCheck.Test, s.image.Config.Healthcheck.Test)
	}
}

func TestNoHAUnderCompose(t *testing.T) {
	o := published(t)
	o.Stack = StackHA
	if _, err := Compose(context.Background(), o); err == nil || !strings.Contains(err.Error(), "deploy kubernetes") {
		t.Errorf("ha under compose: %v", err)
	}
}
