package assemble

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
)

// The kinds of the store's records from image keys to SBOMs, and from layers
// to what they add to these.
const (
	sbomRecord     = "sbom"
	fragmentRecord = "sbom-layer"
)

// spdx gives the image's SBOM, from the store where it was written before.
func (n *node) spdx(ctx context.Context) ([]byte, error) {
	return n.document(ctx, "", func(spdx, _ []byte) []byte { return spdx })
}

// cyclonedx gives the same SBOM as CycloneDX.
func (n *node) cyclonedx(ctx context.Context) ([]byte, error) {
	return n.document(ctx, "cyclonedx ", func(_, bom []byte) []byte { return bom })
}

// spdxKey stands for the SBOM, in either form.
func (n *node) spdxKey() (string, error) {
	return n.key + " " + string(n.built.Digest) + " " + n.run.Tool + " " + sbom.Format + " " + sbom.FragmentFormat, nil
}

// document gives one form of the SBOM. Both are made at once and kept: who asks
// for the one will ask for the other.
func (n *node) document(ctx context.Context, form string, one func(spdx, bom []byte) []byte) ([]byte, error) {
	key, err := n.spdxKey()
	if err != nil {
		return nil, err
	}
	if data, err := n.recorded(ctx, sbomRecord, form+key); err != nil || data != nil {
		return data, err
	}
	in, err := n.description(ctx)
	if err != nil {
		return nil, err
	}
	spdx, bom, err := sbom.Documents(ctx, in)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx) // each waits for the disk
	group.Go(func() error { return n.remember(ctx, sbomRecord, key, spdx) })
	group.Go(func() error { return n.remember(ctx, sbomRecord, "cyclonedx "+key, bom) })
	return one(spdx, bom), group.Wait()
}

// kept gives bytes that the store has under a record's key, or makes them.
func (n *node) kept(ctx context.Context, kind, key string, make func() ([]byte, error)) ([]byte, error) {
	if data, err := n.recorded(ctx, kind, key); err != nil || data != nil {
		return data, err
	}
	data, err := make()
	if err != nil {
		return nil, err
	}
	return data, n.remember(ctx, kind, key, data)
}

// recorded gives bytes that the store has under a record's key; nil where it
// has none.
func (n *node) recorded(ctx context.Context, kind, key string) ([]byte, error) {
	d, ok := n.run.Store.Record(kind, key)
	if !ok {
		return nil, nil
	}
	data, err := n.read(ctx, recipes.Digest(d))
	if err == nil {
		return data, nil
	}
	return nil, ctx.Err()
}

// remember keeps bytes in the store under a record's key.
func (n *node) remember(ctx context.Context, kind, key string, data []byte) error {
	d, err := n.store(ctx, data)
	if err != nil {
		return err
	}
	return n.run.Store.SetRecord(kind, key, []byte(d))
}

func (n *node) read(ctx context.Context, d recipes.Digest) (_ []byte, err error) {
	f, err := n.run.Store.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(f)
}

func (n *node) store(ctx context.Context, data []byte) (recipes.Digest, error) {
	w, err := n.run.Store.Create(ctx)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(data); err != nil {
		return "", errors.Join(err, w.Abort())
	}
	d, _, err := w.Commit("")
	return d, err
}

// description is what an SBOM says: every artefact and every layer, the
// ancestors' included, the base first.
func (n *node) description(ctx context.Context) (sbom.Input, error) {
	in := sbom.Input{
		Name: n.image.Name, Version: n.version, Tag: n.built.Tags[0], Platform: n.image.Platform,
		Distro: n.image.Distro, Release: n.run.Lock.Release,
		Digest: n.built.Digest, Created: n.built.Created, Tool: n.run.Tool,
	}
	if p := n.parent; p != nil {
		in.Base = &sbom.Base{Name: p.image.Name, Version: p.version, Digest: p.built.Digest}
	}
	for _, at := range n.chain() {
		for _, a := range at.locked.Artifacts {
			in.Artifacts = append(in.Artifacts, sbom.Artifact{Artifact: a, Supplier: at.image.Supplier(a), Inherited: at != n})
		}
		for _, d := range at.record.Dropped {
			in.Dropped = append(in.Dropped, sbom.Dropped{
				Owner: d.Owner, Path: d.Path, Reason: d.Reason, SHA256: d.SHA256, Original: d.Original,
			})
		}
		fragments, err := at.fragments(ctx)
		if err != nil {
			return sbom.Input{}, err
		}
		for _, f := range fragments {
			in.Layers = append(in.Layers, sbom.Layer{Fragment: f, Inherited: at != n})
		}
	}
	return in, nil
}

