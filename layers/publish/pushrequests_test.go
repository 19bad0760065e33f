package publish_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers/publish"
)

// TestRequestsOfAPush counts what is asked of a registry: of one that has nothing
// yet, and of one that has another image under the tags, as after a change of
// the base. Nothing is asked that is known already, and no blob goes in more
// requests than it takes.
func TestRequestsOfAPush(t *testing.T) {
	for name, most := range map[string][2]int{"ggcr": {66, 61}, "ocimem": {63, 59}, "docker-registry": {66, 61}} {
		t.Run(name, func(t *testing.T) {
			host := registries()[name](t)
			if host == "" {
				t.Skip("docker-registry is not installed")
			}
			count, address := countRequests(t, host)
			dest, store := destination(t, address+"/shudl"), t.TempDir()
			options := publish.Options{Signer: testKey(t), Memory: memory(t)}
			changed := postgresql()
			changed.version, changed.content = "17.13", "changed"
			for i, of := range []sample{postgresql(), changed} {
				release := withKeys(of.release(t, store))
				release.Images[0].Attestations[0].Key = of.content
				release.Tags, release.Fixed = []string{of.version, "17", "latest"}, of.version
				count.holdTo(t, most[i], mustPublish(t, dest, release, options))
			}
		})
	}
}

// holdTo looks at what was asked by one push.
func (c *counter) holdTo(t *testing.T, most int, result publish.Result) {
	t.Helper()
	requests, _ := c.since()
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
	if starts := c.starts(requests); starts != result.Blobs {
		t.Errorf("%d uploads begun for %d blobs", starts, result.Blobs)
	}
	if len(requests) > most {
		t.Errorf("%d requests, want at most %d:\n%s", len(requests), most, strings.Join(requests, "\n"))
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
