package recipes

import (
	"maps"
	"slices"
	"strings"
)

var (
	configKeys = []string{"user", "entrypoint", "cmd", "env", "ports", "volumes", "working-dir", "stop-signal", "labels", "healthcheck"}
	healthKeys = []string{"test", "interval", "timeout", "start-period", "retries"}
)

// readConfig reads what the recipe itself says of how the image runs, and
// gives the mapping so that inheriting can tell an empty list from none.
func (rec *recipe) readConfig(s scope, image *Image) record {
	v := rec.top.get("config")
	if s.resolve(v, "config") == nil {
		return record{scope: s, key: "config", v: &value{shape: mapping, pos: rec.top.pos}}
	}
	r, ok := s.record(v, "config", configKeys...)
	if !ok {
		return record{scope: s, key: "config", v: &value{shape: mapping, pos: rec.top.pos}}
	}
	c := &image.Config
	c.User, c.WorkingDir, c.StopSignal = r.text("user"), r.text("working-dir"), r.text("stop-signal")
	c.Entrypoint, c.Cmd = r.texts("entrypoint"), r.texts("cmd")
	c.Ports, c.Volumes = r.texts("ports"), r.texts("volumes")
	r.match("user", c.User, userText, "user")
	r.match("stop-signal", c.StopSignal, signalText, "signal")
	r.absolute("working-dir", c.WorkingDir)
	for _, port := range c.Ports {
		if !portText.MatchString(port) {
			r.fault("ports", "bad port %q: want a number with /tcp or /udp", port)
		}
	}
	for _, volume := range c.Volumes {
		r.absolute("volumes", volume)
	}
	for _, p := range r.pairs("env") {
		if !envName.MatchString(p.name) {
			r.add(p.pos, p.key, "bad name of an environment variable")
		}
		c.Env = append(c.Env, Variable{p.name, s.loose(p.value, p.key)})
	}
	slices.SortFunc(c.Env, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range r.pairs("labels") {
		if !labelName.MatchString(p.name) {
			r.add(p.pos, p.key, "bad label name")
		}
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		c.Labels[p.name] = s.loose(p.value, p.key)
	}
	c.Healthcheck = r.healthcheck()
	return r
}

// loose reads a scalar that may be empty.
func (s scope) loose(v *value, key string) string {
	v = s.want(v, key, scalar)
	if v == nil {
		return ""
	}
	return s.expand(v.text, v.pos, key)
}

func (r record) healthcheck() *Healthcheck {
	if !r.has("healthcheck") {
		return nil
	}
	v, key := r.at("healthcheck")
	inner, ok := r.scope.record(v, key, healthKeys...)
	if !ok {
		return nil
	}
	h := &Healthcheck{Test: inner.texts("test"), Interval: parsed(inner, "interval", parseInterval),
		Timeout: parsed(inner, "timeout", parseInterval), StartPeriod: parsed(inner, "start-period", parseInterval),
		Retries: inner.number("retries")}
	if len(h.Test) == 0 {
		inner.add(inner.v.pos, join(inner.key, "test"), "missing")
		return h
	}
	if !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, h.Test[0]) {
		h.Test = append([]string{"CMD"}, h.Test...)
	}
	return h
}

// inherit completes a config with its parent's. What the recipe sets replaces
// what the parent says; env and labels are merged name by name. An entrypoint
// of its own clears the parent's cmd.
func (e expanded) inherit(parent Config) {
	own, c := &e.Config, e.config
	if !c.has("user") {
		own.User = parent.User
	}
	if !c.has("cmd") && !c.has("entrypoint") {
		own.Cmd = slices.Clone(parent.Cmd)
	}
	if !c.has("entrypoint") {
		own.Entrypoint = slices.Clone(parent.Entrypoint)
	}
	if !c.has("ports") {
		own.Ports = slices.Clone(parent.Ports)
	}
	if !c.has("volumes") {
		own.Volumes = slices.Clone(parent.Volumes)
	}
	if !c.has("working-dir") {
		own.WorkingDir = parent.WorkingDir
	}
	if !c.has("stop-signal") {
		own.StopSignal = parent.StopSignal
	}
	if !c.has("healthcheck") {
		own.Healthcheck = parent.Healthcheck
	}
	own.Env = mergeEnv(parent.Env, own.Env)
	if parent.Labels != nil {
		merged := maps.Clone(parent.Labels)
		maps.Copy(merged, own.Labels)
		own.Labels = merged
	}
}

// mergeEnv keeps the parent's variables in their order, with the values that
// the image gives them, and appends the image's own.
func mergeEnv(parent, own []Variable) []Variable {
	merged := slices.Clone(parent)
	for _, v := range own {
		at := slices.IndexFunc(merged, func(p Variable) bool { return p.Name == v.Name })
		if at >= 0 {
			merged[at].Value = v.Value
		} else {
			merged = append(merged, v)
		}
	}
	return merged
}