// fragments are what the image's own layers add to SBOMs, its own and its
// children's: made once, and kept beside the layers.
func (n *node) fragments(ctx context.Context) ([]*sbom.Fragment, error) {
	return n.parts.do(func() ([]*sbom.Fragment, error) {
		fragments := make([]*sbom.Fragment, 0, len(n.record.Own))
		for _, l := range n.record.Own {
			f, err := n.fragment(ctx, l)
			if err != nil {
				return nil, n.inLayer(l.Name, err)
			}
			fragments = append(fragments, f)
		}
		return fragments, nil
	})
}

// inLayer says in which layer it was that a fragment could not be made.
func (n *node) inLayer(name string, err error) error {
	return fmt.Errorf("image %s, layer %s: %w", n.image.Ref, name, err)
}

// fragment is what one layer adds: what was made while it was packed, what the
// store has, or made from the layer's entries.
func (n *node) fragment(ctx context.Context, l image.Named) (*sbom.Fragment, error) {
	if f, ok := n.made.Load(l.Blob.Tree); ok {
		return f.(*sbom.Fragment), nil
	}
	var made *sbom.Fragment
	data, err := n.kept(ctx, fragmentRecord, fragmentKey(l.Blob.Tree), func() ([]byte, error) {
		entries, err := layers.LoadEntries(ctx, n.run.Store, l.Blob)
		if err != nil {
			return nil, err
		}
		if made, err = n.newFragment(ctx, entries, func() (map[string]rootfs.Entry, error) {
			c, err := n.collected(ctx)
			return c.entries(l.Name), err
		}); err != nil {
			return nil, err
		}
		return made.Encode()
	})
	if err != nil || made != nil {
		return made, err
	}
	return sbom.DecodeFragment(data)
}

// fragmentKey stands for the fragment of a layer whose entries are a tree.
func fragmentKey(tree recipes.Digest) string { return sbom.FragmentFormat + " " + string(tree) }

// newFragment makes the fragment of entries. Only those files are opened that
// were not read before; content gives the entries with it then, by path.
func (n *node) newFragment(ctx context.Context, entries []rootfs.Entry, content func() (map[string]rootfs.Entry, error)) (*sbom.Fragment, error) {
	files, err := n.evidence(ctx, entries, content)
	if err != nil {
		return nil, err
	}
	return sbom.NewFragment(entries, files)
}

// evidence is what the files among entries say.
func (n *node) evidence(ctx context.Context, entries []rootfs.Entry, content func() (map[string]rootfs.Entry, error)) ([]evidence.File, error) {
	var files []evidence.File
	var unread []int
	for _, e := range entries {
		if !evidence.Says(e) {
			continue
		}
		facts, ok := evidence.Known(n.run.Store, e)
		if !ok {
			unread = append(unread, len(files))
		}
		files = append(files, evidence.File{Path: e.Path, Facts: facts})
	}
	if len(unread) == 0 {
		return files, nil
	}
	whole, err := content()
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(n.run.Jobs)
	for _, i := range unread {
		group.Go(func() (err error) {
			files[i].Facts, err = evidence.Read(ctx, n.run.Store, whole[files[i].Path])
			return err
		})
	}
	return files, group.Wait()
}

// entries are those of one layer with their content, by path. The image is laid
// out for them where its layers came from the store.
func (c collected) entries(layer string) map[string]rootfs.Entry {
	for _, t := range c.layers {
		if t.name == layer {
			return byPath(t.tree.Own())
		}
	}
	return nil
}

func byPath(entries []rootfs.Entry) map[string]rootfs.Entry {
	by := make(map[string]rootfs.Entry, len(entries))
	for _, e := range entries {
		by[e.Path] = e
	}
	return by
}

// sketchMost is how much content a layer may have, in bytes, whose fragment is
// made while it is packed. A larger one keeps all processors busy to its end, and
// what looks into its jars would need memory while the chunks have theirs: Spark
// and Trino together peak 17 MB higher with it.
const sketchMost = 256 << 20

func sizeOf(entries []rootfs.Entry) (size int64) {
	for _, e := range entries {
		size += e.Size
	}
	return size
}

// sketch makes the fragment of a layer that is being packed, with the processor
// that its last chunk leaves idle. The function that it gives keeps it, once the
// layer has its place: also where ctx has ended, since that is quick.
func (n *node) sketch(ctx context.Context, entries []rootfs.Entry) (keep func(layers.Blob) error, err error) {
	f, err := n.newFragment(ctx, entries, func() (map[string]rootfs.Entry, error) { return byPath(entries), nil })
	if err != nil {
		return nil, err
	}
	data, err := f.Encode()
	if err != nil {
		return nil, err
	}
	return func(b layers.Blob) error {
		n.made.Store(b.Tree, f)
		return n.remember(context.WithoutCancel(ctx), fragmentRecord, fragmentKey(b.Tree), data)
	}, nil
}
