package pypi

import (
	"os"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// Patroni's own wheel and one of the sdists that it needs, from the index
// that the environment names.
func TestRealFiles(t *testing.T) {
	base := os.Getenv("SHUDL_MIRROR_PYPI")
	if os.Getenv("SHUDL_TEST_NETWORK") != "1" || base == "" {
		t.Skip("set SHUDL_TEST_NETWORK=1 and SHUDL_MIRROR_PYPI (a simple index) to use the network")
	}
	s := fetchtest.NewStore(t)
	f := &fetch.Fetcher{Store: s, Mirrors: fetch.Mirrors{fetch.PyPI: {base}}, Locators: map[string]fetch.Locator{fetch.PyPI: Locate}}
	for _, c := range []struct {
		src    recipes.PyPISource
		sha256 recipes.Digest
		path   string // one that has to land
	}{
		{recipes.PyPISource{Requirement: "patroni==4.1.5"}, "7aad8c1539e6c51c269a8005169dd54ddc7668437b7900fa6099d7894e224c84", "usr/bin/patronictl"},
		{recipes.PyPISource{Requirement: "psycopg-binary==3.3.9"}, "30a95cb2b00b94b4ec4fd5d41de047598c60e0db26fd43bd9154152cc380b282",
			"usr/lib/python3.12/site-packages/psycopg_binary-3.3.9.dist-info/RECORD"},
		{recipes.PyPISource{Requirement: "ydiff==1.4.2", SDist: true, Placement: recipes.Placement{Strip: 1, Select: []string{"ydiff.py"}, Into: "opt"}}, "", "opt/ydiff.py"},
	} {
		a, err := Resolve(t.Context(), f, c.src, alpine, "l")
		if err != nil {
			t.Fatal(err)
		}
		if c.sha256 != "" && a.SHA256 != c.sha256 || strings.Contains(a.Path, "://") {
			t.Errorf("%+v", a)
		}
		entries, _, err := Entries(t.Context(), s, a, c.src, alpine)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range entries {
			found = found || e.Path == c.path
		}
		if !found {
			t.Errorf("%s brings no %s", c.src.Requirement, c.path)
		}
	}
}
