package reproduce_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/existing"
	"github.com/shudl/shudl-assemble/layers/reproduce"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

func TestTamperedLayerIsNamed(t *testing.T) {
	s := stage(t, nil)
	for what, one := range map[string]struct {
		path               string
		change             func([]member) []member
		published, rebuilt string
	}{
		"bytes": {"usr/bin/run", on("usr/bin/run", func(m *member) { m.content = []byte("#!/bin/sh\necho evil\n") }), "20 bytes, sha256", "23 bytes, sha256"},
		"mode":  {"usr/bin/run", on("usr/bin/run", func(m *member) { m.Mode = 0o4755 }), "4755", "0755"},
		"owner": {"etc/service.cfg", on("etc/service.cfg", func(m *member) { m.Uid = 7 }), "7:0", "0:0"},
		"time":  {"etc/service.cfg", on("etc/service.cfg", func(m *member) { m.ModTime = time.Unix(7, 0) }), "1970-01-01T00:00:07Z", "2000-01-01T00:00:00Z"},
		"link":  {"usr/bin/alias", on("usr/bin/alias", func(m *member) { m.Linkname = "/tmp/run" }), "/tmp/run", "run"},
		"attributes": {"usr/bin/run", on("usr/bin/run", func(m *member) {
			m.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "x"}
		}), `SCHILY.xattr.security.capability="x"`, "nothing"},
		"extra": {"etc/cron.d", func(all []member) []member {
			return append(all, member{Header: tar.Header{Name: "etc/cron.d/", Typeflag: tar.TypeDir, Mode: 0o755}})
		}, "directory, mode 0755", "nothing"},
		"missing": {"usr/bin/alias", func(all []member) []member {
			var kept []member
			for _, m := range all {
				if m.Name != "usr/bin/alias" {
					kept = append(kept, m)
				}
			}
			return kept
		}, "nothing", "symbolic link, mode 0777, owner 0:0, to run"},
		"number of entries": {"usr/bin/run", func(all []member) []member {
			for _, m := range all {
				if m.Name == "usr/bin/run" {
					return append(all, m)
				}
			}
			return nil
		}, "2", "1"},
	} {
		f := forge(t, s)
		f.layer(t, program, false, one.change)
		r, err := s.again(t, f.publish(t))
		if !errors.Is(err, reproduce.ErrDiffers) || len(r.Images) != 1 || r.Images[0].Reproduced {
			t.Errorf("%s: %v", what, err)
			continue
		}
		d := r.Images[0].Difference
		if d.In != "layer" || d.Layer != program+1 || d.Name != "service/program" || d.Path != one.path || len(d.Aspects) != 1 || d.More != 0 {
			t.Errorf("%s: %+v", what, d)
			continue
		}
		a := d.Aspects[0]
		if a.What != what || !strings.HasPrefix(a.Published, one.published) || !strings.HasPrefix(a.Rebuilt, one.rebuilt) {
			t.Errorf("%s: %+v", what, a)
		}
		if want := "layer 2 (service/program), " + one.path + ": " + what; !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %q does not end with %q", err, want)
		}
	}
}

// A config that still names the diffID of the layer that was replaced hides
// nothing.
func TestConfigThatLies(t *testing.T) {
	s := stage(t, nil)
	f := forge(t, s)
	f.layer(t, program, true, on("usr/bin/run", func(m *member) { m.Mode = 0o4755 }))
	_, err := s.again(t, f.publish(t))
	if !errors.Is(err, reproduce.ErrDiffers) || !strings.HasSuffix(err.Error(), "layer 2 (service/program), usr/bin/run: mode") {
		t.Errorf("%v", err)
	}
}

// The first layer and the first path are named, with all that differs there.
func TestFirstOfManyDifferences(t *testing.T) {
	s := stage(t, nil)
	f := forge(t, s)
	f.layer(t, program, false, on("usr/bin/run", func(m *member) { m.Mode = 0 }))
	f.layer(t, 0, false, func(all []member) []member {
		for i := range all {
			all[i].Uid, all[i].Mode = 9, 0o700
		}
		return all
	})
	r, err := s.again(t, f.publish(t))
	if !errors.Is(err, reproduce.ErrDiffers) {
		t.Fatal(err)
	}
	d := r.Images[0].Difference
	if d.Layer != 1 || d.Name != "base-debian/system" || d.Path != "bin" || d.More != 3 {
		t.Errorf("%+v", d)
	}
	want := []reproduce.Aspect{{What: "mode", Published: "0700", Rebuilt: "0777"}, {What: "owner", Published: "9:0", Rebuilt: "0:0"}}
	if diff := cmp.Diff(want, d.Aspects); diff != "" {
		t.Error(diff)
	}
}

