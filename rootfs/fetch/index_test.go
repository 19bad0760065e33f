package fetch

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
)

// A locked index is asked for under its sha256 first: its name has mostly gone
// over to a newer one.
func TestAnIndexIsFoundByItsHash(t *testing.T) {
	const old, newer = "the old list", "a newer, longer list"
	const name = "/dists/trixie/main/binary-amd64/Packages.xz"
	byHash := "/dists/trixie/main/binary-amd64/by-hash/SHA256/" + string(digestOf(old))
	m := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case byHash:
			serve(old)(w, r)
		case name:
			serve(newer)(w, r)
		default:
			http.NotFound(w, r)
		}
	})
	f := fetcher(t)
	f.Mirrors = Mirrors{Debian: {m.URL}}
	r := Request{Archive: Debian, Path: name[1:], SHA256: digestOf(old), Size: int64(len(old))}
	if _, err := f.Get(t.Context(), r); err != nil || m.count() != 1 {
		t.Errorf("%v, after %d requests", err, m.count())
	}

	// A mirror that keeps none by hash has it under its name, or not any more.
	byHash = ""
	for want, gone := range map[string]bool{newer: false, old + "er": true} {
		f := fetcher(t)
		f.Mirrors = Mirrors{Debian: {m.URL}}
		r.SHA256, r.Size = digestOf(want), int64(len(want))
		_, err := f.Get(t.Context(), r)
		var mirrors *MirrorError
		if errors.As(err, &mirrors) != gone || gone && !mirrors.Gone() {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestGone(t *testing.T) {
	attempt := func(err error) Attempt { return Attempt{"https://example.org/debian/dists/x", err} }
	snapshot := Attempt{snapshotDebian + "/debian/20260101T000000Z/dists/x", errors.New("no such host")}
	refused, other := attempt(errors.New("refused")), attempt(&MismatchError{Want: recipes.Digest(strings.Repeat("a", 64))})
	for name, test := range map[string]struct {
		tried          []Attempt
		gone, notFound bool
	}{
		"nowhere":             {[]Attempt{attempt(fs.ErrNotExist)}, true, true},
		"the snapshot silent": {[]Attempt{attempt(&StatusError{410}), snapshot}, true, true},
		"another size":        {[]Attempt{attempt(fs.ErrNotExist), attempt(&SizeError{1, 2}), snapshot}, true, false},
		"other bytes":         {[]Attempt{other}, true, false},
		"a mirror is silent":  {[]Attempt{attempt(fs.ErrNotExist), refused}, false, false},
		"only the snapshot":   {[]Attempt{snapshot}, false, false},
		"nobody was asked":    {nil, false, false},
	} {
		e := &MirrorError{Archive: Debian, Path: "dists/x", Tried: test.tried}
		if e.Gone() != test.gone || e.NotFound() != test.notFound {
			t.Errorf("%s: gone %v, not found %v", name, e.Gone(), e.NotFound())
		}
	}
}
