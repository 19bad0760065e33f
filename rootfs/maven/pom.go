package maven

import (
	"context"
	"encoding/xml"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/license"
)

// maxPOM bounds a project description, in bytes; maxParents how many parents
// are followed.
const (
	maxPOM     = 4 << 20
	maxParents = 8
)

// pom is what is read of a project description (POM reference, model 4.0.0).
type pom struct {
	Licenses []struct {
		Name string `xml:"name"`
		URL  string `xml:"url"`
	} `xml:"licenses>license"`
	Parent struct {
		Group    string `xml:"groupId"`
		Artifact string `xml:"artifactId"`
		Version  string `xml:"version"`
	} `xml:"parent"`
}

// licenseOf looks for the licence in the POM and its parents. A licence that
// cannot be found out is no error: the field stays empty.
func licenseOf(ctx context.Context, f *fetch.Fetcher, c Coordinate) string {
	for range maxParents {
		data, err := small(ctx, f, c.pom(), maxPOM)
		if err != nil {
			return ""
		}
		var p pom
		if xml.Unmarshal(data, &p) != nil {
			return ""
		}
		if id := p.license(); id != "" || len(p.Licenses) > 0 {
			return id
		}
		c, err = Parse(strings.TrimSpace(p.Parent.Group) + ":" + strings.TrimSpace(p.Parent.Artifact) + ":" + strings.TrimSpace(p.Parent.Version))
		if err != nil {
			return ""
		}
	}
	return ""
}

// license is the SPDX expression of the licences, of which a user may choose
// (so says the POM reference); empty where one is not known.
func (p *pom) license() string {
	var ids []string
	for _, l := range p.Licenses {
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
