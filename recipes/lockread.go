package recipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/module"
)

// maxLock bounds a lock file; the real ones have about a megabyte.
const maxLock = 64 << 20

var (
	releaseText  = NewPattern(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	encoderText  = NewPattern(`^[A-Za-z0-9][A-Za-z0-9 @._/:;,=+-]*$`)
	goVersion    = NewPattern(`^go[0-9]+(\.[0-9]+)*([a-z]+[0-9]+)?$`)
	checksumText = NewPattern(`^[A-Za-z0-9]+:?[A-Za-z0-9+/=]+$`)
	mavenName    = NewPattern(`^[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+(:[A-Za-z0-9_.+-]+)?(@[a-z0-9.]+)?$`)
	purlText     = NewPattern(`^pkg:[a-z0-9]+/[A-Za-z0-9%._~!:@/?=&+#-]+$`)
)

// ReadLock reads a lock strictly. Every name, path and digest is held to its
// grammar before anything uses it; no host stands anywhere but in the address
// of a tarball that a recipe names by address; and the file must be byte for
// byte what Write gives, which leaves no room for duplicate keys or a second
// reading.
func ReadLock(r io.Reader) (*Lock, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxLock+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("lock cannot be read: %w", err)
	case len(data) > maxLock:
		return nil, fmt.Errorf("lock has more than %d bytes", maxLock)
	}
	l := new(Lock)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(l); err != nil {
		return nil, fmt.Errorf("lock: %w%s", err, lineOf(data, err))
	}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	var again bytes.Buffer
	if err := l.Write(&again); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if line := firstDifference(data, again.Bytes()); line > 0 {
		return nil, fmt.Errorf("lock, line %d: not as it is written (duplicate or misplaced key, order, spaces)", line)
	}
	return l, nil
}

// lineOf says on which line the decoder met an error, where it knows.
func lineOf(data []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return ""
	}
	return fmt.Sprintf(" (line %d)", 1+bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n")))
}

// firstDifference gives the line on which two texts part, or 0.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	return 1 + bytes.Count(a[:at], []byte("\n"))
}

// UnmarshalJSON reads the keys and the artefacts of a locked image.
func (i *LockedImage) UnmarshalJSON(data []byte) error {
	var raw struct {
		lockedHead
		Artifacts []Artifact `json:"artifacts"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&raw); err != nil {
		return err
	}
	ref, err := ParseRef(raw.Image)
	if err != nil {
		return err
	}
	*i = LockedImage{Ref: ref, Platform: raw.Platform, Sources: raw.Sources, Artifacts: raw.Artifacts, Date: raw.Date}
	return nil
}

func (l *Lock) check() error {
	if l.Format != LockFormat {
		return fmt.Errorf("format %d: this program reads format %d", l.Format, LockFormat)
	}
	if _, err := ParseDistro(string(l.Distro)); err != nil {
		return err
	}
	if l.Date.IsZero() {
		return fmt.Errorf("no date")
	}
	if err := matches(releaseText, "release", l.Release); err != nil {
		return err
	}
	if l.Go != "" {
		if err := matches(goVersion, "Go version", l.Go); err != nil {
			return err
		}
	}
	if l.Encoder != "" {
		if err := matches(encoderText, "encoder", l.Encoder); err != nil {
			return err
		}
		if _, err := ParseDigest(string(l.EncoderGolden)); err != nil {
			return fmt.Errorf("encoder: %w", err)
		}
	}
	if l.LayerFormat < 0 {
		return fmt.Errorf("layer-format %d: want 1 or more", l.LayerFormat)
	}
	for _, index := range l.Indexes {
		if err := index.check(); err != nil {
			return err
		}
	}
	for n, image := range l.Images {
		if n > 0 && compareLocked(l.Images[n-1], image) >= 0 {
			return fmt.Errorf("image %s stands twice or out of order", image.Ref)
		}
		if err := image.check(); err != nil {
			return fmt.Errorf("image %s: %w", image.Ref, err)
		}
	}
	return nil
}

func (i LockedIndex) check() error {
	if err := checkPlace(i.Archive, i.Path); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if _, err := ParseDigest(string(i.SHA256)); err != nil {
		return fmt.Errorf("index %s: %w", i.Path, err)
	}
	if i.Size < 0 {
		return fmt.Errorf("index %s: bad size", i.Path)
	}
	return nil
}

func (i LockedImage) check() error {
	if _, err := ParsePlatform(string(i.Platform)); err != nil {
		return err
	}
	if _, err := ParseDigest(string(i.Sources)); err != nil {
		return fmt.Errorf("sources: %w", err)
	}
	for _, a := range i.Artifacts {
		if err := a.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Check holds every field of an artefact to its grammar.
func (a Artifact) Check() error {
	if err := a.checkName(); err != nil {
		return err
	}
	for _, one := range []struct {
		grammar *Pattern
		what    string
		text    string
		needed  bool
	}{{layerName, "layer", a.Layer, true}, {versionText, "version", a.Version, true}, {purlText, "purl", a.PURL, true},
		{checksumText, "checksum", a.Checksum, false}} {
		if one.text == "" && !one.needed {
			continue
		}
		if err := matches(one.grammar, one.what, one.text); err != nil {
			return fmt.Errorf("%s %s: %w", a.Kind, a.Name, err)
		}
	}
	if _, err := ParseDigest(string(a.SHA256)); err != nil {
		return fmt.Errorf("%s %s: %w", a.Kind, a.Name, err)
	}
	if strings.ContainsFunc(a.License+a.Origin, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return fmt.Errorf("%s %s: control character in licence or origin", a.Kind, a.Name)
	}
	for _, text := range []string{a.PURL, a.License, a.Origin, a.Path} {
		if low := strings.ToLower(text); strings.Contains(low, "://") || strings.Contains(low, "%3a%2f%2f") {
			return fmt.Errorf("%s %s: a lock names no host: %q", a.Kind, a.Name, text)
		}
	}
	if a.Size <= 0 {
		return fmt.Errorf("%s %s: bad size %d", a.Kind, a.Name, a.Size)
	}
	return a.checkPlace()
}

func (a Artifact) checkName() error {
	ok := false
	switch a.Kind {
	case KindAPK, KindDeb, KindTarball, KindPyPI:
		ok = packageName.MatchString(a.Name)
	case KindMaven:
		ok = mavenName.MatchString(a.Name)
	case KindGo:
		ok = module.CheckImportPath(a.Name) == nil
	default:
		return fmt.Errorf("unknown kind %q of artefact", a.Kind)
	}
	if !ok {
		return fmt.Errorf("bad name %q of a %s artefact", a.Name, a.Kind)
	}
	return nil
}

func (a Artifact) checkPlace() error {
	if a.URL == "" {
		if err := checkPlace(a.Archive, a.Path); err != nil {
			return fmt.Errorf("%s %s: %w", a.Kind, a.Name, err)
		}
		return nil
	}
	if a.Kind != KindTarball || a.Archive != "" || a.Path != "" {
		return fmt.Errorf("%s %s: only a tarball has an address, and then no archive or path", a.Kind, a.Name)
	}
	if wrong := checkURL(a.URL); wrong != "" {
		return fmt.Errorf("%s %s: %s", a.Kind, a.Name, wrong)
	}
	return nil
}

func checkPlace(archive, path string) error {
	if err := matches(archiveName, "archive", archive); err != nil {
		return err
	}
	return CheckPath(path)
}

func matches(grammar *Pattern, what, text string) error {
	if !grammar.MatchString(text) {
		return fmt.Errorf("bad %s %q", what, text)
	}
	return nil
}
