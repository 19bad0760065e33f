package resolve

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// edited is a lock in which one image's artefacts are other ones.
func edited(t *testing.T, l *recipes.Lock, image string, edit func([]recipes.Artifact) []recipes.Artifact) *recipes.Lock {
	t.Helper()
	changed := *l
	changed.Images = slices.Clone(l.Images)
	for i, locked := range changed.Images {
		if locked.Ref.String() == image {
			changed.Images[i].Artifacts = edit(slices.Clone(locked.Artifacts))
		}
	}
	return &changed
}

// Only what is named moves; what stands on it stays, to the letter.
func TestRefreshOfOneImage(t *testing.T) {
	set := alpineSet(t)
	now := mustLock(t, set, nil, alpineOptions(t, shared(t))).Lock
	older := func(name string) func([]recipes.Artifact) []recipes.Artifact {
		return func(all []recipes.Artifact) []recipes.Artifact {
			for i := range all {
				if all[i].Name == name {
					all[i].License = "of another time"
				}
			}
			return all
		}
	}
	old := edited(t, edited(t, now, "base-alpine", older("wget")), "tools", older("jq"))
	old.Date = now.Date.Add(-48 * time.Hour)
	o := alpineOptions(t, shared(t))
	o.Refresh, o.Only = true, []recipes.Ref{{Name: "base-alpine"}}
	r := mustLock(t, set, old, o)
	base, _ := r.Lock.Image(recipes.Ref{Name: "base-alpine"}, recipes.LinuxAMD64)
	for _, a := range base.Artifacts {
		if a.License == "of another time" {
			t.Error("the base did not move")
		}
	}
	tools, _ := r.Lock.Image(recipes.Ref{Name: "tools"}, recipes.LinuxAMD64)
	if i := slices.IndexFunc(tools.Artifacts, func(a recipes.Artifact) bool { return a.Name == "jq" }); tools.Artifacts[i].License != "of another time" {
		t.Error("the service moved with its base")
	}
	if !base.Date.IsZero() || !r.Lock.Date.Equal(now.Date) {
		t.Errorf("the base is of %s, the lock of %s", base.Date, r.Lock.Date)
	}
	if !tools.Date.Equal(old.Date) {
		t.Errorf("the service that stays is of %s, not %s", tools.Date, old.Date)
	}
	if !strings.Contains(text(t, r.Lock), `{"image":"tools","platform":"linux/amd64","date":"`) {
		t.Error("the date of the service is not in the lock")
	}
	o.Only = []recipes.Ref{{Name: "tools"}}
	if r = mustLock(t, set, r.Lock, o); strings.Contains(text(t, r.Lock), `linux/amd64","date":"`) {
		t.Error("an image that is of the lock's date has one of its own")
	}
	if !r.Changed || len(r.Lock.Indexes) != 2 || len(r.Lock.Images) != len(old.Images) {
		t.Errorf("%d indexes, %d images", len(r.Lock.Indexes), len(r.Lock.Images))
	}
}

func TestRefreshOfOneImageRefuses(t *testing.T) {
	set := alpineSet(t)
	now := mustLock(t, set, nil, alpineOptions(t, shared(t))).Lock
	o := alpineOptions(t, shared(t))
	o.Refresh, o.Only = true, []recipes.Ref{{Name: "base-alpine"}}

	// A library that the base had, and that the service's program needs.
	lacking := edited(t, now, "tools", func(all []recipes.Artifact) []recipes.Artifact {
		return slices.DeleteFunc(all, func(a recipes.Artifact) bool { return a.Name == "oniguruma" })
	})
	var stands *StandsError
	_, err := Lock(t.Context(), set, lacking, recipes.Alpine, o)
	if !errors.As(err, &stands) || stands.Image.Name != "tools" || !slices.Equal(stands.More, []string{"oniguruma 6.9.9-r0"}) {
		t.Errorf("error %v", err)
	}

	// A package that is in no index and on no mirror.
	gone := edited(t, now, "tools", func(all []recipes.Artifact) []recipes.Artifact {
		for i := range all {
			if all[i].Name == "jq" {
				all[i].Version, all[i].Path = "1.0-r0", strings.Replace(all[i].Path, "1.7.1", "1.0", 1)
				all[i].SHA256 = recipes.Digest(strings.Repeat("1", 64))
			}
		}
		return all
	})
	if _, err := Lock(t.Context(), set, gone, recipes.Alpine, o); err == nil || !strings.Contains(err.Error(), "package jq 1.0-r0 is in no index") {
		t.Errorf("error %v", err)
	}

	// What stays is looked for where the lock's own date leads to.
	past := t.TempDir()
	o.Kept = &fetch.Fetcher{Store: o.Fetcher.Store, Mirrors: fetch.Mirrors{fetch.Alpine: {"file:" + past}}}
	if _, err := Lock(t.Context(), set, gone, recipes.Alpine, o); err == nil || !strings.Contains(err.Error(), past) {
		t.Errorf("error %v", err)
	}

	o.Only = []recipes.Ref{{Name: "none"}}
	if _, err := Lock(t.Context(), set, now, recipes.Alpine, o); err == nil || !strings.Contains(err.Error(), "not in the lock yet") {
		t.Errorf("error %v", err)
	}
	o.Only, o.Release = []recipes.Ref{{Name: "base-alpine"}}, "v3.18"
	if _, err := Lock(t.Context(), set, now, recipes.Alpine, o); err == nil || !strings.Contains(err.Error(), "wants everything") {
		t.Errorf("error %v", err)
	}
}
