package publish_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers/publish"
)

func TestParseReference(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	tests := map[string]string{
		"oci:shudl-images/postgresql:17-debian":         "oci:shudl-images/postgresql:17-debian",
		"oci:postgresql:17":                             "oci:./postgresql:17",
		"oci:/srv/images/minio":                         "oci:/srv/images/minio:latest",
		"oci:/minio:1":                                  "oci://minio:1",
		"ghcr.io/org/repo/postgresql":                   "ghcr.io/org/repo/postgresql:latest",
		"ghcr.io/postgresql:17":                         "ghcr.io/postgresql:17",
		"127.0.0.1:5000/postgresql:17":                  "127.0.0.1:5000/postgresql:17",
		"localhost/a/postgresql@sha256:" + hex:          "localhost/a/postgresql@sha256:" + hex,
		"oci:dir/postgresql:17@sha256:" + hex:           "oci:dir/postgresql@sha256:" + hex,
		"oci:dir with space/sub.dir/base-debian:13.2_1": "oci:dir with space/sub.dir/base-debian:13.2_1",
	}
	for in, want := range tests {
		ref, err := publish.ParseReference(in, quick())
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := strings.Replace(ref.String(), "oci:postgresql", "oci:./postgresql", 1); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for _, in := range []string{
		"", "oci:", "postgresql", "postgresql:17", "org/postgresql:17", "oci:dir/../x/..:1", "oci:dir/UPPER:1",
		"oci:dir/a:b c", "oci:dir/a@sha256:abc", "oci:dir/a@sha512:" + hex + hex, "ghcr.io/Org/x:1", "oci:dir/a:" + strings.Repeat("t", 129),
	} {
		if ref, err := publish.ParseReference(in, quick()); !errors.Is(err, publish.ErrUsage) {
			t.Errorf("%q: %v, error %v, want ErrUsage", in, ref, err)
		}
	}
}

func TestParseDestination(t *testing.T) {
	for in, local := range map[string]bool{
		"oci:dir": true, "localhost:5000/x": true, "127.0.0.1:5000": true, "[::1]:5000/x": true,
		"ghcr.io/org/repo": false, "127.0.0.1.evil.test/x": false, "localhost.evil.test/x": false,
	} {
		dest, err := publish.ParseDestination(in, quick())
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if dest.Local() != local || dest.String() != in {
			t.Errorf("%s: %s, local %t", in, dest, dest.Local())
		}
	}
	for _, in := range []string{"", "oci:", "org/repo", "ghcr.io/UPPER", "https://ghcr.io/org", "ghcr.io/a b", "./dir", "../dir", "."} {
		if _, err := publish.ParseDestination(in, quick()); !errors.Is(err, publish.ErrUsage) {
			t.Errorf("%q: error %v, want ErrUsage", in, err)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("oci:shudl-images/postgresql:17-debian")
	f.Add("ghcr.io/org/repo/postgresql@sha256:" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := publish.ParseReference(s, quick())
		if err == nil && (ref.Image == "" || strings.ContainsAny(ref.Image, "/\\") || ref.Image == "..") {
			t.Errorf("%q gives the image %q", s, ref.Image)
		}
	})
}

func TestSamePlace(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"images", "others"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("images", "link"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"oci:images", "oci:./images/", true},
		{"oci:images", "oci:" + here + "/images", true},
		{"oci:link", "oci:images", true},
		{"oci:none", "oci:./none", true},
		{"oci:none", "oci:images", false},
		{"oci:images", "oci:none", false},
		{"oci:images", "oci:others", false},
		{"oci:images", "localhost:5000/images", false},
		{"localhost:5000/images", "localhost:5000/images", true},
		{"localhost:5000/images", "localhost:5000/others", false},
	} {
		var at []publish.Destination
		for _, s := range []string{test.a, test.b} {
			d, err := publish.ParseDestination(s, publish.RegistryOptions{})
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, d)
		}
		if got := publish.SamePlace(at[0], at[1]); got != test.same {
			t.Errorf("%s and %s: %t", test.a, test.b, got)
		}
	}
}
