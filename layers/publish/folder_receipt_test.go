package publish_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// blobFiles are the files of an image's blobs in a folder.
func blobFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "postgresql", "blobs", "sha256", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d blobs: %v", len(files), err)
	}
	return files
}

// inFolder is a folder with an image of two platforms, which another has signed
// too where anybody does.
func inFolder(t *testing.T, format attest.Format, signed bool) (dir string, r publish.Release, o publish.Options) {
	t.Helper()
	dir = t.TempDir()
	r = withKeys(postgresql().release(t, t.TempDir(), recipes.LinuxAMD64, recipes.LinuxARM64))
	o = publish.Options{Format: format, Memory: memory(t)}
	if signed {
		mustPublish(t, destination(t, "oci:"+dir), r, publish.Options{Format: format, Signer: attesttest.NewKey(t)})
		o.Signer = attesttest.NewKey(t)
	}
	if _, unchanged := push(t, "oci:"+dir, r, o); unchanged {
		t.Fatal("a first push found nothing to do")
	}
	return dir, r, o
}

// TestNothingChangedOpensNoBlob gives every blob of a folder, manifests and the
// other signer's statements included, other bytes of the same size and time:
// whoever opens one fails or writes it anew.
func TestNothingChangedOpensNoBlob(t *testing.T) {
	for name, format := range map[string]attest.Format{
		"dual": attest.Dual, "classic": attest.Classic, "bundles": attest.Bundles, "unsigned": attest.Dual,
	} {
		t.Run(name, func(t *testing.T) {
			dir, r, o := inFolder(t, format, name != "unsigned")
			for _, path := range blobFiles(t, dir) {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				content[0] ^= 1
				overwrite(t, path, content)
			}
			before := snapshot(t, dir)
			result, unchanged := push(t, "oci:"+dir, r, o)
			if !unchanged || result.Blobs+result.Manifests+len(result.Moved) != 0 {
				t.Errorf("unchanged %t: %+v", unchanged, result)
			}
			if !maps.Equal(before, snapshot(t, dir)) {
				t.Error("a push of the same has written")
			}
		})
	}
}

// TestFolderReceiptSeesEveryFile takes each file of a folder away, cuts it off,
// and replaces it by one with other bytes of the same size.
func TestFolderReceiptSeesEveryFile(t *testing.T) {
	dir, r, o := inFolder(t, attest.Dual, true)
	want := held(t, dir, r, o)
	damages := map[string]func(path string, content []byte) error{
		"gone":     func(string, []byte) error { return nil },
		"cut off":  func(path string, content []byte) error { return os.WriteFile(path, content[:len(content)-1], 0o444) },
		"a folder": func(path string, _ []byte) error { return os.Mkdir(path, 0o755) },
		"replaced": func(path string, content []byte) error {
			return os.WriteFile(path, append([]byte{content[0] ^ 1}, content[1:]...), 0o444)
		},
	}
	aside := filepath.Join(t.TempDir(), "aside")
	for _, path := range blobFiles(t, dir) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, damage := range damages {
			if err := errors.Join(os.Rename(path, aside), damage(path, content)); err != nil {
				t.Fatal(err)
			}
			_, unchanged := publish.Unchanged(t.Context(), destination(t, "oci:"+dir), r, o)
			if name := filepath.Base(path); unchanged == want[name] {
				t.Errorf("%s %s: unchanged %t, want %t", name, what, unchanged, !want[name])
			}
			if err := errors.Join(os.RemoveAll(path), os.Rename(aside, path)); err != nil {
				t.Fatal(err)
			}
			if _, unchanged := publish.Unchanged(t.Context(), destination(t, "oci:"+dir), r, o); !unchanged {
				t.Fatalf("%s is as it was, and is looked at", path)
			}
		}
	}
}

// held are the names of the files that a push of a release looks at: what cosign's
// tags lead to, the other signer's statements included, and of the rest what
// leads on in a folder that nobody else has written to. What is left is the
// other's own bundles, and lists of the past.
func held(t *testing.T, dir string, r publish.Release, o publish.Options) map[string]bool {
	t.Helper()
	alone := t.TempDir()
	mustPublish(t, destination(t, "oci:"+alone), r, publish.Options{Signer: o.Signer})
	names := map[string]bool{}
	for _, folder := range []string{alone, dir} {
		for _, d := range readIndex(t, folder).Manifests {
			if strings.HasPrefix(d.Annotations[ocispec.AnnotationRefName], "sha256-") == (folder == dir) {
				lead(t, folder, d.Digest, names)
			}
		}
	}
	return names
}

