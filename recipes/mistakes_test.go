package recipes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// base is a recipe to build on, beside the one with the mistake.
const base = "name: base-%s\nsummary: s\ndistros: [%s]\nversion-of: release\n"

// world of one recipe x, its base and one file.
func oneRecipe(text string) fstest.MapFS {
	out := fstest.MapFS{"x/recipe.yaml": {Data: []byte(text)}, "x/files/a": {Data: []byte("a")}, "x/files/sub/b": {Data: []byte("b")}}
	for _, d := range Distros() {
		out["base-"+string(d)+"/recipe.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(base, "%s", string(d)))}
	}
	return out
}

const head = "name: x\nsummary: s\nfrom: base\nversion: '1'\n" // four lines

// Each mistake is told once, with its place and key.
func TestMistakes(t *testing.T) {
	layer := head + "layers:\n  - name: l\n" // six lines
	tests := []struct{ name, recipe, want string }{
		{"unknown key", head + "colour: red\n", "x/recipe.yaml:5:1: colour: unknown key"},
		{"unknown key of a layer", layer + "    pacakges: [a]\n", "x/recipe.yaml:7:5: layers[0].pacakges: unknown key"},
		{"unknown key of config", head + "config:\n  users: x\n", "x/recipe.yaml:6:3: config.users: unknown key"},
		{"duplicate key", head + "summary: t\n", "x/recipe.yaml:5:1: summary: duplicate key"},
		{"duplicate key below", layer + "    exclude: {a: b, a: c}\n", "x/recipe.yaml:7:21: layers[0].exclude.a: duplicate key"},
		{"syntax", head + "layers: [\n", "x/recipe.yaml:5:9: "},
		{"anchor", "name: &n x\n", "x/recipe.yaml:1:7: name: Anchor: anchors"},
		{"alias", head + "budget: *n\n", "x/recipe.yaml:5:9: budget: Alias: anchors"},
		{"tag", head + "budget: !!str 1MB\n", "x/recipe.yaml:5:9: budget: Tag: anchors"},
		{"merge", head + "config: {<<: {user: a}}\n", "x/recipe.yaml:5:10: config: "},
		{"two documents", head + "---\nname: y\n", "x/recipe.yaml:1:1: a recipe is exactly one YAML document"},
		{"empty", "", "x/recipe.yaml:1:1: a recipe is exactly one YAML document"},
		{"list as recipe", "- a\n", "x/recipe.yaml:1:1: want a mapping, have a list"},
		{"missing summary", "name: x\nfrom: base\nversion: '1'\n", "x/recipe.yaml:1:1: summary: missing"},
		{"wrong name", strings.Replace(head, "name: x", "name: y", 1), "x/recipe.yaml:1:7: name: recipe y stands in the folder x"},
		{"bad name", strings.Replace(head, "name: x", "name: ../x", 1), "x/recipe.yaml:1:7: name: bad image name"},
		{"no version", "name: x\nsummary: s\nfrom: base\n", "x/recipe.yaml:1:1: version: want exactly one of"},
		{"both versions", head + "version-of: release\n", "x/recipe.yaml:1:1: version: want exactly one of"},
		{"missing parent", strings.Replace(head, "from: base", "from: nowhere", 1), "x/recipe.yaml:3:7: from: there is no image nowhere for alpine: make one, or name in distros those that have it"},
		{"missing stream", strings.Replace(head, "from: base", "from: base:9", 1), "x/recipe.yaml:3:7: from: image base-alpine has no stream \"9\" for alpine"},
		{"cycle", strings.Replace(head, "from: base", "from: x", 1), "x/recipe.yaml:3:7: from: image x is built on itself"},
		{"parent of one distro", strings.Replace(head, "from: base", "from: base-debian", 1), "x/recipe.yaml:3:7: from: there is no image base-debian for alpine"},
		{"wrong type", head + "layers: {a: b}\n", "x/recipe.yaml:5:9: layers: want a list, have a mapping"},
		{"wrong scalar", head + "budget: [1MB]\n", "x/recipe.yaml:5:9: budget: want a single value, have a list"},
		{"no value", head + "budget:\n", "x/recipe.yaml:5:9: budget: want a single value, have no value"},
		{"bad budget", head + "budget: 1MiB\n", "x/recipe.yaml:5:9: budget: bad size"},
		{"layer without name", head + "layers:\n  - packages: [a]\n", "x/recipe.yaml:6:5: layers[0].name: missing"},
		{"layer named state", head + "layers: [{name: state}]\n", "x/recipe.yaml:5:17: layers[0].name: the name state is taken"},
		{"two layers of a name", layer + "  - name: l\n", "x/recipe.yaml:7:11: layers[1].name: two layers are named"},
		{"bad layer name", head + "layers: [{name: a/b}]\n", "x/recipe.yaml:5:17: layers[0].name: bad layer name"},
		{"bad package", layer + "    packages: [a/../b]\n", "x/recipe.yaml:7:16: layers[0].packages[0]: bad package"},
		{"package twice", layer + "    packages: [a, a=1]\n", "x/recipe.yaml:7:19: layers[0].packages[1]: package a is named twice"},
		{"exclude without reason", layer + "    packages: [a]\n    exclude: {b: ''}\n", "x/recipe.yaml:8:18: layers[0].exclude.b: "},
		{"exclude without packages", layer + "    exclude: {b: c}\n", "x/recipe.yaml:7:14: layers[0].exclude: excludes packages, but"},
		{"drop without reason", layer + "    packages: [a]\n    drop: [{path: b}]\n", "x/recipe.yaml:8:12: layers[0].drop[0].reason: missing"},
		{"drop above the root", layer + "    packages: [a]\n    drop: [{path: ../b, reason: c}]\n", "x/recipe.yaml:8:19: layers[0].drop[0].path: path \"../b\" leaves the root"},
		{"bad pattern", layer + "    packages: [a]\n    drop: [{path: 'b[', reason: c}]\n", "x/recipe.yaml:8:19: layers[0].drop[0].path: bad pattern"},
		{"bad keep", layer + "    packages: [a]\n    drop: [{path: 'b/**', keep: ['b['], reason: c}]\n", "x/recipe.yaml:8:33: layers[0].drop[0].keep: bad pattern"},
		{"keep of a source", layer + "    tarballs: [{drop: [{path: 'b/**', keep: ['b/c'], reason: c}]}]\n", "x/recipe.yaml:7:39: layers[0].tarballs[0].drop[0].keep: unknown key"},
		{"unknown distro", head + "distros: [arch]\n", "x/recipe.yaml:5:11: distros[0]: want each of"},
		{"unreachable item", layer + "    distros: [debian]\n    packages: [{name: a, distros: [alpine]}]\n", "x/recipe.yaml:8:36: layers[0].packages[0].distros[0]: want each of [debian]"},
		{"unreachable value", head + "distros: [debian]\nbudget: {alpine: 1MB}\n", "x/recipe.yaml:6:10: budget.alpine: never used"},
		{"unknown platform", layer + "    packages: [{name: a, platforms: [linux/s390x]}]\n", "x/recipe.yaml:7:38: layers[0].packages[0].platforms[0]: want each of"},
		{"unknown variable", layer + "    packages: ['a-${major}']\n", "x/recipe.yaml:7:16: layers[0].packages[0]: unknown variable ${major}"},
		{"open variable", layer + "    packages: ['a-${major']\n", "x/recipe.yaml:7:16: layers[0].packages[0]: variable without closing brace"},
		{"bad stream", head + "streams: {'a b': {}}\n", "x/recipe.yaml:5:11: streams.a b: bad stream name"},
		{"no default stream", head + "streams: {'1': {vars: {a: b}}, '2': {vars: {a: c}}}\n", "x/recipe.yaml:5:10: streams: want exactly one default stream for alpine, have 0"},
		{"two default streams", head + "streams: {'1': {default: true}, '2': {default: true}}\n", "x/recipe.yaml:5:10: streams: want exactly one default stream for alpine, have 2"},
		{"no stream for a distro", head + "streams: {'1': {distros: [debian]}}\n", "x/recipe.yaml:5:10: streams: no stream is made for alpine"},
		{"source outside", layer + "    files: ../other\n", "x/recipe.yaml:7:12: layers[0].files: path \"../other\" leaves the root"},
		{"source elsewhere", layer + "    files: etc\n", "x/recipe.yaml:7:12: layers[0].files: source \"etc\" is not below"},
		{"missing source", layer + "    files: files/c\n", "x/recipe.yaml:7:12: layers[0].files: source files/c does not exist"},
		{"file as folder", layer + "    files: files/a\n", "x/recipe.yaml:7:12: layers[0].files: source files/a is not a folder"},
		{"folder as file", layer + "    files: [{source: files/sub, path: a}]\n", "x/recipe.yaml:7:13: layers[0].files[0].source: source files/sub is not a regular file"},
		{"absolute path", layer + "    files: [{source: files/a, path: /etc/a}]\n", "x/recipe.yaml:7:37: layers[0].files[0].path: path \"/etc/a\" begins with a slash"},
		{"path above the root", layer + "    directories: [{path: a/../../b}]\n", "x/recipe.yaml:7:26: layers[0].directories[0].path: path \"a/../../b\" leaves the root"},
		{"path not clean", layer + "    directories: [{path: a//b}]\n", "x/recipe.yaml:7:26: layers[0].directories[0].path: path \"a//b\" is not clean"},
		{"link above the root", layer + "    links: [{path: a/b, target: ../../c}]\n", "x/recipe.yaml:7:33: layers[0].links[0].target: target \"../../c\" leaves the root"},
		{"clash", layer + "    files: files/\n    links: [{path: a, target: b}]\n", "x/recipe.yaml:8:13: layers: link a clashes with the file at x/recipe.yaml:7:12"},
		{"clash of layers", layer + "    directories: [{path: d}]\n  - name: m\n    directories: [{path: d}]\n", "x/recipe.yaml:9:19: layers: directory d clashes with the directory at x/recipe.yaml:7:19"},
		{"below a file", layer + "    files: files/\n    directories: [{path: a/b}]\n", "x/recipe.yaml:8:19: layers: directory a/b lies below the file a"},
		{"bad owner", layer + "    directories: [{path: a, owner: root}]\n", "x/recipe.yaml:7:36: layers[0].directories[0].owner: bad owner"},
		{"bad mode", layer + "    directories: [{path: a, mode: 0o755}]\n", "x/recipe.yaml:7:35: layers[0].directories[0].mode: bad mode"},
		{"account without uid", layer + "    accounts: [{name: a}]\n", "x/recipe.yaml:7:16: layers[0].accounts[0].uid: missing"},
		{"bad account", layer + "    accounts: [{name: 'a:b', uid: 1}]\n", "x/recipe.yaml:7:23: layers[0].accounts[0].name: bad account name"},
		{"bad uid", layer + "    accounts: [{name: a, uid: -1}]\n", "x/recipe.yaml:7:31: layers[0].accounts[0].uid: want a whole number"},
		{"account twice", layer + "    accounts: [{name: a, uid: 1}, {name: a, uid: 2}]\n", "x/recipe.yaml:7:35: accounts: account a exists already"},
		{"uid twice", layer + "    accounts: [{name: a, uid: 1}, {name: b, uid: 1}]\n", "x/recipe.yaml:7:35: accounts: uid 1 of account b belongs to a"},
		{"unknown generator", layer + "    generate: [ldconfig]\n", "x/recipe.yaml:7:15: layers[0].generate: unknown generator"},
		{"tarball nowhere", layer + "    tarballs: [{name: a, version: '1', license: MIT}]\n", "x/recipe.yaml:7:16: layers[0].tarballs[0]: want exactly one of url"},
		{"tarball without sha256", layer + "    tarballs: [{name: a, version: '1', license: MIT, url: 'https://github.com/a'}]\n", "x/recipe.yaml:7:16: layers[0].tarballs[0].sha256: missing"},
		{"tarball with bad sha256", layer + "    tarballs: [{name: a, version: '1', license: MIT, url: 'https://github.com/a', sha256: ABC}]\n", "x/recipe.yaml:7:91: layers[0].tarballs[0].sha256: bad sha256"},
		{"root by address", layer + "    tarballs: [{name: a, version: '1', url: 'https://github.com/a', sha256: " + string(one) + ", apk-root: true}]\n", "x/recipe.yaml:7:153: layers[0].tarballs[0].apk-root: a root is found by release"},
		{"address with credentials", layer + "    tarballs: [{name: a, version: '1', license: MIT, url: 'https://u:secret@github.com/a', sha256: ABC}]\n", "x/recipe.yaml:7:59: layers[0].tarballs[0].url: an address in a recipe carries no credentials"},
		{"bad coordinate", layer + "    maven: [{artifact: 'a:b'}]\n", "x/recipe.yaml:7:24: layers[0].maven[0].artifact: bad coordinate"},
		{"rename as path", layer + "    maven: [{artifact: 'a:b:1', rename: a/b}]\n", "x/recipe.yaml:7:41: layers[0].maven[0].rename: want a file name"},
		{"bad requirement", layer + "    pypi: [{requirement: 'a>=1'}]\n", "x/recipe.yaml:7:26: layers[0].pypi[0].requirement: bad requirement"},
		{"sdist without select", layer + "    pypi: [{requirement: a==1, sdist: true}]\n", "x/recipe.yaml:7:12: layers[0].pypi[0].select: missing"},
		{"bad flag", layer + "    pypi: [{requirement: a==1, sdist: 'yes'}]\n", "x/recipe.yaml:7:39: layers[0].pypi[0].sdist: want true or false"},
		{"bad module version", layer + "    go: [{package: github.com/a/b, version: latest, license: MIT, into: a}]\n", "x/recipe.yaml:7:45: layers[0].go[0].version: bad module version"},
		{"package outside its module", layer + "    go: [{package: github.com/a/b, module: github.com/c, version: v1.0.0, license: MIT, into: a}]\n", "x/recipe.yaml:7:44: layers[0].go[0].module: package"},
		{"bad user", head + "config: {user: 'a b'}\n", "x/recipe.yaml:5:16: config.user: bad user"},
		{"bad port", head + "config: {ports: ['80']}\n", "x/recipe.yaml:5:17: config.ports: bad port"},
		{"bad volume", head + "config: {volumes: [data]}\n", "x/recipe.yaml:5:19: config.volumes: path \"data\" must begin with a slash"},
		{"bad variable name", head + "config: {env: {A-B: c}}\n", "x/recipe.yaml:5:16: config.env.A-B: bad name"},
		{"bad duration", head + "config: {healthcheck: {test: [a], interval: 10}}\n", "x/recipe.yaml:5:45: config.healthcheck.interval: bad duration"},
		{"check without test", head + "config: {healthcheck: {interval: 10s}}\n", "x/recipe.yaml:5:23: config.healthcheck.test: missing"},
		{"bad signal", head + "config: {stop-signal: INT}\n", "x/recipe.yaml:5:23: config.stop-signal: bad signal"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(oneRecipe(test.recipe))
			var all Errors
			if !errors.As(err, &all) {
				t.Fatalf("got %v, want Errors", err)
			}
			told := 0
			for _, one := range all {
				if strings.HasPrefix(one.Error(), test.want) {
					told++
				}
			}
			if told != 1 {
				t.Errorf("want once %s\nhave %v", test.want, err)
			}
		})
	}
}

