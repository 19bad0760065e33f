package recipes

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The keys of a recipe and of a stream.
var (
	recipeKeys = []string{"name", "summary", "from", "distros", "streams", "version", "version-of", "layers", "config", "budget"}
	streamKeys = []string{"distros", "default", "vars"}
)

// recipe is one parsed file, before it is expanded.
type recipe struct {
	name    string
	file    string // as errors name it
	top     *value
	made    []Distro
	streams []stream // one without name where the recipe has no streams
	folder  *folder

	contract    *value // test.yaml; nil where there is none
	contractSum Digest
}

// stream is one version line of a recipe.
type stream struct {
	name string
	pos  Position
	made []Distro
	v    *value
}

// expanded is an image before it is joined with its parent.
type expanded struct {
	*Image
	from     string // as the recipe says it
	pos      Position
	config   record // says which keys the recipe sets itself
	contract *Contract
}

// parseRecipe reads one file and what does not depend on distro or stream.
func parseRecipe(fsys fs.FS, prefix, dir string, rep *report) *recipe {
	file := path.Join(prefix, dir, "recipe.yaml")
	if info, err := fs.Lstat(fsys, path.Join(dir, "recipe.yaml")); err == nil && !info.Mode().IsRegular() {
		rep.add(Position{File: file}, "", "not a regular file")
		return nil
	}
	data, err := fs.ReadFile(fsys, path.Join(dir, "recipe.yaml"))
	if err != nil {
		rep.add(Position{File: file}, "", "cannot be read: %v", err)
		return nil
	}
	top, err := parseYAML(file, data)
	if err != nil {
		one := err.(*Error)
		rep.add(one.Position, one.Key, "%s", one.Message)
		return nil
	}
	rec := &recipe{file: file, top: top, folder: &folder{fsys: fsys, dir: dir,
		trees: map[string][]string{}, bytes: map[string][]byte{}}}
	s := scope{report: rep, made: Distros(), platforms: Platforms()}
	r, ok := s.record(top, "", recipeKeys...)
	if !ok {
		return nil
	}
	rec.name = r.must("name")
	r.match("name", rec.name, imageName, "image name")
	if rec.name != "" && rec.name != dir {
		r.fault("name", "recipe %s stands in the folder %s", rec.name, dir)
		return nil
	}
	rec.made = Distros()
	if f := top.get("distros"); f != nil {
		rec.made = narrow(s, f, "distros", Distros())
	}
	rec.readStreams(s)
	rec.openContract(fsys, prefix, dir, rep)
	return rec
}

// readStreams reads the names and filters of the streams.
func (rec *recipe) readStreams(s scope) {
	s.made = rec.made
	v := rec.top.get("streams")
	if v == nil {
		rec.streams = []stream{{pos: rec.top.pos, made: rec.made}}
		return
	}
	if v.shape != mapping || len(v.fields) == 0 {
		s.add(v.pos, "streams", "want a mapping with at least one stream")
		return
	}
	for _, f := range v.fields {
		key := join("streams", f.name)
		if !streamName.MatchString(f.name) || f.name == "latest" {
			s.add(f.pos, key, "bad stream name %q: it becomes a tag", f.name)
		}
		made := rec.made
		if f.value.shape != nothing {
			if _, ok := s.record(f.value, key, streamKeys...); !ok {
				continue
			}
			if d := f.value.get("distros"); d != nil {
				made = narrow(s, d, join(key, "distros"), rec.made)
			}
		}
		rec.streams = append(rec.streams, stream{f.name, f.pos, made, f.value})
	}
}

// scope is what reading needs to know of one distro, platform and stream.
func (rec *recipe) scope(rep *report, st stream, d Distro, p Platform) scope {
	s := scope{report: rep, distro: d, platform: p, made: rec.made, platforms: Platforms()}
	s.vars = map[string]string{"arch.deb": p.Deb(), "arch.apk": p.APK(), "arch.go": p.Go(), "distro": string(d)}
	if st.name == "" {
		return s
	}
	s.vars["stream"] = st.name
	if st.v == nil || st.v.shape != mapping {
		return s
	}
	own, inner := map[string]string{}, s
	inner.made = st.made
	for _, pair := range inner.pairs(st.v.get("vars"), join("streams", st.name)+".vars") {
		if _, taken := s.vars[pair.name]; taken || !variableName.MatchString(pair.name) {
			s.add(pair.pos, pair.key, "bad variable name %q", pair.name)
		}
		own[pair.name] = inner.text(pair.value, pair.key)
	}
	for name, text := range own {
		s.vars[name] = text
	}
	return s
}

// expand makes one stream of the recipe concrete for a distro and platform.
func (rec *recipe) expand(rep *report, st stream, d Distro, p Platform) expanded {
	s := rec.scope(rep, st, d, p)
	r, _ := s.record(rec.top, "", recipeKeys...)
	image := &Image{Ref: Ref{rec.name, st.name}, Distro: d, Platform: p, Summary: strings.TrimSpace(r.must("summary")),
		Default: rec.isDefault(s, st), Version: r.text("version"), VersionOf: r.text("version-of"),
		Budget: parsed(r, "budget", parseBudget)}
	if (image.Version == "") == (image.VersionOf == "") {
		r.add(r.v.pos, "version", "want exactly one of version and version-of")
	}
	r.match("version", image.Version, versionText, "version")
	r.match("version-of", image.VersionOf, versionOf, "name of what is locked")
	image.Layers = s.layers(rec.top.get("layers"), "layers", rec.folder)
	rec.checkClashes(s, image)
	own := expanded{Image: image, from: r.text("from"), pos: rec.top.pos}
	if v, key := r.at("from"); v != nil {
		if v = s.resolve(v, key); v != nil {
			own.pos = v.pos
		}
	}
	own.config = rec.readConfig(s, image)
	own.contract = rec.readContract(s, st)
	return own
}

// isDefault says whether a stream carries the tag latest: the recipe has one
// stream for the distro, or says so.
func (rec *recipe) isDefault(s scope, st stream) bool {
	marked, made := 0, 0
	isMarked := func(one stream) bool {
		if one.v == nil || one.v.shape != mapping {
			return false
		}
		inner := s
		inner.made = one.made
		return record{inner, join("streams", one.name), one.v}.flag("default")
	}
	for _, one := range rec.streams {
		if !slices.Contains(one.made, s.distro) {
			continue
		}
		made++
		if isMarked(one) {
			marked++
		}
	}
	if made == 1 {
		return true
	}
	if marked != 1 {
		s.add(rec.top.get("streams").pos, "streams", "want exactly one default stream for %s, have %d", s.distro, marked)
	}
	return isMarked(st)
}
