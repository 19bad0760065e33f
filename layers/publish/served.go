package publish

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// A tag that moves is read back with all its blobs, also with those that were
// there before. To hash them again would read every layer of an image of which
// one file changed. So what was read back once is remembered: of a folder with
// what the file system says of each file, as git does it; of a registry by the
// digest, where its word that it has the blob is still asked for.

// servedRecord is the kind of the records of blobs that were read back.
const servedRecord = "served"

// mark is that by which the bytes of a file are known without reading them; ""
// where there is none.
func (r *layoutRepository) mark(d digest.Digest) string {
	path, err := r.path(d)
	if err != nil {
		return ""
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d %d %d %d", stat.Dev, stat.Ino, info.Size(), info.ModTime().UnixNano())
}

// place is the folder, wherever it is named from.
func (r *layoutRepository) place() string {
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return ""
	}
	return LayoutPrefix + dir
}

func (r *registryRepository) mark(digest.Digest) string { return "served" }
func (r *registryRepository) place() string             { return r.Name() }

// marking is what both repositories know.
type marking interface {
	mark(d digest.Digest) string
	place() string
}

// servedKey is of the image that the last tag names: the next one under it
// shares most of its blobs.
func (p *publication) servedKey() (repo marking, key string) {
	repo, ok := p.repo.(marking)
	if !ok || p.options.Memory == nil || repo.place() == "" {
		return nil, ""
	}
	return repo, hashOf(repo.place(), p.release.Tags[len(p.release.Tags)-1])
}

// readServed reads what an earlier push read back.
func (p *publication) readServed() {
	_, key := p.servedKey()
	if key == "" || p.options.Recheck {
		return
	}
	if data, ok := p.options.Memory.Record(servedRecord, key); ok {
		// One that does not parse says nothing.
		_ = json.Unmarshal(data, &p.served)
	}
}

// wasServed says whether a blob that is there was read back before.
func (p *publication) wasServed(d digest.Digest) bool {
	repo, key := p.servedKey()
	return key != "" && p.served[d] != "" && p.served[d] == repo.mark(d)
}

// keepServed remembers the blobs of the images that were read back now, or before.
func (p *publication) keepServed() error {
	repo, key := p.servedKey()
	if key == "" {
		return nil
	}
	readBack := map[digest.Digest]bool{}
	for _, blob := range p.written.blobs {
		readBack[blob.Digest] = true
	}
	now := map[digest.Digest]string{}
	for _, img := range p.release.Images {
		for _, blob := range img.Blobs {
			switch {
			case readBack[blob.Digest]:
				now[blob.Digest] = repo.mark(blob.Digest)
			case p.wasServed(blob.Digest):
				now[blob.Digest] = p.served[blob.Digest]
			}
		}
	}
	if maps.Equal(now, p.served) {
		return nil
	}
	data, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return p.options.Memory.SetRecord(servedRecord, key, data)
}
