package pypi

import (
	"strings"
	"testing"
)

// The order that PEP 440 gives as its example, and what it says is equal.
func TestVersionOrder(t *testing.T) {
	ordered := strings.Fields("1.dev0 1.0.dev456 1.0a1 1.0a2.dev456 1.0a12.dev456 1.0a12 1.0b1.dev456 1.0b2 1.0b2.post345.dev456 1.0b2.post345 " +
		"1.0rc1.dev456 1.0rc1 1.0 1.0+abc.5 1.0+abc.7 1.0+5 1.0.post456.dev34 1.0.post456 1.0.15 1.1.dev1 1!0.1")
	for i, a := range ordered {
		for j, b := range ordered {
			v, err := parseVersion(a)
			if err != nil {
				t.Fatal(err)
			}
			w, err := parseVersion(b)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := v.compare(w); got != want {
				t.Errorf("%s and %s: %d, want %d", a, b, got, want)
			}
		}
	}
	for a, b := range map[string]string{"1": "1.0.0", "1.0-1": "1.0.post1", "1.0ALPHA1": "1.0a1", "1.0-rc.2": "1.0rc2", "1.0c2": "1.0rc2", "v1.1": "1.1", "1.0r4": "1.0.post4", "1.0dev": "1.0.dev0"} {
		v, _ := parseVersion(a)
		w, err := parseVersion(b)
		if err != nil || v.compare(w) != 0 {
			t.Errorf("%s and %s are not equal (%v)", a, b, err)
		}
	}
	for _, bad := range []string{"", "x", "1.x", "1.0+", "1..2", "99999999999999999999"} {
		if _, err := parseVersion(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestSpecifiers(t *testing.T) {
	for spec, versions := range map[string][2]string{ // allowed, refused
		"":                      {"1 2.0rc1", ""},
		">=1.2,<2":              {"1.2 1.9.9 1.2.post1", "1.1 2.0 2.0rc1"},
		"==1.*":                 {"1 1.5 1.0rc1", "2 0.9"},
		"==1.0":                 {"1.0 1 1.0+local", "1.0.1 1.0.post1"},
		"==1.0+local":           {"1.0+local", "1.0 1.0+other"},
		"!=1.4.0,!=1.4.1,<1.5":  {"1.4.2 1.3", "1.4.0 1.4.1 1.5"},
		"!=3.7.*":               {"3.8", "3.7.1"},
		"~=2.2":                 {"2.2 2.9", "2.1 3.0"},
		"~=1.4.5":               {"1.4.5 1.4.9", "1.4.4 1.5"},
		">1.7":                  {"1.7.1 1.8", "1.7 1.7.post1"},
		">1.7.post2":            {"1.7.post3", "1.7.post2"},
		"===1.0":                {"1.0", "1.0.0"},
		"<3.1":                  {"3.0", "3.1.dev0 3.1rc1"},
		">= 1.0 , < 2 ,":        {"1.5", "2"},
		">=1.10":                {"1.10 1.11", "1.9"},
		"==1!1.0":               {"1!1.0", "1.0"},
		">=2,!=2.1.*,<=3.dev10": {"2.2", "2.1.7 3"},
	} {
		clauses, err := parseSpecifiers(spec)
		if err != nil {
			t.Fatalf("%q: %v", spec, err)
		}
		for i, want := range []bool{true, false} {
			for _, v := range strings.Fields(versions[i]) {
				if got, err := allow(clauses, v); err != nil || got != want {
					t.Errorf("%q and %s: %v, %v", spec, v, got, err)
				}
			}
		}
	}
	for _, bad := range []string{"1.0", ">", ">=x", "=>1", ">=1.*", "~=1", "==1.0 ==2"} {
		if _, err := parseSpecifiers(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestMarkers(t *testing.T) {
	env := Target{Python: "3.12", Libc: Musl, Arch: "aarch64"}.environment()
	for text, want := range map[string]bool{
		`python_version < "3.11"`:                                             false,
		`python_version >= "3.8"`:                                             true,
		`python_version < '3.9' and sys_platform == "linux"`:                  false,
		`python_version < '3.9' or sys_platform == "linux"`:                   true,
		`"linux" in sys_platform`:                                             true,
		`platform_machine not in "x86_64 amd64"`:                              true,
		`(os_name == "nt" or platform_machine == "aarch64") and extra=="a-b"`: true,
		`extra == 'other'`:                                                    false,
		`extra != 'other'`:                                                    true,
		`platform_python_implementation != "PyPy"`:                            true,
		`platform_system == "Windows"`:                                        false,
		`os.name == "posix" and python_implementation=="CPython"`:             true,
		`python_full_version < "3.12.1"`:                                      true,
		`implementation_name == "cpython"`:                                    true,
	} {
		m, err := parseMarker(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := m.holds(env, []string{"a-b"}); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{``, `python_version`, `python_version >`, `python_version > 3`, `"a" == "b"`, `python_version ~ "3"`, `(python_version > "3"`,
		`python_version > "3" and`, `python_version > "3" "4"`, `python_version > "3`, strings.Repeat("(", 1000) + `os_name=="a"`} {
		if _, err := parseMarker(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
	m, err := parseMarker(`no_such_variable == "1"`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.holds(env, nil); err == nil {
		t.Error("an unknown variable has a value")
	}
}

func TestRequirements(t *testing.T) {
	r, err := parseRequirement(`Psycopg_C[ binary , Pool ] (>=3.1,<4) ; python_version >= "3.8"`)
	if err != nil {
		t.Fatal(err)
	}
	if r.name != "psycopg-c" || strings.Join(r.extras, " ") != "binary pool" || len(r.clauses) != 2 || r.marker == nil {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"", "-x", "a @ https://example.org/a.whl", "a>=", "a 1.0", "a[b", "a; python_version"} {
		if _, err := parseRequirement(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
	name, version, err := ParseRequirement("Typing_Extensions==4.16.0")
	if err != nil || name != "typing-extensions" || version != "4.16.0" {
		t.Errorf("%s %s %v", name, version, err)
	}
	for _, bad := range []string{"a", "a>=1", "a==1.*", "a==1,<2", `a==1; python_version>"3"`} {
		if _, _, err := ParseRequirement(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func FuzzRequirement(f *testing.F) {
	for _, s := range []string{`a[b]>=1,<2; python_version < "3.8" or (extra == 'x' and os_name=="posix")`, "a (==1.*)", "a @ u", "a; ((((", "a>=1!2.dev3+l"} {
		f.Add(s)
	}
	env := Target{Python: "3.13", Libc: Glibc, Arch: "x86_64"}.environment()
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRequirement(s)
		if err != nil {
			return
		}
		if r.name != Normalize(r.name) || strings.ContainsAny(r.name, "/. _") {
			t.Fatalf("name %q", r.name)
		}
		if r.marker != nil {
			_, _ = r.marker.holds(env, r.extras)
		}
		_, _ = allow(r.clauses, "1.0")
	})
}
