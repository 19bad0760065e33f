package maven

import (
	"context"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/license"
)

// MaxPOM bounds a project description, in bytes.
const MaxPOM = 4 << 20

// maxParents is how many parents of a project are followed.
const maxParents = 8

// POM is what is read of a project description (POM reference, model 4.0.0).
// Its texts are as they stand in the file: a ${property} is not filled in.
type POM struct {
	Group        string
	Artifact     string
	Version      string
	Organization string
	Parent       Mention
	// Dependencies are the projects that it names: what it depends on, what
	// it manages, what it keeps out.
	Dependencies []Mention

	licenses []namedLicense
}

// Mention is another project as a POM names it. Version may be empty.
type Mention struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
	Version  string `xml:"version"`
}

type namedLicense struct {
	Name string `xml:"name"`
	URL  string `xml:"url"`
}

type pomDependency struct {
	Mention
	Exclusions []Mention `xml:"exclusions>exclusion"`
}

// ReadPOM reads a project description. Group and version are the parent's
// where it has none of its own, as Maven has it.
func ReadPOM(data []byte) (*POM, error) {
	var x struct {
		Mention
		Organization string          `xml:"organization>name"`
		Parent       Mention         `xml:"parent"`
		Licenses     []namedLicense  `xml:"licenses>license"`
		Direct       []pomDependency `xml:"dependencies>dependency"`
		Managed      []pomDependency `xml:"dependencyManagement>dependencies>dependency"`
	}
	if err := xml.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("POM: %w", err)
	}
	p := &POM{
		Group: trim(x.Group), Artifact: trim(x.Artifact), Version: trim(x.Version),
		Organization: strings.Join(strings.Fields(x.Organization), " "), Parent: x.Parent.trimmed(), licenses: x.Licenses,
	}
	if p.Group == "" {
		p.Group = p.Parent.Group
	}
	if p.Version == "" {
		p.Version = p.Parent.Version
	}
	for _, d := range append(x.Direct, x.Managed...) {
		p.Dependencies = append(p.Dependencies, d.trimmed())
		for _, e := range d.Exclusions {
			p.Dependencies = append(p.Dependencies, e.trimmed())
		}
	}
	return p, nil
}

func trim(s string) string { return strings.TrimSpace(s) }

func (m Mention) trimmed() Mention {
	return Mention{trim(m.Group), trim(m.Artifact), trim(m.Version)}
}

// License is the SPDX expression of the licences, of which a user may choose
// (so says the POM reference); empty where one is not known.
func (p *POM) License() string {
	var ids []string
	for _, l := range p.licenses {
		id := license.FromName(l.Name)
		if id == "" {
			id = license.FromName(l.URL)
		}
		if id == "" {
			return ""
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, " OR ")
}

// licenseOf looks for the licence in the POM and its parents. A licence that
// cannot be found out is no error: the field stays empty.
func licenseOf(ctx context.Context, f *fetch.Fetcher, c Coordinate) string {
	for range maxParents {
		data, err := small(ctx, f, c.pom(), MaxPOM)
		if err != nil {
			return ""
		}
		p, err := ReadPOM(data)
		if err != nil {
			return ""
		}
		if id := p.License(); id != "" || len(p.licenses) > 0 {
			return id
		}
		c, err = Parse(p.Parent.Group + ":" + p.Parent.Artifact + ":" + p.Parent.Version)
		if err != nil {
			return ""
		}
	}
	return ""
}
