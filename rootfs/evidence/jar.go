package evidence

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/license"
	"github.com/shudl/shudl-assemble/rootfs/maven"
)

// Bounds of what is read of a jar: members, jars in jars in jars, and bytes of
// a jar that lies in another.
const (
	maxMembers = 1 << 20
	maxDepth   = 3
	maxInner   = 1 << 30
)

// Jar is what a jar says besides its parts.
type Jar struct {
	// Title, VendorID and Version are the manifest's Implementation-Title,
	// Implementation-Vendor-Id and Implementation-Version (JAR File
	// Specification), or a bundle's version.
	Title    string `json:"title,omitempty"`
	VendorID string `json:"vendor,omitempty"`
	Version  string `json:"version,omitempty"`
	// Module is its Automatic-Module-Name.
	Module string `json:"module,omitempty"`
	// Mentions are the projects that POMs in the jar name: group:artifact,
	// with :version where they say it. Sorted.
	Mentions []string `json:"mentions,omitempty"`
}

// readJar reads a jar. One that is no zip says nothing.
func readJar(ctx context.Context, s *fetch.Store, e rootfs.Entry) (Facts, error) {
	r, closer, err := archive.OpenAt(ctx, s, e)
	if err != nil {
		return Facts{}, err
	}
	defer closer.Close()
	return jarFacts(ctx, r, e.Size)
}

func jarFacts(ctx context.Context, r io.ReaderAt, size int64) (Facts, error) {
	j := jarReader{facts: Facts{Jar: &Jar{}}, mentions: map[string]bool{}}
	if err := j.read(ctx, r, size, "", 0); err != nil {
		return Facts{}, err
	}
	for m := range j.mentions {
		j.facts.Jar.Mentions = append(j.facts.Jar.Mentions, m)
	}
	slices.Sort(j.facts.Jar.Mentions)
	return j.facts, nil
}

type jarReader struct {
	facts    Facts
	mentions map[string]bool
}

// read looks into one jar: at is its path inside the outermost one, "" for
// that itself.
func (j *jarReader) read(ctx context.Context, r io.ReaderAt, size int64, at string, depth int) error {
	z, err := zip.NewReader(r, size)
	if err != nil || len(z.File) > maxMembers {
		return nil
	}
	projects := map[string]*project{} // by their folder
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir, base := path.Split(f.Name)
		switch {
		case strings.HasPrefix(f.Name, "META-INF/maven/") && (base == "pom.properties" || base == "pom.xml"):
			p := projects[dir]
			if p == nil {
				p = &project{dir: dir}
				projects[dir] = p
			}
			p.read(base, member(f, maven.MaxPOM))
		case at == "" && f.Name == "META-INF/MANIFEST.MF":
			j.manifest(member(f, maxText))
		case at == "" && (dir == "" || dir == "META-INF/") && isLicense(base) && j.facts.License == "":
			j.facts.License = license.Leading(member(f, maxText))
		case strings.HasSuffix(strings.ToLower(f.Name), ".jar") && depth < maxDepth:
			if err := j.inner(ctx, f, at, depth); err != nil {
				return err
			}
		}
	}
	j.projects(projects, at)
	return nil
}