// lead adds a manifest and all that it leads to.
func lead(t *testing.T, dir string, d digest.Digest, names map[string]bool) {
	t.Helper()
	var m struct {
		Config    ocispec.Descriptor
		Layers    []ocispec.Descriptor
		Manifests []ocispec.Descriptor
	}
	raw, err := os.ReadFile(filepath.Join(dir, "postgresql", "blobs", "sha256", d.Encoded()))
	if err = errors.Join(err, json.Unmarshal(raw, &m)); err != nil {
		t.Fatal(err)
	}
	names[d.Encoded()] = true
	for _, child := range m.Manifests {
		lead(t, dir, child.Digest, names)
	}
	if m.Config.Digest != "" {
		m.Layers = append(m.Layers, m.Config)
	}
	for _, blob := range m.Layers {
		names[blob.Digest.Encoded()] = true
	}
}

func readIndex(t *testing.T, dir string) (index ocispec.Index) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "postgresql", "index.json"))
	if err = errors.Join(err, json.Unmarshal(raw, &index)); err != nil {
		t.Fatal(err)
	}
	return index
}

// TestFolderIsRepairedAfterAReceipt takes away one file after another, each
// followed by a push of the same.
func TestFolderIsRepairedAfterAReceipt(t *testing.T) {
	dir := t.TempDir()
	r := withKeys(postgresql().release(t, t.TempDir(), recipes.LinuxAMD64, recipes.LinuxARM64))
	o := publish.Options{Signer: attesttest.NewKey(t), Memory: memory(t)}
	mustPublish(t, destination(t, "oci:"+dir), r, o)
	for _, path := range blobFiles(t, dir) {
		content, err := os.ReadFile(path)
		if err = errors.Join(err, os.Remove(path)); err != nil {
			t.Fatal(err)
		}
		if _, unchanged := push(t, "oci:"+dir, r, o); unchanged {
			t.Errorf("%s is gone: not found out", path)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != string(content) {
			t.Errorf("%s is not repaired: %v", path, err)
		}
		if _, unchanged := push(t, "oci:"+dir, r, o); !unchanged {
			t.Errorf("%s is repaired, and all is looked at again", path)
		}
	}
}

// TestFolderReceiptSeesEveryEntry takes each entry of index.json away, and lets
// each name another manifest.
func TestFolderReceiptSeesEveryEntry(t *testing.T) {
	dir, r, o := inFolder(t, attest.Dual, true)
	path := filepath.Join(dir, "postgresql", "index.json")
	whole, nobody := readIndex(t, dir), publish.Manifest{Raw: []byte("{}")}.Digest()
	unchanged := func(index ocispec.Index) bool {
		t.Helper()
		data, err := json.Marshal(index)
		if err == nil {
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, same := publish.Unchanged(t.Context(), destination(t, "oci:"+dir), r, o)
		return same
	}
	found := 0
	for i, entry := range whole.Manifests {
		less, other := whole, whole
		less.Manifests = slices.Delete(slices.Clone(whole.Manifests), i, i+1)
		other.Manifests = slices.Clone(whole.Manifests)
		other.Manifests[i].Digest = nobody
		a, b := !unchanged(less), !unchanged(other)
		if a != b {
			t.Errorf("%v %s: found out where it is gone %t, another %t", entry.Annotations, entry.Digest, a, b)
		}
		if a {
			found++
		}
	}
	// The tags; cosign's two for each of two platforms, and one for the index;
	// a bundle for each of these five. The other's own bundles are not ours to hold.
	if want := len(r.Tags) + 5 + 5; found != want {
		t.Errorf("%d entries are held, want %d", found, want)
	}
	if !unchanged(whole) {
		t.Error("the index as it was: not taken")
	}
	slices.Reverse(whole.Manifests)
	whole.Manifests = append(whole.Manifests, ocispec.Descriptor{
		Digest: nobody, Annotations: map[string]string{ocispec.AnnotationRefName: "another"}})
	if !unchanged(whole) {
		t.Error("one more tag, and another order: not taken")
	}
}

// TestFolderReceiptEnds brings about what else a receipt must not outlive.
func TestFolderReceiptEnds(t *testing.T) {
	dir, r, o := inFolder(t, attest.Dual, true)
	dest := destination(t, "oci:"+dir)
	for name, change := range map[string]func(*publish.Release, *publish.Options){
		"asked to look": func(_ *publish.Release, o *publish.Options) { o.Recheck = true },
		"another key":   func(_ *publish.Release, o *publish.Options) { o.Signer = attesttest.NewKey(t) },
		"no key":        func(_ *publish.Release, o *publish.Options) { o.Signer = nil },
		"no memory":     func(_ *publish.Release, o *publish.Options) { o.Memory = nil },
		"other format":  func(_ *publish.Release, o *publish.Options) { o.Format = attest.Classic },
		"one more tag":  func(r *publish.Release, _ *publish.Options) { r.Tags = append([]string{"more"}, r.Tags...) },
		"one platform":  func(r *publish.Release, _ *publish.Options) { r.Images, r.Index = r.Images[:1], nil },
		"other SBOM": func(r *publish.Release, _ *publish.Options) {
			r.Images = slices.Clone(r.Images)
			r.Images[1].Attestations = slices.Clone(r.Images[1].Attestations)
			r.Images[1].Attestations[0].Key = "another"
		},
	} {
		r, o := r, o
		change(&r, &o)
		if _, unchanged := publish.Unchanged(t.Context(), dest, r, o); unchanged {
			t.Errorf("%s: not looked at", name)
		}
	}
	if _, unchanged := publish.Unchanged(t.Context(), dest, r, o); !unchanged {
		t.Error("nothing changed: looked at")
	}
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if _, unchanged := publish.Unchanged(t.Context(), dest, r, o); unchanged {
		t.Error("the folder is gone: not found out")
	}
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
	o.Memory = older{o.Memory}
	if _, unchanged := publish.Unchanged(t.Context(), dest, r, o); unchanged {
		t.Error("a receipt is older than it may be: not looked at")
	}
}

// older gives back receipts as if they were kept two days ago.
type older struct{ publish.Memory }

func (m older) Record(kind, key string) ([]byte, bool) {
	data, ok := m.Memory.Record(kind, key)
	var receipt map[string]any
	if kind != "receipt" || !ok || json.Unmarshal(data, &receipt) != nil {
		return data, ok
	}
	receipt["time"] = time.Now().Add(-2 * publish.ReceiptLife)
	data, err := json.Marshal(receipt)
	return data, err == nil
}

// TestFolderReceiptHoldsKeptPlatforms takes away the manifest of a platform that
// a push with Merge keeps.
func TestFolderReceiptHoldsKeptPlatforms(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	o := publish.Options{Signer: attesttest.NewKey(t), Memory: memory(t), Merge: true}
	kept := withKeys(postgresql().release(t, store, recipes.LinuxARM64))
	mustPublish(t, destination(t, "oci:"+dir), kept, o)
	ours := withKeys(postgresql().release(t, store))
	mustPublish(t, destination(t, "oci:"+dir), ours, o)
	if _, unchanged := push(t, "oci:"+dir, ours, o); !unchanged {
		t.Fatal("nothing changed: looked at")
	}
	manifest := publish.Manifest{Raw: kept.Images[0].Manifest}.Digest()
	if err := os.Remove(filepath.Join(dir, "postgresql", "blobs", "sha256", manifest.Encoded())); err != nil {
		t.Fatal(err)
	}
	if _, unchanged := publish.Unchanged(t.Context(), destination(t, "oci:"+dir), ours, o); unchanged {
		t.Error("the index names a manifest that is gone: not found out")
	}
}

// TestLayoutFileIsRepaired: without its oci-layout a folder is no layout to
// other tools.
func TestLayoutFileIsRepaired(t *testing.T) {
	dir, r, o := inFolder(t, attest.Dual, true)
	path := filepath.Join(dir, "postgresql", ocispec.ImageLayoutFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, unchanged := push(t, "oci:"+dir, r, o); unchanged {
		t.Error("oci-layout is gone: not found out")
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("not repaired: %v", err)
	}
}

// TestRecheckReadsBlobs: asked to look at everything, a push finds a blob with
// other bytes of the same size and time.
func TestRecheckReadsBlobs(t *testing.T) {
	dir, r, o := inFolder(t, attest.Dual, true)
	o.Recheck = true
	for _, blob := range r.Images[0].Blobs {
		path := filepath.Join(dir, "postgresql", "blobs", "sha256", blob.Digest.Encoded())
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// A file of its own: the layout's may be the store's, by a hard link.
		if err := errors.Join(os.Remove(path), os.WriteFile(path, append([]byte{content[0] ^ 1}, content[1:]...), 0o444)); err != nil {
			t.Fatal(err)
		}
		push(t, "oci:"+dir, r, o)
		if now, err := os.ReadFile(path); err != nil || string(now) != string(content) {
			t.Errorf("%s is not repaired: %v", blob.MediaType, err)
		}
	}
}
