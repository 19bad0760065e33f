package recipes

import (
	"strings"
	"testing"
)

// Containers with networks of their own can be asked by name, and be cut.
func TestSeparateNetworks(t *testing.T) {
	const database = "postgres://a:b@one:5432,127.0.0.1:5431/postgres"
	for _, test := range []struct{ keys, steps, want string }{
		{"network: separate, ", "{cut: one}, {heal: one}, {cut: one}, {cut: two}, {name: h, http: \"http://two:80/x\"}", ""},
		{"network: separate, ", "{name: w, writes: \"" + database + "\"}, {name: k, kept: \"" + database + "\"}", ""},
		{"network: separate, ", "{name: h, http: \"http://127.0.0.1:80/\"}", ""},
		{"network: separate, ", "{name: h, http: \"http://three:80/\"}", `bad address, want http://127.0.0.1:PORT/…, have host "three"`},
		{"network: separate, ", "{name: w, writes: \"postgres://a:b@one:1,three:2/c\"}", `have host "three"`},
		{"network: separate, ", "{cut: three}", "there is no container"},
		{"network: separate, ", "{cut: one}, {cut: one}", "one is cut already"},
		{"network: separate, ", "{cut: one}, {heal: two}", "heal without cut of two before it"},
		{"network: separate, ", "{cut: one, within: 1s, status: 1}", "has no meaning with cut"},
		{"network: shared, ", "{cut: one}", "cut needs network: separate in the case"},
		{"", "{name: h, http: \"http://one:80/\"}", `have host "one"`},
		{"network: none, ", "{start: one}", `want shared or separate, have "none"`},
	} {
		_, err := Load(withContract(contractHead + "  - {name: c, " + test.keys + "containers: [{name: one}, {name: two}], steps: [" + test.steps + "]}\n"))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s%s: got %v, want %q", test.keys, test.steps, err, test.want)
		}
	}
}