// What is no mistake loads.
func TestAccepted(t *testing.T) {
	for name, rest := range map[string]string{
		"nothing more":     "",
		"literal brace":    "config: {env: {A: '$${x}'}}\n",
		"empty variable":   "config: {env: {A: ''}}\n",
		"block scalar":     "config:\n  cmd:\n    - sh\n    - |\n      echo a\n      echo b\n",
		"per-distro list":  "layers:\n  - name: l\n    packages: {debian: [a]}\n",
		"arch in a name":   "layers:\n  - name: l\n    packages: [\"a-${arch.deb}\"]\n",
		"top-level filter": "distros: [debian]\n",
		"link to the root": "layers: [{name: l, links: [{path: a/b, target: ../c}, {path: d, target: /}]}]\n",
	} {
		if _, err := Load(oneRecipe(head + rest)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A source is never read through a symbolic link, inside the folder or out of
// it, nor is a recipe.
func TestSymlinks(t *testing.T) {
	for name, link := range map[string][2]string{
		"file in the folder":   {"a", "x/files/link"},
		"file outside":         {"/etc/passwd", "x/files/link"},
		"folder in the folder": {"sub", "x/files/link"},
		"the folder itself":    {"../other", "x/files"},
		"recipe outside":       {"/etc/passwd", "x/recipe.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, oneRecipe(head+"layers: [{name: l, files: files/}]\n")); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(dir, "other"), fstest.MapFS{"a": {Data: []byte("a")}}); err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(dir, link[1])
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(link[0], at); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil {
				t.Error("a symbolic link was followed")
			}
		})
	}
}

// A go.mod would hide its folder from the built-in recipes.
func TestModuleFileInSources(t *testing.T) {
	fsys := oneRecipe(head + "layers: [{name: l, files: files/}]\n")
	fsys["x/files/prog/go.mod"] = &fstest.MapFile{Data: []byte("module x")}
	_, err := Load(fsys)
	if err == nil || !strings.Contains(err.Error(), "go.mod.txt") {
		t.Errorf("got %v", err)
	}
}
