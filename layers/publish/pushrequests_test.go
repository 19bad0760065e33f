package publish_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers/publish"
)

// TestRequestsOfAPush counts what is asked of a registry that has nothing yet:
// nothing that is known already, and no blob in more requests than it takes.
func TestRequestsOfAPush(t *testing.T) {
	for name, most := range map[string]int{"ggcr": 74, "ocimem": 71, "docker-registry": 74} {
		t.Run(name, func(t *testing.T) {
			host := registries()[name](t)
			if host == "" {
				t.Skip("docker-registry is not installed")
			}
			count, address := countRequests(t, host)
			release := withKeys(postgresql().release(t, t.TempDir()))
			result := mustPublish(t, destination(t, address+"/shudl"), release, publish.Options{Signer: testKey(t), Memory: memory(t)})
			requests, _ := count.since()
			times := map[string]int{}
			for _, r := range requests {
				times[r]++
			}
			for r, n := range times {
				switch {
				case strings.HasPrefix(r, http.MethodPatch+" "):
					t.Errorf("%s: a blob in three requests", r)
				case n > 1 && strings.HasPrefix(r, http.MethodPut+" "):
					t.Errorf("%s: %d times", r, n)
				case n > 1 && strings.HasPrefix(r, http.MethodHead+" "):
					t.Errorf("%s: asked for %d times", r, n)
				}
			}
			if starts := count.starts(requests); starts != result.Blobs {
				t.Errorf("%d uploads begun for %d blobs", starts, result.Blobs)
			}
			if len(requests) > most {
				t.Errorf("%d requests, want at most %d:\n%s", len(requests), most, strings.Join(requests, "\n"))
			}
		})
	}
}

// starts counts the uploads that were begun.
func (*counter) starts(requests []string) int {
	n := 0
	for _, r := range requests {
		if strings.HasPrefix(r, http.MethodPost+" ") {
			n++
		}
	}
	return n
}