// inner reads a jar in a jar, which becomes a file for as long as that takes:
// a zip is read at any place.
func (j *jarReader) inner(ctx context.Context, f *zip.File, at string, depth int) error {
	if f.UncompressedSize64 > maxInner {
		return nil
	}
	in, err := f.Open()
	if err != nil {
		return nil
	}
	defer in.Close()
	tmp, err := os.CreateTemp("", "shudl-jar-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	n, err := io.Copy(tmp, io.LimitReader(in, maxInner))
	if err != nil {
		return nil
	}
	return j.read(ctx, tmp, n, at+f.Name+"!/", depth+1)
}

// projects turns what a jar holds of its projects into parts, sorted.
func (j *jarReader) projects(projects map[string]*project, at string) {
	dirs := make([]string, 0, len(projects))
	for dir := range projects {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		p := projects[dir]
		if p.pom != nil {
			for _, m := range append(p.pom.Dependencies, p.pom.Parent) {
				j.mention(m)
			}
		}
		part, ok := p.part()
		if !ok {
			continue
		}
		part.Where = at + part.Where
		j.facts.Parts = append(j.facts.Parts, part)
	}
}

// mention notes a project that a POM names in words that need no filling in.
func (j *jarReader) mention(m maven.Mention) {
	if !isCoordinate(m.Group) || !isCoordinate(m.Artifact) {
		return
	}
	text := m.Group + ":" + m.Artifact
	if isCoordinate(m.Version) {
		text += ":" + m.Version
	}
	j.mentions[text] = true
}

// isCoordinate tells a part of a coordinate from what Maven would fill in.
func isCoordinate(s string) bool {
	return s != "" && !strings.ContainsAny(s, "${}[](),:!/ \t\r\n\"'<>")
}

// manifest reads the main section of a jar's manifest.
func (j *jarReader) manifest(data []byte) {
	m := manifestOf(data)
	jar := j.facts.Jar
	jar.Title, jar.VendorID, jar.Module = m["Implementation-Title"], m["Implementation-Vendor-Id"], m["Automatic-Module-Name"]
	if jar.Version = m["Implementation-Version"]; jar.Version == "" {
		jar.Version = m["Bundle-Version"]
	}
	j.facts.Supplier = organization(m["Implementation-Vendor"], m["Bundle-Vendor"])
	// A licence with parameters after ";" or more of them after ",".
	if text := m["Bundle-License"]; !strings.Contains(text, ",") {
		text, _, _ = strings.Cut(text, ";")
		if id := license.FromName(text); id != "" {
			j.facts.License = id
		}
	}
}

// organization is the first text that names somebody: not an address, not the
// reversed domain that build tools put there.
func organization(texts ...string) string {
	for _, t := range texts {
		t = strings.Trim(strings.Join(strings.Fields(t), " "), `"`)
		if t == "" || strings.Contains(t, "://") || strings.ContainsAny(t, "${}@") || !strings.Contains(t, " ") && strings.Contains(t, ".") {
			continue
		}
		return t
	}
	return ""
}

// manifestOf reads "Name: value" lines up to the first empty one; a line that
// begins with a space goes on with the one before.
func manifestOf(data []byte) map[string]string {
	values := map[string]string{}
	name := ""
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			break
		}
		if rest, ok := strings.CutPrefix(line, " "); ok {
			values[name] += rest
			continue
		}
		before, value, _ := strings.Cut(line, ":")
		name = strings.TrimSpace(before)
		values[name] = strings.TrimPrefix(value, " ")
	}
	return values
}

func isLicense(base string) bool {
	switch strings.TrimSuffix(strings.ToLower(base), ".txt") {
	case "license", "licence", "license.md", "copying":
		return true
	}
	return false
}

// member reads a member of at most limit bytes; a longer or broken one gives
// nothing.
func member(f *zip.File, limit uint64) []byte {
	if f.UncompressedSize64 > limit {
		return nil
	}
	r, err := f.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)))
	if err != nil {
		return nil
	}
	return data
}

// project is what a jar holds of one Maven project.
type project struct {
	dir        string
	properties map[string]string
	pom        *maven.POM
}

func (p *project) read(base string, data []byte) {
	if base == "pom.properties" {
		p.properties = properties(data)
		return
	}
	if pom, err := maven.ReadPOM(data); err == nil {
		p.pom = pom
	}
}

// part is the project as a component; false where its coordinates are not
// said in full.
func (p *project) part() (Part, bool) {
	part := Part{Type: packageurl.TypeMaven, Where: p.dir + "pom.properties"}
	part.Namespace, part.Name, part.Version = p.properties["groupId"], p.properties["artifactId"], p.properties["version"]
	if p.properties == nil && p.pom != nil {
		part.Where = p.dir + "pom.xml"
		part.Namespace, part.Name, part.Version = p.pom.Group, p.pom.Artifact, p.pom.Version
	}
	if p.pom != nil {
		part.License, part.Supplier = p.pom.License(), organization(p.pom.Organization)
	}
	return part, isCoordinate(part.Namespace) && isCoordinate(part.Name) && isCoordinate(part.Version)
}

// properties reads the lines of a Java properties file that Maven writes.
func properties(data []byte) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return values
}
