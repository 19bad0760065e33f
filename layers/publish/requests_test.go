package publish_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// counter stands before a registry and writes down what is asked of it.
type counter struct {
	proxy http.Handler

	mu       sync.Mutex
	requests []string // METHOD PATH
	sent     int64    // bytes of request bodies
	refuse   func(*http.Request) bool
}

func countRequests(t *testing.T, host string) (c *counter, address string) {
	t.Helper()
	c = &counter{proxy: passTo(&url.URL{Scheme: "http", Host: host})}
	return c, serve(t, c)
}

func (c *counter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c.mu.Lock()
	if req.URL.Path != "/v2/" { // the greeting, once a run
		c.requests = append(c.requests, req.Method+" "+req.URL.Path)
	}
	c.sent += max(req.ContentLength, 0)
	refused := c.refuse != nil && c.refuse(req)
	c.mu.Unlock()
	if refused {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	c.proxy.ServeHTTP(w, req)
}

// since gives what was asked since the last call.
func (c *counter) since() (requests []string, sent int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests, sent = c.requests, c.sent
	c.requests, c.sent = nil, 0
	return requests, sent
}

// push publishes as the driver does.
func push(t *testing.T, to string, r publish.Release, o publish.Options) (result publish.Result, unchanged bool) {
	t.Helper()
	dest := destination(t, to)
	if result, ok := publish.Unchanged(t.Context(), dest, r, o); ok {
		return result, true
	}
	return mustPublish(t, dest, r, o), false
}

// TestTwoRequestsWhereNothingChanged counts what a push of the same costs, of
// one platform and of two, and in each format.
func TestTwoRequestsWhereNothingChanged(t *testing.T) {
	for name, start := range registries() {
		for _, format := range []attest.Format{attest.Dual, attest.Classic, attest.Bundles} {
			for _, platforms := range [][]recipes.Platform{{recipes.LinuxAMD64}, {recipes.LinuxAMD64, recipes.LinuxARM64}} {
				t.Run(name+"/"+string(format)+"/"+string(rune('0'+len(platforms))), func(t *testing.T) {
					host := start(t)
					if host == "" {
						t.Skip("docker-registry is not installed")
					}
					count, address := countRequests(t, host)
					release := withKeys(postgresql().release(t, t.TempDir(), platforms...))
					options := publish.Options{Signer: attesttest.NewKey(t), Format: format, Memory: memory(t)}
					first, unchanged := push(t, address+"/shudl", release, options)
					if unchanged {
						t.Fatal("a first push found nothing to do")
					}
					count.since()
					second, unchanged := push(t, address+"/shudl", release, options)
					requests, sent := count.since()
					if !unchanged || len(requests) > 2 || sent != 0 {
						t.Errorf("unchanged %t, %d bytes sent, requests %v", unchanged, sent, requests)
					}
					if second.Digest != first.Digest || second.Reference != first.Reference || second.KeyID != first.KeyID ||
						!slices.Equal(second.Tags, first.Tags) || second.Blobs+second.Manifests+len(second.Moved) != 0 {
						t.Errorf("first %+v\nsecond %+v", first, second)
					}
					options.Recheck = true
					if _, unchanged := push(t, address+"/shudl", release, options); unchanged {
						t.Error("not looked at, though asked to")
					}
					for _, r := range after(count.since()) {
						if !strings.HasPrefix(r, http.MethodGet) && !strings.HasPrefix(r, http.MethodHead) {
							t.Errorf("a look at a whole image wrote: %s", r)
						}
					}
				})
			}
		}
	}
}

func after(requests []string, _ int64) []string { return requests }

// withKeys gives each predicate a key, as the driver does.
func withKeys(r publish.Release) publish.Release {
	for i := range r.Images {
		r.Images[i].Attestations[0].Key = string(r.Images[i].Platform)
	}
	return r
}

// TestReceiptEnds brings about what a receipt must not outlive, each followed
// by a push that finds it out and sets it right.
func TestReceiptEnds(t *testing.T) {
	for name, start := range registries() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			if host == "" {
				t.Skip("docker-registry is not installed")
			}
			store, key := t.TempDir(), attesttest.NewKey(t)
			ours := withKeys(postgresql().release(t, store))
			other := postgresql()
			other.content = "select 2"
			theirs := withKeys(other.release(t, store))
			theirs.Fixed = "17.12-ffff0000"
			theirs.Images[0].Attestations[0].Key = "another"
			ours.Tags = []string{ours.Fixed, "17.12", "latest"}
			theirs.Tags = []string{theirs.Fixed, "17.12", "latest"}
			options := publish.Options{Signer: key, Memory: memory(t)}
			elsewhere := publish.Options{Signer: key, Memory: memory(t)}
			front, address := countRequests(t, host)
			to := address + "/shudl"
			found := func(what string) {
				t.Helper()
				if _, unchanged := push(t, to, ours, options); unchanged {
					t.Errorf("%s: not found out", what)
				}
				repo, _ := destination(t, to).Repository("postgresql")
				for _, tag := range ours.Tags {
					d, err := repo.Resolve(t.Context(), tag)
					if err != nil || d.Digest != (publish.Manifest{Raw: ours.Images[0].Manifest}).Digest() {
						t.Errorf("%s: %s names %s: %v", what, tag, d.Digest, err)
					}
					complete(t, repo, tag, key)
				}
			}
			found("the first push")
			push(t, to, theirs, elsewhere)
			found("another push, from elsewhere")
			push(t, to, theirs, options)
			found("another push, from here")
			otherKey := options
			otherKey.Signer = attesttest.NewKey(t)
			if _, unchanged := push(t, to, ours, otherKey); unchanged {
				t.Error("another key: not signed with it")
			}
			found("another key, whose receipt took the place of ours")
			front.refuse = func(req *http.Request) bool {
				return req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/latest")
			}
			if _, err := publish.Publish(t.Context(), destination(t, to), theirs, options); err == nil {
				t.Error("a push that may not move the last tag succeeded")
			}
			front.refuse = nil
			found("a push from here that ended in the middle")
			more := ours
			more.Tags = append(slices.Clone(ours.Tags), "stable")
			if _, unchanged := push(t, to, more, options); unchanged {
				t.Error("one more tag: not written")
			}
		})
	}
}

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
			options := publish.Options{Signer: attesttest.NewKey(t), Memory: memory(t)}
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
