package deploy

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/shudl/shudl-assemble/recipes"
)

// file is the part of the Compose Specification that is written. Its order is
// the order of the file.
type file struct {
	Name     string        `yaml:"name"`
	Services yaml.MapSlice `yaml:"services"`
	Volumes  yaml.MapSlice `yaml:"volumes"`
	Secrets  yaml.MapSlice `yaml:"secrets"`
}

type composeService struct {
	Image       string        `yaml:"image"`
	Command     []string      `yaml:"command,omitempty"`
	User        string        `yaml:"user"`
	Environment yaml.MapSlice `yaml:"environment,omitempty"`
	Secrets     []string      `yaml:"secrets,omitempty"`
	DependsOn   yaml.MapSlice `yaml:"depends_on,omitempty"`
	Ports       []string      `yaml:"ports,omitempty"`
	Volumes     []string      `yaml:"volumes,omitempty"`
	Tmpfs       []string      `yaml:"tmpfs"`
	ShmSize     string        `yaml:"shm_size,omitempty"`
	MemLimit    string        `yaml:"mem_limit"`
	Ulimits     yaml.MapSlice `yaml:"ulimits,omitempty"`
	ReadOnly    bool          `yaml:"read_only"`
	CapDrop     []string      `yaml:"cap_drop"`
	SecurityOpt []string      `yaml:"security_opt"`
	Healthcheck *composeCheck `yaml:"healthcheck,omitempty"`
	StopSignal  string        `yaml:"stop_signal,omitempty"`
	StopGrace   string        `yaml:"stop_grace_period"`
	Restart     string        `yaml:"restart,omitempty"`
}

type composeCheck struct {
	Disable     bool     `yaml:"disable,omitempty"`
	Test        []string `yaml:"test,omitempty"`
	Interval    string   `yaml:"interval,omitempty"`
	Timeout     string   `yaml:"timeout,omitempty"`
	StartPeriod string   `yaml:"start_period,omitempty"`
	Retries     int      `yaml:"retries,omitempty"`
}

func composeFile(o Options, all []service) ([]byte, error) {
	f := file{Name: o.Name}
	address := addresses(all, func(s service) string { return s.name })
	for _, s := range all {
		f.Services = append(f.Services, yaml.MapItem{Key: s.name, Value: s.compose(all, address)})
		for i := range s.image.Config.Volumes {
			if s.script == "" {
				f.Volumes = append(f.Volumes, yaml.MapItem{Key: s.volume(i), Value: struct{}{}})
			}
		}
	}
	for _, name := range secretNames(all) {
		f.Secrets = append(f.Secrets, yaml.MapItem{Key: name, Value: map[string]string{"file": "./secrets/" + name}})
	}
	text, err := yaml.MarshalWithOptions(f, yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("# Written by shudl-assemble deploy compose --stack %s.\n", o.Stack)
	return append([]byte(head), text...), nil
}

// volume names the i-th volume of a service.
func (s service) volume(i int) string {
	if i == 0 {
		return s.name
	}
	return fmt.Sprintf("%s-%d", s.name, i+1)
}

func (s service) compose(all []service, address *strings.Replacer) composeService {
	c := composeService{
		Image: s.pull, User: fmt.Sprintf("%d:%d", s.uid, s.gid), ReadOnly: true, CapDrop: []string{"ALL"},
		SecurityOpt: []string{"no-new-privileges:true"}, MemLimit: fmt.Sprintf("%dm", s.memory),
		// JVMs load native libraries from there.
		Tmpfs:      []string{fmt.Sprintf("/tmp:mode=1777,exec,size=%dm", s.tmp)},
		StopSignal: s.image.Config.StopSignal, StopGrace: s.grace.String(),
	}
	for _, word := range s.command(address) {
		c.Command = append(c.Command, literal(word))
	}
	for _, v := range s.variables(address) {
		c.Environment = append(c.Environment, yaml.MapItem{Key: v.Name, Value: literal(v.Value)})
	}
	if s.address != "" {
		c.Environment = append(c.Environment, yaml.MapItem{Key: s.address, Value: s.name})
	}
	for _, one := range s.secrets {
		c.Secrets = append(c.Secrets, one.key)
	}
	for _, name := range s.needs {
		c.DependsOn = append(c.DependsOn, yaml.MapItem{Key: name, Value: map[string]string{"condition": condition(find(all, name))}})
	}
	for _, p := range s.ports {
		if p.host != 0 {
			c.Ports = append(c.Ports, fmt.Sprintf("127.0.0.1:%d:%d", p.host, p.number))
		}
	}
	if s.shm != 0 {
		c.ShmSize = fmt.Sprintf("%dm", s.shm)
	}
	if s.files != 0 {
		c.Ulimits = yaml.MapSlice{{Key: "nofile", Value: s.files}}
	}
	s.lasting(&c)
	return c
}

// lasting gives a service what makes it last: its volumes, its health check
// and its restart. A script has none of them, and what its image says of the
// server that it usually is does not hold for it.
func (s service) lasting(c *composeService) {
	h := s.image.Config.Healthcheck
	if s.script != "" {
		c.StopSignal = ""
		c.Healthcheck = &composeCheck{Disable: true}
		for _, path := range s.image.Config.Volumes {
			c.Tmpfs = append(c.Tmpfs, path+":size=1m")
		}
		return
	}
	for i, path := range s.image.Config.Volumes {
		c.Volumes = append(c.Volumes, s.volume(i)+":"+path)
	}
	start := s.healthy
	if s.waits {
		start = patience // what recovers from a crash is waited for; one that is healthy counts at once
	}
	c.Healthcheck = &composeCheck{Interval: h.Interval.String(), Timeout: h.Timeout.String(), StartPeriod: start.String(), Retries: h.Retries}
	for _, word := range h.Test {
		c.Healthcheck.Test = append(c.Healthcheck.Test, literal(word))
	}
	c.Restart = "unless-stopped"
}

func condition(s service) string {
	if s.script != "" {
		return "service_completed_successfully"
	}
	return "service_healthy"
}

// literal keeps compose from reading a dollar sign as a variable of its own.
func literal(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// variables are those of a part, with addresses, and the paths of its secrets.
func (s service) variables(address *strings.Replacer) []recipes.Variable {
	var out []recipes.Variable
	for _, v := range s.env {
		out = append(out, recipes.Variable{Name: v.Name, Value: address.Replace(v.Value)})
	}
	for _, one := range s.secrets {
		if one.variable != "" {
			out = append(out, recipes.Variable{Name: one.variable, Value: secretsFolder + one.key})
		}
	}
	return out
}

// composeNotes say how the passwords are made that the file refers to.
func composeNotes(all []service) string {
	names := secretNames(all)
	return "the services read their passwords from files beside the compose file, which are not made here; make them once:\n" +
		"  mkdir -p -m 700 secrets && for s in " + strings.Join(names, " ") + "; do [ -e secrets/$s ] || { openssl rand -hex 24 >secrets/$s && chmod 444 secrets/$s; }; done"
}
