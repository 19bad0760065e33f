package recipes

import (
	"slices"
	"strings"
)

// stepKeys are the actions, each of which is a key, and what goes with them.
var stepKeys = []string{"run", "http", "metrics", "says", "start", "stop", "restart", "kill", "cut", "heal", "writes", "resumed", "kept",
	"name", "in", "env", "cmd", "method", "headers", "data", "status", "prints", "matches", "json", "has", "within"}

// stepWants says which keys go with an action.
func stepWants(do Action) []string {
	always := []string{string(do), "name", "within"}
	switch do {
	case Run:
		return append(always, "in", "env", "status", "prints", "matches", "json")
	case HTTP:
		return append(always, "method", "headers", "data", "status", "prints", "matches", "json")
	case Metrics:
		return append(always, "headers", "has")
	case Says:
		return append(always, "in")
	case Restart:
		return append(always, "cmd")
	case Resumed:
		return []string{string(do), "within"}
	}
	return always
}

// step reads a step; what it names is of the case.
func (r record) step(c Case) Step {
	st := Step{Name: r.text("name"), Pos: r.v.pos, Within: parsed(r, "within", parseInterval)}
	for _, do := range []Action{Run, HTTP, Metrics, Says, Start, Stop, Restart, Kill, Cut, Heal, Writes, Resumed, Kept} {
		if !r.has(string(do)) {
			continue
		}
		if st.Do != "" {
			r.fault(string(do), "stands beside %s: one action a step", st.Do)
		}
		st.Do = do
	}
	if st.Do == "" {
		r.add(r.v.pos, r.key, "no action: there are run, http, metrics, says, start, stop, restart, kill, cut, heal, writes, resumed, kept")
		return st
	}
	r.match("name", st.Name, caseName, "name of a step")
	r.unwanted(st.Do)
	r.action(&st, c)
	r.expectation(&st)
	return st
}

// unwanted refuses keys that the action has no use for.
func (r record) unwanted(do Action) {
	wanted := append(stepWants(do), filterKeys...)
	for _, f := range r.v.fields {
		if slices.Contains(stepKeys, f.name) && !slices.Contains(wanted, f.name) {
			r.add(f.pos, join(r.key, f.name), "has no meaning with %s", do)
		}
	}
}

func (r record) action(st *Step, c Case) {
	switch st.Do {
	case Run:
		st.Args, st.Env = r.looseTexts("run"), r.variables("env")
		if len(st.Args) == 0 || st.Args[0] == "" {
			r.fault("run", "want a list that begins with a command")
		}
		st.In = r.in("in", c.Containers)
	case HTTP, Metrics:
		st.URL = r.text(string(st.Do))
		r.address(string(st.Do), st.URL, c)
		st.Headers = r.variables("headers")
	case Says:
		st.Matches = parsed(r, "says", pattern)
		st.In = r.in("in", c.Containers)
	case Writes, Kept:
		st.URL = r.text(string(st.Do))
		r.database(string(st.Do), st.URL, c)
	case Resumed:
		st.Name = r.text(string(st.Do))
		r.match(string(st.Do), st.Name, caseName, "name of an event")
	case Start, Stop, Restart, Kill, Cut, Heal:
		st.In = r.in(string(st.Do), c.Containers)
		if r.has("cmd") {
			st.Args = append([]string{}, r.looseTexts("cmd")...)
		}
		if st.Name == "" {
			st.Name = st.In + " " + map[Action]string{
				Start: "starts", Stop: "stops", Restart: "restarts", Kill: "is killed", Cut: "is cut off", Heal: "is connected again",
			}[st.Do]
		}
		return
	}
	if st.Name == "" {
		r.add(r.v.pos, join(r.key, "name"), "missing")
	}
}

// in names a container; the only one need not be named.
func (r record) in(key string, containers []Container) string {
	name := r.text(key)
	if name == "" && len(containers) > 0 {
		if len(containers) > 1 {
			r.add(r.v.pos, join(r.key, key), "missing: the case has several containers")
		}
		return containers[0].Name
	}
	if !slices.ContainsFunc(containers, func(c Container) bool { return c.Name == name }) {
		names := make([]string, len(containers))
		for i, c := range containers {
			names[i] = c.Name
		}
		r.fault(key, "there is no container %q: there are %s", name, strings.Join(names, ", "))
	}
	return name
}

// expectation reads what must come of the step.
func (r record) expectation(st *Step) {
	if st.Do == HTTP {
		st.Method, st.Data, st.Status = r.text("method"), r.text("data"), 200
		if st.Method == "" {
			st.Method = "GET"
		}
	}
	if r.has("status") {
		st.Status = r.number("status")
	}
	if v, key := r.at("prints"); v != nil {
		text := strings.TrimRight(r.loose(v, key), "\n")
		st.Prints = &text
	}
	if st.Do != Says {
		st.Matches = parsed(r, "matches", pattern)
	}
	for _, p := range r.pairs("json") {
		st.JSON = append(st.JSON, Variable{p.name, r.loose(p.value, p.key)})
	}
	st.Has = r.texts("has")
}
