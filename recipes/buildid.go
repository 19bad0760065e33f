package recipes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// FormatVersion is part of every build id. Raise it with any change that gives
// other bytes for the same recipe and lock.
const FormatVersion = 1

// digestOf is the sha256 of a value's JSON, whose fields keep their order.
func digestOf(v any) Digest {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("recipes: %T has no JSON: %v", v, err)) // plain structs only
	}
	sum := sha256.Sum256(data)
	return Digest(hex.EncodeToString(sum[:]))
}

// digest covers the expanded image and, through File.SHA256, its files.
func (i *Image) digest() Digest { return digestOf(i) }

// BuildID names what an image is built from: the first eight hexadecimal
// digits of the digest of its recipe, its lock entries and whatever else of
// the lock changes bytes, its parent's build id ("" for a base) and the format
// version. Options of a run that change bytes (another compression, another
// epoch) go into extra.
func (i *Image) BuildID(l *Lock, parent string, extra ...string) (string, error) {
	locked, ok := l.Image(i.Ref, i.Platform)
	if !ok {
		return "", fmt.Errorf("image %s is not locked for %s", i.Ref, i.Platform)
	}
	inputs := struct {
		Format, LockFormat int
		Recipe             Digest
		Artifacts          []Artifact
		Date               time.Time
		Release            string
		Encoder            string
		Golden             Digest
		Go, Parent         string
		Extra              []string
		Layers             int `json:",omitempty"`
	}{FormatVersion, l.Format, i.Digest, locked.Artifacts, l.Resolved(*locked).UTC(), l.Release, l.Encoder, l.EncoderGolden, "", parent, extra, 0}
	if l.Layers() > 1 { // build ids are older than the field
		inputs.Layers = l.Layers()
	}
	if slices.ContainsFunc(locked.Artifacts, func(a Artifact) bool { return a.Kind == KindGo }) {
		inputs.Go = l.Go
	}
	return string(digestOf(inputs)[:8]), nil
}

// JoinBuildIDs gives the build id of an image index from those of its
// platforms; one platform alone keeps its own.
func JoinBuildIDs(ids ...string) string {
	if len(ids) == 1 {
		return ids[0]
	}
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return string(digestOf(sorted)[:8])
}

// badTagRune matches what a version may hold and a tag may not.
var badTagRune = NewPattern(`[^A-Za-z0-9_.-]`)

// Tags lists the tags of an image, the one that never moves first:
// version-buildid, version, stream, and latest for the default stream; each
// with the suffix -debian on Debian.
func (i *Image) Tags(version, buildID string) []string {
	version = badTagRune.ReplaceAllString(version, "_")
	names := []string{version + "-" + buildID, version}
	if i.Stream != "" {
		names = append(names, i.Stream)
	}
	if i.Default || i.Stream == "" {
		names = append(names, "latest")
	}
	var tags []string
	for _, name := range names {
		if i.Distro != Alpine {
			name += "-" + string(i.Distro)
		}
		if !slices.Contains(tags, name) {
			tags = append(tags, name)
		}
	}
	return tags
}

// VersionOf gives the version that an image's tags carry: what its recipe
// says, the distro's release, or the upstream version of a package that is
// locked for the image or one of its ancestors (chain, the base first).
func (l *Lock) VersionOf(i *Image, chain []LockedImage) (string, error) {
	switch {
	case i.Version != "":
		return i.Version, nil
	case i.VersionOf == "release":
		return strings.TrimPrefix(l.Release, "v"), nil
	}
	for _, locked := range slices.Backward(chain) {
		for _, a := range locked.Artifacts {
			if a.Name == i.VersionOf {
				return a.Upstream(), nil
			}
		}
	}
	return "", fmt.Errorf("image %s takes its version from %s, which is not locked for it or its ancestors", i.Ref, i.VersionOf)
}

// apkRevision ends an Alpine version.
var apkRevision = NewPattern(`-r[0-9]+$`)

// Upstream is the version without what the packager added: epoch and revision
// of a deb, revision of an apk, the v of a Go module.
func (a Artifact) Upstream() string {
	version := a.Version
	switch a.Kind {
	case KindDeb:
		if _, after, ok := strings.Cut(version, ":"); ok {
			version = after
		}
		if at := strings.LastIndex(version, "-"); at >= 0 {
			version = version[:at]
		}
	case KindAPK:
		version = apkRevision.ReplaceAllString(version, "")
	case KindGo:
		version = strings.TrimPrefix(version, "v")
	}
	return version
}
