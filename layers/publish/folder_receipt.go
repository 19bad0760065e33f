package publish

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A whole look at an image in a folder reads every manifest that index.json
// names, and of each other signer its SBOMs of megabytes, to know whose they
// are. After a push the receipt of it says what all of that came to: what
// index.json names, and the mark of every file, other signers' included. The
// next push of the same reads index.json and asks the file system for the
// marks; it opens nothing else.
//
// That sees all that a whole look sees: an entry or a file that is gone, moved,
// cut off or replaced. A file with the same inode, size and time has the same
// bytes to git, too, and a whole look, which goes by the size alone where it
// reads nothing, would miss more. So such a receipt need not be void before
// tags move, as one of a registry: it is held to all tags, not to the last one,
// and whoever stops halfway has left it wrong.

// folderReceipt says what a finished push left in a layout.
type folderReceipt struct {
	Key    string        `json:"key"` // all that the push was of
	Time   time.Time     `json:"time"`
	Digest digest.Digest `json:"digest"` // of the manifest that the tags name
	// Tags are what index.json names, cosign's tags included, and Referrers
	// what it names without a tag.
	Tags      map[string]digest.Digest `json:"tags"`
	Referrers []digest.Digest          `json:"referrers,omitempty"`
	// Files are the marks of all blobs, manifests included.
	Files map[digest.Digest]string `json:"files"`
}

// stand notes blobs, manifests included, that a folder has by the end.
func (p *publication) stand(digests ...digest.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stands == nil {
		p.stands = map[digest.Digest]bool{}
	}
	for _, d := range digests {
		p.stands[d] = true
	}
}

// name notes what a tag beside the image's own names by the end.
func (p *publication) name(tag string, d digest.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.named == nil {
		p.named = map[string]digest.Digest{}
	}
	p.named[tag] = d
}

// folderReceiptKey is of the image that the last tag names, in this folder.
func (p *publication) folderReceiptKey(folder *layoutRepository) string {
	if p.options.Memory == nil || folder.place() == "" {
		return ""
	}
	return hashOf(folder.place(), p.release.Tags[len(p.release.Tags)-1])
}

// keepFolderReceipt keeps the receipt of a push that is finished. A file that
// is not there any more is none to vouch for.
func (p *publication) keepFolderReceipt(folder *layoutRepository, key string) error {
	record := p.folderReceiptKey(folder)
	if record == "" {
		return nil
	}
	r := folderReceipt{
		Key: key, Time: time.Now().UTC(), Digest: p.result.Digest,
		Tags: map[string]digest.Digest{}, Files: map[digest.Digest]string{},
	}
	for tag, d := range p.named {
		r.Tags[tag] = d
	}
	for _, tag := range p.release.Tags {
		r.Tags[tag] = p.result.Digest
	}
	for _, m := range p.held.referrers {
		r.Referrers = append(r.Referrers, m.Digest())
	}
	for d := range p.stands {
		if r.Files[d] = folder.mark(d); r.Files[d] == "" {
			return nil
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return p.options.Memory.SetRecord(receiptRecord, record, data)
}

// unchangedFolder holds a folder to the receipt of the last push.
func (p *publication) unchangedFolder(ctx context.Context, folder *layoutRepository, key string) (folderReceipt, bool) {
	var r folderReceipt
	record := p.folderReceiptKey(folder)
	if record == "" {
		return r, false
	}
	data, ok := p.options.Memory.Record(receiptRecord, record)
	if !ok || json.Unmarshal(data, &r) != nil || r.Key != key || !lives(r.Time) {
		return r, false
	}
	index, _, err := folder.readIndex()
	if err != nil || !folder.isLayout() || !r.names(index) {
		return r, false
	}
	for d, mark := range r.Files {
		if ctx.Err() != nil || folder.mark(d) != mark {
			return r, false
		}
	}
	return r, true
}

// names says whether index.json names all that it named.
func (r folderReceipt) names(index ocispec.Index) bool {
	var referrers []digest.Digest
	for _, d := range index.Manifests {
		if d.Annotations[ocispec.AnnotationRefName] == "" {
			referrers = append(referrers, d.Digest)
		}
	}
	tags := tagged(index)
	for tag, d := range r.Tags {
		if tags[tag].Digest != d {
			return false
		}
	}
	return !slices.ContainsFunc(r.Referrers, func(d digest.Digest) bool { return !slices.Contains(referrers, d) })
}

// lives says whether a receipt of that time still counts.
func lives(since time.Time) bool {
	age := time.Since(since)
	return age >= 0 && age <= ReceiptLife
}
