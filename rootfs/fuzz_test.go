package rootfs

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/recipes"
)

// FuzzTree adds entries drawn from the input to two trees, one on the other,
// and holds the result to the promises of a tree.
func FuzzTree(f *testing.F) {
	f.Add([]byte("dfflhlhfd0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200, 201, 202, 203, 204, 205, 206, 207})
	f.Add([]byte("10001000A210000000A100000000")) // a file over a link that a generator made
	f.Fuzz(func(t *testing.T, data []byte) {
		var lower *Tree
		for half := range slices.Chunk(data, max(1, (len(data)+1)/2)) {
			tree := NewTree(lower)
			tree.Replaces = func(by, old string) bool { return by > old }
			for step := range slices.Chunk(half, 4) {
				if len(step) == 4 {
					_ = tree.Add(draw(step)) // a refusal is as good as an entry
				}
			}
			checkTree(t, tree)
			if diff := cmp.Diff(len(tree.All()) >= len(tree.Own()), true); diff != "" {
				t.Fatal(diff)
			}
			lower = tree
		}
	})
}

func draw(b []byte) Entry {
	paths := []string{"a", "b", "a/b", "a/c", "b/c", "a/b/c", "b/c/d", "c", "c/a/b", ".wh.a", "../a", "c/../d"}
	links := []string{"a", "b", "/", "..", "a/b", "b/c", "/c", "../c", "../../x", ".", "c/a"}
	sums := []string{"0", "1", "2"}
	e := Entry{
		Path:  paths[int(b[0])%len(paths)],
		Type:  []Type{Directory, Regular, Symlink, Hardlink}[b[1]%4],
		Mode:  uint32(b[1]) << 4,
		Owner: []string{"pkg:a", "pkg:b", "recipe:c"}[b[2]%3],
		State: b[2]%7 == 0,
		Link:  links[int(b[3])%len(links)],
	}
	for range 64 {
		e.SHA256 += recipes.Digest(sums[int(b[3])%len(sums)])
	}
	return e
}

// FuzzReadEntries reads arbitrary bytes; what is accepted is written the same.
func FuzzReadEntries(f *testing.F) {
	f.Add([]byte(`{"path":"a","type":"d","mode":493,"owner":"pkg:x"}` + "\n"))
	f.Add([]byte(`{"path":"a","type":"l","mode":511,"link":"b","owner":"pkg:x","time":"2024-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ReadEntries(bytes.NewReader(data))
		if err != nil {
			return
		}
		var buf bytes.Buffer
		if err := WriteEntries(&buf, entries); err != nil {
			t.Fatal(err)
		}
		again, err := ReadEntries(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entries, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
