package publish_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// pusher is one of two who push at once.
type pusher struct {
	release publish.Release
	options publish.Options
}

// together is a way in which two pushes meet at one tag.
type together struct {
	name string
	// two are the pushers.
	two func(t *testing.T, store string) (a, b pusher)
	// bothSucceed says that neither may fail; else one may lose the tag.
	bothSucceed bool
}

func meetings() []together {
	sample := func(t *testing.T, store, content string, platforms ...recipes.Platform) publish.Release {
		s := postgresql()
		s.content = content
		r := s.release(t, store, platforms...)
		r.Fixed = ""
		return r
	}
	return []together{
		{"same image, same key", func(t *testing.T, store string) (a, b pusher) {
			key := attesttest.NewKey(t)
			return pusher{sample(t, store, "1"), publish.Options{Signer: key}}, pusher{sample(t, store, "1"), publish.Options{Signer: key}}
		}, true},
		{"same image, two keys", func(t *testing.T, store string) (a, b pusher) {
			return pusher{sample(t, store, "1"), publish.Options{Signer: attesttest.NewKey(t)}}, pusher{sample(t, store, "1"), publish.Options{Signer: attesttest.NewKey(t)}}
		}, false},
		{"two images, same key", func(t *testing.T, store string) (a, b pusher) {
			key := attesttest.NewKey(t)
			return pusher{sample(t, store, "1"), publish.Options{Signer: key}}, pusher{sample(t, store, "2"), publish.Options{Signer: key}}
		}, false},
		{"a platform each, merged", func(t *testing.T, store string) (a, b pusher) {
			key := attesttest.NewKey(t)
			return pusher{sample(t, store, "1", recipes.LinuxAMD64), publish.Options{Signer: key, Merge: true}},
				pusher{sample(t, store, "1", recipes.LinuxARM64), publish.Options{Signer: key, Merge: true}}
		}, false},
	}
}

// TestTwoPushesOfOneTagAtOnce: whoever comes last, the tag names a whole
// image, and a push that reports success left its image described.
func TestTwoPushesOfOneTagAtOnce(t *testing.T) {
	rounds := 3
	if os.Getenv("SHUDL_TEST_FULL") == "1" {
		rounds = 30
	}
	for _, where := range everywhere(t) {
		for n, meeting := range meetings() {
			t.Run(where.name+"/"+meeting.name, func(t *testing.T) {
				t.Parallel()
				var count meetingCount
				for round := range rounds {
					meeting.once(t, where.name, fmt.Sprintf("%s/%d/%d", where.dest, n, round), &count)
				}
				t.Logf("%d of %d pushes failed and left the tags whole, %d lost a signature to another key", count.failed, 2*rounds, count.lost)
			})
		}
	}
}

// patient tries again as users' pushes do, and sooner.
func patient(t *testing.T, to string) publish.Destination {
	t.Helper()
	o := publish.RegistryOptions{Backoff: &remote.Backoff{Duration: 10 * time.Millisecond, Factor: 3, Steps: 3}}
	dest, err := publish.ParseDestination(to, o)
	if err != nil {
		t.Fatal(err)
	}
	return dest
}

// meetingCount counts pushes that failed, and such that reported success while
// the push of another key took their signature away.
type meetingCount struct{ failed, lost int }

// once lets the two push to a fresh place. On docker-registry, which serves
// files that it is writing, both may fail at any step. A tag of signatures is
// read, changed and written, so a registry may lose that of one of two keys; a
// layout, which does it in one step, may not.
func (m together) once(t *testing.T, place, to string, count *meetingCount) {
	t.Helper()
	a, b := m.two(t, t.TempDir())
	both := []pusher{a, b}
	results, errs := make([]publish.Result, 2), make([]error, 2)
	var group sync.WaitGroup
	for i, p := range both {
		dest := patient(t, to) // as a process of its own would have it
		group.Go(func() { results[i], errs[i] = publish.Publish(t.Context(), dest, p.release, p.options) })
	}
	group.Wait()
	repo, err := patient(t, to).Repository(a.release.Name)
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	atomic, keys := place != "docker-registry", a.options.Signer != b.options.Signer
	for i, err := range errs {
		if err != nil {
			failed++
			if atomic && (m.bothSucceed || !errors.Is(err, publish.ErrReadBack)) {
				t.Errorf("push %d: %v", i+1, err)
			}
			continue
		}
		key := both[i].options.Signer.(*attest.Key)
		err := lacking(t, repo, results[i].Digest, key)
		if err != nil && keys && place != "layout" {
			count.lost++
		} else if err != nil {
			t.Errorf("push %d reports success, and its image is not whole: %v", i+1, err)
		}
	}
	count.failed += failed
	if failed == 2 && atomic && !mixed(t, repo, a.release.Tags) {
		t.Error("both failed, and all tags are of one")
	}
	for _, tag := range a.release.Tags {
		_, one := whole(t, repo, tag, a.options.Signer.(*attest.Key))
		_, other := whole(t, repo, tag, b.options.Signer.(*attest.Key))
		if one != nil && other != nil {
			t.Errorf("%s is whole by neither: %v; %v", tag, one, other)
		}
	}
	a.options.Merge = true
	mustPublish(t, patient(t, to), a.release, a.options)
	for _, tag := range a.release.Tags {
		if !complete(t, repo, tag, a.options.Signer.(*attest.Key)) {
			t.Errorf("the next push does not bring %s", tag)
		}
	}
}

// mixed says that tags name different images. A registry moves tags one by
// one: where each of two pushes is last at one of several, each is told so.
func mixed(t *testing.T, repo publish.Repository, tags []string) bool {
	t.Helper()
	named := map[digest.Digest]bool{}
	for _, tag := range tags {
		d, err := repo.Resolve(t.Context(), tag)
		if err != nil {
			t.Fatal(err)
		}
		named[d.Digest] = true
	}
	return len(named) > 1
}

// lacking says what is missing of a manifest, by a key.
func lacking(t *testing.T, repo publish.Repository, d digest.Digest, key *attest.Key) error {
	t.Helper()
	verifier, err := attest.NewVerifier(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return described(t.Context(), repo, verifier, ocispec.Descriptor{Digest: d}, attest.Dual)
}