func TestSameContentInAnotherForm(t *testing.T) {
	s := stage(t, nil)
	unpacked := func(f *forgery) []byte {
		z, err := gzip.NewReader(bytes.NewReader(f.blobs[f.manifest.Layers[program].Digest]))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return plain
	}
	for want, change := range map[string]func(*forgery){
		"compression, not what is compressed": func(f *forgery) { f.replace(t, program, unpacked(f), false) },
		"form of the tar stream, not what it holds": func(f *forgery) {
			f.replace(t, program, append(unpacked(f), make([]byte, 512)...), false)
		},
		"diffID that the config names": func(f *forgery) {
			f.config["rootfs"].(map[string]any)["diff_ids"].([]any)[program] = "sha256:" + strings.Repeat("0", 64)
		},
	} {
		f := forge(t, s)
		change(f)
		r, err := s.again(t, f.publish(t))
		if !errors.Is(err, reproduce.ErrDiffers) {
			t.Errorf("%s: %v", want, err)
			continue
		}
		d := r.Images[0].Difference
		if d.In != "layer" || d.Layer != program+1 || d.Path != "" || d.Aspects[0].What != want {
			t.Errorf("%s: %+v", want, d)
		}
	}
}

func TestOtherDocuments(t *testing.T) {
	s := stage(t, nil)
	for want, change := range map[string]func(*forgery){
		`config, config.Env[1]: value`: func(f *forgery) {
			env := f.config["config"].(map[string]any)
			env["Env"] = append(env["Env"].([]any), "LD_PRELOAD=/tmp/x")
		},
		`config, config.User: value`: func(f *forgery) { f.config["config"].(map[string]any)["User"] = "root" },
		`config, rootfs.diff_ids: number of diffIDs`: func(f *forgery) {
			rootfs := f.config["rootfs"].(map[string]any)
			rootfs["diff_ids"] = rootfs["diff_ids"].([]any)[1:]
		},
		`manifest, annotations.org.opencontainers.image.title: value`: func(f *forgery) {
			f.manifest.Annotations[ocispec.AnnotationTitle] = "another"
		},
		`layer 2: number of layers`: func(f *forgery) {
			f.manifest.Layers = f.manifest.Layers[:1]
			rootfs := f.config["rootfs"].(map[string]any)
			rootfs["diff_ids"] = rootfs["diff_ids"].([]any)[:1]
		},
	} {
		f := forge(t, s)
		// The config's own bytes, where nothing of it changes.
		original := f.blobs[f.manifest.Config.Digest]
		before, err := json.Marshal(f.config)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.manifest.Layers) <= program {
			t.Fatalf("%d layers", len(f.manifest.Layers))
		}
		change(f)
		after, err := json.Marshal(f.config)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(before, after) {
			raw, err := json.Marshal(f.manifest)
			if err != nil {
				t.Fatal(err)
			}
			f.publishRaw(t, raw, original)
		} else {
			f.publish(t)
		}
		_, err = s.again(t, f.ref("forged"))
		if !errors.Is(err, reproduce.ErrDiffers) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	f := forge(t, s)
	f.publish(t) // the same config, its keys in another order
	if _, err := s.again(t, f.ref("forged")); !errors.Is(err, reproduce.ErrDiffers) || !strings.HasSuffix(err.Error(), "config: written in another form") {
		t.Errorf("%v", err)
	}
}

// Provenance that speaks of another image than the one it lies beside.
func TestForeignProvenance(t *testing.T) {
	s := stage(t, nil)
	for want, change := range map[string]func(*forgery){
		"its parent is": func(f *forgery) {
			f.manifest.Annotations[ocispec.AnnotationBaseImageDigest] = "sha256:" + strings.Repeat("0", 64)
		},
		"its date is":     func(f *forgery) { f.manifest.Annotations[ocispec.AnnotationCreated] = "2026-01-01T00:00:00Z" },
		"another kind of": func(f *forgery) { f.predicate = bytes.Replace(f.predicate, []byte("image/v1"), []byte("image/v2"), 1) },
	} {
		f := forge(t, s)
		change(f)
		_, err := existing.Find(t.Context(), f.publish(t), trusting(s.key))
		if !errors.Is(err, verify.ErrAttestation) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// An index whose images are the same, and that says something else itself.
func TestOtherIndex(t *testing.T) {
	s := stage(t, func(o *assemble.Options) { o.Platforms = recipes.Platforms() })
	repo, err := s.dest.Repository("service")
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Manifest(t.Context(), digest.Digest(s.image.Digest))
	if err != nil {
		t.Fatal(err)
	}
	m.Raw = bytes.Replace(m.Raw, []byte("A service"), []byte("A fine service"), 1)
	if err := repo.PutManifest(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), m, []string{"forged"}); err != nil {
		t.Fatal(err)
	}
	r, err := s.again(t, s.ref("forged"))
	if !errors.Is(err, reproduce.ErrDiffers) || r.Index == nil || r.Index.In != "index" || !strings.Contains(r.Index.Path, "description") {
		t.Errorf("%v, %+v", err, r.Index)
	}
	if len(r.Images) != 2 || !r.Images[0].Reproduced || !r.Images[1].Reproduced {
		t.Errorf("%+v", r.Images)
	}
}
