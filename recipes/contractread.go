package recipes

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// contractFile is the name of a contract beside its recipe.
const contractFile = "test.yaml"

var (
	contractKeys  = []string{"user", "healthy", "stop", "writable", "cases"}
	containerKeys = []string{"name", "image", "env", "cmd", "user", "capabilities", "files", "volumes", "exits", "stop", "says", "log", "plain"}
	caseKeys      = []string{"name", "programs", "network", "authority", "containers", "steps"}
	programKeys   = []string{"name", "run", "ready", "install"}

	partName       = NewPattern(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	caseName       = NewPattern(`^[a-zA-Z0-9][^\x00-\x1f\x7f]{0,119}$`)
	numericUser    = NewPattern(`^[0-9]{1,9}:[0-9]{1,9}$`)
	capabilityName = NewPattern(`^[A-Z_]+$`)
	hostURL        = NewPattern(`^https?://([a-z0-9.-]+):[1-9][0-9]{0,4}(/[!-~]*)?$`)
	hostDatabase   = NewPattern(`^postgres://[a-z]+:[!-?A-~]+@([a-z0-9.-]+:[1-9][0-9]{0,4}(?:,[a-z0-9.-]+:[1-9][0-9]{0,4})*)/[a-z]+(\?[!-~]*)?$`)
	dottedName     = NewPattern(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

// openContract reads the file beside a recipe; none is no mistake.
func (rec *recipe) openContract(fsys fs.FS, prefix, dir string, rep *report) {
	name := path.Join(dir, contractFile)
	file := path.Join(prefix, name)
	info, err := fs.Lstat(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil && !info.Mode().IsRegular() {
		rep.add(Position{File: file}, "", "not a regular file")
		return
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		rep.add(Position{File: file}, "", "cannot be read: %v", err)
		return
	}
	if rec.contract, err = parseYAML(file, data); err != nil {
		one := err.(*Error)
		rep.add(one.Position, one.Key, "%s", one.Message)
		return
	}
	sum := sha256.Sum256(data)
	rec.contractSum = Digest(hex.EncodeToString(sum[:]))
}

// readContract makes the contract concrete for one stream, distro and
// platform.
func (rec *recipe) readContract(s scope, st stream) *Contract {
	if rec.contract == nil {
		return nil
	}
	r, ok := s.record(rec.contract, "", contractKeys...)
	if !ok {
		return nil
	}
	c := &Contract{Ref: Ref{rec.name, st.name}, Distro: s.distro, Platform: s.platform, Source: rec.contract.pos.File, SHA256: rec.contractSum,
		User: r.must("user"), Healthy: parsed(r, "healthy", parseInterval), Stop: parsed(r, "stop", parseInterval)}
	r.match("user", c.User, numericUser, "user, want UID:GID in numbers,")
	c.Writable = r.absolutes("writable")
	for _, one := range r.items("cases") {
		if inner, ok := s.listed(one, append(slices.Clone(caseKeys), containerKeys...)...); ok {
			c.Cases = append(c.Cases, inner.testCase(c))
		}
	}
	if len(c.Cases) == 0 {
		r.add(r.v.pos, "cases", "want at least one case")
	}
	return c
}

// absolutes reads absolute, clean paths.
func (r record) absolutes(name string) []string {
	list := r.texts(name)
	for _, text := range list {
		r.absolute(name, text)
	}
	return list
}

// mustAbsolute reads an absolute, clean path that has to be there.
func (r record) mustAbsolute(name string) string {
	text := r.must(name)
	r.absolute(name, text)
	return text
}

func (r record) testCase(c *Contract) Case {
	one := Case{Name: r.must("name"), Pos: r.v.pos}
	r.match("name", one.Name, caseName, "name of a case")
	if slices.ContainsFunc(c.Cases, func(other Case) bool { return other.Name == one.Name }) {
		r.fault("name", "two cases are named %q", one.Name)
	}
	switch text := r.text("network"); text {
	case "", "shared":
	case "separate":
		one.Separate = true
	default:
		r.fault("network", "want shared or separate, have %q", text)
	}
	one.Programs = r.programs()
	one.Authority = r.authority()
	one.Containers = r.containers(c)
	for _, item := range r.items("steps") {
		if inner, ok := r.listed(item, stepKeys...); ok {
			one.Steps = append(one.Steps, inner.step(one))
		}
	}
	r.writesFirst(one.Steps)
	r.cutFirst(one)
	return one
}

func (r record) programs() []Program {
	var out []Program
	for _, item := range r.items("programs") {
		inner, ok := r.listed(item, programKeys...)
		if !ok {
			continue
		}
		p := Program{Name: inner.must("name"), Args: inner.texts("run"), Ready: inner.text("ready"), Install: inner.must("install")}
		inner.match("name", p.Name, partName, "name")
		inner.address("ready", p.Ready, Case{})
		if len(p.Args) == 0 {
			inner.add(inner.v.pos, join(inner.key, "run"), "missing")
		}
		out = append(out, p)
	}
	return out
}

func (r record) authority() *Authority {
	if !r.has("authority") {
		return nil
	}
	v, key := r.at("authority")
	inner, ok := r.scope.record(v, key, "port", "file")
	if !ok {
		return nil
	}
	a := &Authority{Port: inner.number("port"), File: inner.mustAbsolute("file")}
	if a.Port < 1024 || a.Port > 65535 {
		inner.fault("port", "want a port from 1024 to 65535")
	}
	return a
}

// containers reads the list, or the one container that the case itself
// describes.
func (r record) containers(c *Contract) []Container {
	v, _ := r.at("containers")
	if v == nil {
		one := r.container(c)
		one.Name = "main"
		return []Container{one}
	}
	for _, key := range containerKeys {
		if key != "name" && r.has(key) {
			r.fault(key, "stands beside containers: write it in one of them")
		}
	}
	var out []Container
	for _, item := range r.items("containers") {
		inner, ok := r.listed(item, containerKeys...)
		if !ok {
			continue
		}
		one := inner.container(c)
		one.Name = inner.must("name")
		inner.match("name", one.Name, partName, "name")
		if slices.ContainsFunc(out, func(other Container) bool { return other.Name == one.Name }) {
			inner.fault("name", "two containers are named %q", one.Name)
		}
		out = append(out, one)
	}
	return out
}

func (r record) container(c *Contract) Container {
	one := Container{User: r.text("user"), Env: r.variables("env"), Capabilities: r.texts("capabilities"), Pos: r.v.pos}
	if r.has("cmd") {
		one.Cmd = append([]string{}, r.looseTexts("cmd")...)
	}
	one.Image = r.helper()
	r.match("user", one.User, numericUser, "user, want UID:GID in numbers,")
	for _, name := range one.Capabilities {
		r.match("capabilities", name, capabilityName, "capability, want it as CHOWN,")
	}
	one.Files, one.Volumes = r.mountedFiles(), r.mountedVolumes()
	if r.has("exits") {
		status := r.number("exits")
		one.Exits = &status
	}
	if c.Stack && !r.has("image") {
		r.add(r.v.pos, join(r.key, "image"), "missing: a stack has no image of its own")
	} else if one.Exits == nil && one.Image == (Ref{}) && (c.Healthy == 0 || c.Stop == 0) {
		r.add(r.v.pos, r.key, "a container that does not end by itself wants healthy and stop of the contract")
	}
	one.Stop = parsed(r, "stop", parseInterval)
	one.Says = r.patterns("says")
	r.logFormat(&one)
	return one
}

// helper reads the image of a container, base for the distro's own. Whether it
// exists is known when all recipes are read.
func (r record) helper() Ref {
	text := r.text("image")
	if text == "" {
		return Ref{}
	}
	ref, err := ParseRef(text)
	if err != nil {
		r.fault("image", "%v", err)
	}
	if ref.Name == "base" {
		ref.Name = r.distro.Base()
	}
	return ref
}

// variables reads names and values; Java programs have dotted names.
func (r record) variables(name string) []Variable {
	var out []Variable
	for _, p := range r.pairs(name) {
		if !dottedName.MatchString(p.name) {
			r.add(p.pos, p.key, "bad name of a variable")
		}
		out = append(out, Variable{p.name, r.loose(p.value, p.key)})
	}
	return out
}

// looseTexts reads a list of scalars, each of which may be empty.
func (r record) looseTexts(name string) []string {
	var out []string
	for _, one := range r.items(name) {
		out = append(out, r.loose(one.value, one.key))
	}
	return out
}

func (r record) logFormat(one *Container) {
	switch text := r.text("log"); text {
	case "", "text":
	case "json":
		one.JSON = true
	default:
		r.fault("log", "want text or json, have %q", text)
	}
	for _, item := range r.items("plain") {
		inner, ok := r.listed(item, "line", "reason")
		if !ok {
			continue
		}
		one.Plain = append(one.Plain, PlainLine{Line: parsed(inner, "line", pattern), Reason: inner.must("reason")})
		inner.must("line")
	}
	if len(one.Plain) > 0 && !one.JSON {
		r.fault("plain", "says which lines are no JSON, but the log is text")
	}
}

func (r record) mountedFiles() []MountedFile {
	var out []MountedFile
	for _, item := range r.items("files") {
		inner, ok := r.listed(item, "path", "content", "compress", "mode")
		if !ok {
			continue
		}
		f := MountedFile{Path: inner.mustAbsolute("path"), Content: inner.must("content"), Compress: inner.text("compress"), Mode: 0o644}
		if inner.has("mode") {
			f.Mode = parsed(inner, "mode", parseMode)
		}
		if !slices.Contains([]string{"", "gzip", "xz", "zstd"}, f.Compress) {
			inner.fault("compress", "want gzip, xz or zstd")
		}
		out = append(out, f)
	}
	return out
}

func (r record) mountedVolumes() []Volume {
	var out []Volume
	for _, item := range r.items("volumes") {
		inner, ok := r.listed(item, "path", "name", "owner", "mode")
		if !ok {
			continue
		}
		v := Volume{Path: inner.mustAbsolute("path"), Name: inner.text("name"), Owner: inner.text("owner"), Mode: parsed(inner, "mode", parseMode)}
		inner.match("name", v.Name, partName, "name")
		inner.match("owner", v.Owner, numericUser, "owner, want UID:GID in numbers,")
		out = append(out, v)
	}
	return out
}

// pattern compiles a regular expression whose ^ and $ are those of a line.
func pattern(text string) (*regexp.Regexp, error) { return regexp.Compile("(?m)" + text) }

func (r record) patterns(name string) []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, one := range r.items(name) {
		text := r.scope.text(one.value, one.key)
		compiled, err := pattern(text)
		if err != nil {
			r.add(one.value.pos, one.key, "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			continue
		}
		out = append(out, compiled)
	}
	return out
}
