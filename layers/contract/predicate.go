package contract

import (
	"encoding/json"
	"slices"
)

// PredicateType is that of an in-toto test result:
// https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md.
const PredicateType = "https://in-toto.io/attestation/test-result/v0.1"

// testResult is the predicate. It holds nothing that differs between two runs
// which see the same.
type testResult struct {
	Result        string          `json:"result"`
	Configuration []configuration `json:"configuration"`
	PassedTests   []string        `json:"passedTests"`
	FailedTests   []string        `json:"failedTests,omitempty"`
}

// configuration is the file that the image was held to.
type configuration struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Predicate says what was seen of an image, as an in-toto test result.
func Predicate(r Report, recipe string) ([]byte, error) {
	out := testResult{
		Result:        "PASSED",
		Configuration: []configuration{{Name: recipe + "/test.yaml", Digest: map[string]string{"sha256": r.SHA256}}},
		PassedTests:   []string{},
	}
	if !r.Met() {
		out.Result = "FAILED"
	}
	for _, c := range r.Checks {
		if c.OK {
			out.PassedTests = append(out.PassedTests, c.Name)
		} else {
			out.FailedTests = append(out.FailedTests, c.Name)
		}
	}
	slices.Sort(out.PassedTests)
	slices.Sort(out.FailedTests)
	return json.Marshal(out)
}
