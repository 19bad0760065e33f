package publish_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// faultCount counts over all cases of TestFaults.
type faultCount struct {
	pushes   atomic.Int64 // that had a fault
	requests atomic.Int64 // that had one
	looked   atomic.Int64 // tags that were looked at after a fault
	visible  atomic.Int64 // of these, tags of an unsigned or half-described image
	repaired atomic.Int64 // pushes after which the next one set all right
}

// faultCase is one row: a registry, what the tags named before, a kind of
// fault, and whether it stays or passes.
type faultCase struct {
	registry string
	moved    bool // the tags name an older, whole image before
	fault    fault
	stays    bool // all writes from the k-th on, not only this one
	index    bool // two platforms
	stride   int
}

func (c faultCase) String() string {
	s := c.registry + "/fresh tag/"
	if c.moved {
		s = c.registry + "/moved tag/"
	}
	if c.index {
		s += "index/"
	}
	s += string(c.fault)
	if c.stays {
		return s + " from then on"
	}
	return s
}

// faultCases are all rows. Each runs once for every stride-th write of a push:
// for every one with SHUDL_TEST_FULL=1, for every N-th with SHUDL_TEST_FAULTS=N,
// half as often on docker-registry, which is slow.
func faultCases(full bool) []faultCase {
	var cases []faultCase
	every := 17
	if n, err := strconv.Atoi(os.Getenv("SHUDL_TEST_FAULTS")); err == nil && n > 0 {
		every = n
	}
	for registry, stride := range map[string]int{"ocimem": every, "docker-registry": 2*every + 1} {
		if full {
			stride = 1
		}
		for _, moved := range []bool{false, true} {
			for _, f := range faults() {
				cases = append(cases, faultCase{registry: registry, moved: moved, fault: f, stays: true, stride: stride})
				if full && !f.givesUp() {
					cases = append(cases, faultCase{registry: registry, moved: moved, fault: f, stride: 3})
				}
			}
			cases = append(cases, faultCase{registry: registry, moved: moved, fault: refused, stays: true, index: true, stride: 4 * stride})
		}
	}
	return cases
}

// TestFaults brings a fault upon the k-th write request of a push, for all k,
// and upon those after it: whatever the tags name is signed and described, and
// the next push sets all right.
func TestFaults(t *testing.T) {
	full := os.Getenv("SHUDL_TEST_FULL") == "1"
	hosts := map[string]string{}
	for name, start := range registries() {
		hosts[name] = start(t)
	}
	var count faultCount
	t.Run("cases", func(t *testing.T) {
		for n, c := range faultCases(full) {
			t.Run(c.String(), func(t *testing.T) {
				if hosts[c.registry] == "" {
					t.Skip("docker-registry is not installed")
				}
				t.Parallel()
				c.run(t, hosts[c.registry], fmt.Sprintf("case%d", n), &count)
			})
		}
	})
	t.Logf("faults: %d pushes with %d faulty write requests; %d tags looked at, unsigned or half-described visible %d times; repaired by the next push %d times",
		count.pushes.Load(), count.requests.Load(), count.looked.Load(), count.visible.Load(), count.repaired.Load())
	if full && count.pushes.Load() < 500 {
		t.Errorf("%d pushes with a fault, want at least 500", count.pushes.Load())
	}
	if count.pushes.Load() != count.repaired.Load() {
		t.Error("not every fault was repaired")
	}
}

func (c faultCase) run(t *testing.T, host, path string, count *faultCount) {
	front := inject(t, host)
	address := serve(t, front)
	store, key := t.TempDir(), attesttest.NewKey(t)
	for k := 1; !t.Failed(); k += c.stride {
		o := publish.RegistryOptions{Backoff: &remote.Backoff{Steps: 1}}
		if !c.stays {
			o.Backoff.Steps = 3
		}
		dest, err := publish.ParseDestination(fmt.Sprintf("%s/%s/%d", address, path, k), o)
		if err != nil {
			t.Fatal(err)
		}
		if !c.once(t, dest, front, store, key, k, count) {
			return
		}
	}
}

// once pushes with a fault in the k-th write; it reports whether the push came
// that far.
func (c faultCase) once(t *testing.T, dest publish.Destination, front *injector, store string, key *attest.Key, k int, count *faultCount) bool {
	t.Helper()
	platforms := []recipes.Platform{recipes.LinuxAMD64}
	if c.index {
		platforms = append(platforms, recipes.LinuxARM64)
	}
	release := postgresql().release(t, store, platforms...)
	release.Fixed = ""
	if c.moved {
		older := postgresql()
		older.version, older.content = "17.11", "older"
		old := older.release(t, store, platforms...)
		old.Tags, old.Fixed = release.Tags, ""
		mustPublish(t, dest, old, publish.Options{Signer: key})
	}
	to := k
	if c.stays {
		to = 1 << 30
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	front.arm(c.fault, k, to, cancel)
	_, err := publish.Publish(ctx, dest, release, publish.Options{Signer: key})
	writes := len(front.written())
	hit := front.disarm()
	if hit == 0 {
		t.Logf("a push writes %d times", writes)
		if err != nil {
			t.Fatalf("no fault at write %d: %v", k, err)
		}
		return false
	}
	count.pushes.Add(1)
	count.requests.Add(int64(hit))
	c.look(t, dest, release, key, k, count)
	if t.Failed() {
		return false
	}
	result := mustPublish(t, dest, release, publish.Options{Signer: key})
	repo, _ := dest.Repository(release.Name)
	for _, tag := range release.Tags {
		d, err := repo.Resolve(t.Context(), tag)
		if err != nil || d.Digest != result.Digest || !complete(t, repo, tag, key) {
			t.Errorf("write %d %s: the next push does not repair %s: %v", k, c.fault, tag, err)
			return false
		}
	}
	count.repaired.Add(1)
	return true
}

// look sees what the tags name after a fault.
func (c faultCase) look(t *testing.T, dest publish.Destination, release publish.Release, key *attest.Key, k int, count *faultCount) {
	t.Helper()
	repo, err := dest.Repository(release.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range release.Tags {
		there, lacks := whole(t, repo, tag, key)
		count.looked.Add(1)
		if lacks != nil {
			count.visible.Add(1)
			t.Errorf("write %d %s: %s is tagged and not whole: %v", k, c.fault, tag, lacks)
		}
		if c.moved && !there {
			t.Errorf("write %d %s: the old %s is gone", k, c.fault, tag)
		}
	}
}
