package contract

import (
	"testing"

	"github.com/shudl/shudl-assemble/layers/contract/trial"
)

// The predicate holds what was seen and nothing that differs from run to run.
func TestPredicate(t *testing.T) {
	r := Report{Image: "x:1", SHA256: "abc", Boot: 7, Memory: 8, Took: 9, Runtime: "runc 1", Checks: []trial.Check{{Name: "b", OK: true}, {Name: "a", OK: true}}}
	got, err := Predicate(r, "x")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"result":"PASSED","configuration":[{"name":"x/test.yaml","digest":{"sha256":"abc"}}],"passedTests":["a","b"]}`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
	r.Checks = append(r.Checks, trial.Check{Name: "c", Found: "why"})
	got, err = Predicate(r, "x")
	if want := `{"result":"FAILED","configuration":[{"name":"x/test.yaml","digest":{"sha256":"abc"}}],"passedTests":["a","b"],"failedTests":["c"]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}
