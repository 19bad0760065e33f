package publish_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
)

// fullStore is a store that takes no record while it is full.
type fullStore struct {
	publish.Memory
	full atomic.Bool
}

func (s *fullStore) SetRecord(kind, key string, data []byte) error {
	if s.full.Load() {
		return errors.New("no space left on device")
	}
	return s.Memory.SetRecord(kind, key, data)
}

// versions are two releases of one image under the same tags.
func versions(t *testing.T) (ours, theirs publish.Release) {
	t.Helper()
	store := t.TempDir()
	ours = withKeys(postgresql().release(t, store))
	other := postgresql()
	other.content = "select 2"
	theirs = withKeys(other.release(t, store))
	theirs.Images[0].Attestations[0].Key = "another"
	ours.Fixed, theirs.Fixed = "", ""
	ours.Tags = []string{"17.12", "latest"}
	theirs.Tags = ours.Tags
	return ours, theirs
}

// TestFullStoreFailsNoPush: what is remembered is there for speed. Only where a
// receipt would outlive what it is of, the push does not begin.
func TestFullStoreFailsNoPush(t *testing.T) {
	ours, theirs := versions(t)
	for _, where := range everywhere(t) {
		t.Run(where.name, func(t *testing.T) {
			store := &fullStore{Memory: memory(t)}
			options := publish.Options{Signer: attesttest.NewKey(t), Memory: store}
			store.full.Store(true)
			push(t, where.dest.String(), ours, options)
			store.full.Store(false)
			if _, unchanged := push(t, where.dest.String(), ours, options); unchanged {
				t.Error("a receipt of a push that could keep none")
			}
			store.full.Store(true)
			_, err := publish.Publish(t.Context(), destination(t, where.dest.String()), theirs, options)
			layout := where.name == "layout"
			if layout && err != nil {
				t.Error(err)
			}
			if !layout && (err == nil || !strings.Contains(err.Error(), "end the receipt")) {
				t.Errorf("error %v, want that the receipt cannot be ended", err)
			}
			if !layout {
				if _, unchanged := publish.Unchanged(t.Context(), destination(t, where.dest.String()), ours, options); !unchanged {
					t.Error("the tags moved")
				}
			}
		})
	}
}

// TestNoReceiptOverAnUnfinishedPush: one push looks at its image for the last
// time while another with the same store has moved a tag and stops there.
func TestNoReceiptOverAnUnfinishedPush(t *testing.T) {
	for name, start := range registries() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			if host == "" {
				t.Skip("docker-registry is not installed")
			}
			ours, theirs := versions(t)
			options := publish.Options{Signer: attesttest.NewKey(t), Memory: memory(t)}
			proxy := passTo(&url.URL{Scheme: "http", Host: host})
			var tagged, refusing atomic.Bool
			var address string
			var other error
			address = serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				last := req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/latest")
				if last && refusing.Load() {
					http.Error(w, "refused", http.StatusForbidden)
					return
				}
				if tagged.Load() && strings.HasSuffix(req.URL.Path, ".sig") && refusing.CompareAndSwap(false, true) {
					_, other = publish.Publish(t.Context(), destination(t, address+"/shudl"), theirs, options)
				}
				proxy.ServeHTTP(w, req)
				if last {
					tagged.Store(true)
				}
			}))
			mustPublish(t, destination(t, address+"/shudl"), ours, options)
			if other == nil {
				t.Fatal("the other push did not run, or came to its end")
			}
			if _, unchanged := publish.Unchanged(t.Context(), destination(t, address+"/shudl"), ours, options); unchanged {
				t.Error("a receipt says that 17.12 is unchanged, which the other push moved")
			}
		})
	}
}

// TestNoReceiptBesideAnotherPush: one push of two with the same store finds
// nothing to do, and the other moves a tag and stops there.
func TestNoReceiptBesideAnotherPush(t *testing.T) {
	for name, c := range map[string]struct {
		first  string // the push within which the other begins and ends
		method string
		path   string
		times  int32 // how often it asks for that before the other begins
	}{
		"it looked for the last time": {"ours", http.MethodGet, "/manifests/17.12", 2},
		"it began and has ended":      {"theirs", http.MethodPost, "/blobs/uploads/", 1},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := versions(t)
			options := publish.Options{Signer: attesttest.NewKey(t), Memory: memory(t)}
			proxy := passTo(&url.URL{Scheme: "http", Host: registries()["ggcr"](t)})
			var armed atomic.Bool
			var asked atomic.Int32
			var address string
			pushes := map[string]func() error{}
			for who, r := range map[string]publish.Release{"ours": ours, "theirs": theirs} {
				pushes[who] = func() error {
					_, err := publish.Publish(t.Context(), destination(t, address+"/shudl"), r, options)
					return err
				}
			}
			second, errs := map[string]string{"ours": "theirs", "theirs": "ours"}[c.first], map[string]error{}
			address = serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if armed.Load() && req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/latest") {
					http.Error(w, "refused", http.StatusForbidden)
					return
				}
				proxy.ServeHTTP(w, req)
				if armed.Load() && req.Method == c.method && strings.HasSuffix(req.URL.Path, c.path) && asked.Add(1) == c.times {
					errs[second] = pushes[second]() // before the answer goes out
				}
			}))
			if err := pushes["ours"](); err != nil {
				t.Fatal(err)
			}
			armed.Store(true)
			errs[c.first] = pushes[c.first]()
			if errs["ours"] != nil || errs["theirs"] == nil {
				t.Fatalf("ours: %v, want none; theirs: %v, want that the last tag is refused", errs["ours"], errs["theirs"])
			}
			if _, unchanged := publish.Unchanged(t.Context(), destination(t, address+"/shudl"), ours, options); unchanged {
				t.Error("a receipt says that 17.12 is unchanged, which the other push moved")
			}
		})
	}
}
