package recipes

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Set is a folder of recipes, each read, checked and expanded for every
// distro, platform and stream. Its images are shared: do not change them.
type Set struct {
	names     []string
	images    map[world][]*Image // parents before children
	contracts map[world]map[Ref]*Contract
	stacks    map[world][]*Contract
	vex       map[string][]VEX // by recipe
}

// world is what one resolution and one build are made for.
type world struct {
	distro   Distro
	platform Platform
}

// Load reads a folder of recipe folders. It either gives a set without any
// mistake, or an error of type Errors that names each.
func Load(fsys fs.FS) (*Set, error) { return load(fsys, "") }

func load(fsys fs.FS, prefix string) (*Set, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("recipes cannot be read: %w", err)
	}
	rep, set := newReport(), &Set{images: map[world][]*Image{}, contracts: map[world]map[Ref]*Contract{}, stacks: map[world][]*Contract{}, vex: map[string][]VEX{}}
	var all []*recipe
	for _, e := range entries {
		if !e.IsDir() || !hasRecipe(fsys, e.Name()) {
			continue
		}
		if rec := parseRecipe(fsys, prefix, e.Name(), rep); rec != nil {
			all = append(all, rec)
			set.names = append(set.names, rec.name)
			set.vex[rec.name] = readVEX(fsys, prefix, rec, rep)
		}
	}
	if len(entries) == 0 || len(all) == 0 && len(rep.all) == 0 {
		return nil, fmt.Errorf("no recipe found: want folders with a recipe.yaml")
	}
	slices.Sort(set.names)
	stacks := openStacks(fsys, prefix, rep)
	for _, d := range Distros() {
		for _, p := range Platforms() {
			set.images[world{d, p}], set.contracts[world{d, p}] = link(rep, all, d, p)
			for _, st := range stacks {
				if c := st.read(rep, set.images[world{d, p}], d, p); c != nil {
					set.stacks[world{d, p}] = append(set.stacks[world{d, p}], c)
				}
			}
		}
	}
	if err := rep.err(); err != nil {
		return nil, err
	}
	return set, nil
}

// hasRecipe says whether a folder is a recipe's: it holds a recipe.yaml.
func hasRecipe(fsys fs.FS, dir string) bool {
	_, err := fs.Lstat(fsys, dir+"/recipe.yaml")
	return err == nil
}

// Names lists the recipes.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Images lists every stream of every image that is made for a distro, parents
// before children, in an order that depends on the names alone.
func (s *Set) Images(d Distro, p Platform) ([]*Image, error) {
	images, ok := s.images[world{d, p}]
	if !ok {
		return nil, fmt.Errorf("no images are made for %s on %s", d, p)
	}
	return slices.Clone(images), nil
}

// Image finds one image. An empty stream means the distro's default stream.
func (s *Set) Image(ref Ref, d Distro, p Platform) (*Image, error) {
	images, err := s.Images(d, p)
	if err != nil {
		return nil, err
	}
	var streams []string
	for _, image := range images {
		if image.Is(ref) {
			return image, nil
		}
		if image.Name == ref.Name {
			streams = append(streams, image.Stream)
		}
	}
	return nil, s.unknown(ref, d, streams)
}

// unknown says why there is no such image.
func (s *Set) unknown(ref Ref, d Distro, streams []string) error {
	switch {
	case len(streams) == 1 && streams[0] == "":
		return fmt.Errorf("image %s has no streams: leave out :%s", ref.Name, ref.Stream)
	case len(streams) > 0:
		return fmt.Errorf("image %s has no stream %q for %s: there are %s%s", ref.Name, ref.Stream, d, strings.Join(streams, ", "), s.elsewhere(ref, d))
	case slices.Contains(s.names, ref.Name):
		return fmt.Errorf("image %s is not made for %s%s", ref.Name, d, s.elsewhere(ref, d))
	}
	return fmt.Errorf("there is no image %q: there are %s", ref.Name, strings.Join(s.made(d), ", "))
}

// elsewhere says that another distro has the image.
func (s *Set) elsewhere(ref Ref, d Distro) string {
	for _, other := range Distros() {
		for _, image := range s.images[world{other, LinuxAMD64}] {
			if other != d && image.Name == ref.Name && (ref.Stream == "" || ref.Stream == image.Stream) {
				return fmt.Sprintf(": --distro %s has it", other)
			}
		}
	}
	return ""
}

// made lists the names of the images that are made for a distro.
func (s *Set) made(d Distro) []string {
	var names []string
	for _, image := range s.images[world{d, LinuxAMD64}] {
		if !slices.Contains(names, image.Name) {
			names = append(names, image.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Chain gives an image with its ancestors, the base first.
func (s *Set) Chain(ref Ref, d Distro, p Platform) ([]*Image, error) {
	image, err := s.Image(ref, d, p)
	if err != nil {
		return nil, err
	}
	chain := []*Image{image}
	for image.From != nil {
		if image, err = s.Image(*image.From, d, p); err != nil {
			return nil, err
		}
		chain = append(chain, image)
	}
	slices.Reverse(chain)
	return chain, nil
}

// Select reads image arguments (IMAGE[:STREAM], all streams where none is
// named; base is the distro's own) and gives these images and their ancestors,
// parents first. With all, it gives everything that is made for the distro.
func (s *Set) Select(args []string, all bool, d Distro) ([]Ref, error) {
	images, err := s.Images(d, LinuxAMD64)
	if err != nil {
		return nil, err
	}
	if !all && len(args) == 0 {
		return nil, fmt.Errorf("name at least one image, or say --all: there are %s", strings.Join(s.made(d), ", "))
	}
	if all && len(args) > 0 {
		return nil, fmt.Errorf("name images or say --all, not both")
	}
	wanted := map[Ref]bool{}
	for _, arg := range args {
		ref, err := ParseRef(arg)
		if err != nil {
			return nil, err
		}
		if ref.Name == "base" {
			ref.Name = d.Base()
		}
		if err := s.wanted(wanted, images, ref, d); err != nil {
			return nil, err
		}
	}
	var refs []Ref
	for _, image := range images {
		if all || wanted[image.Ref] {
			refs = append(refs, image.Ref)
		}
	}
	return refs, nil
}

// wanted marks an image, or all its streams, and the ancestors.
func (s *Set) wanted(marked map[Ref]bool, images []*Image, ref Ref, d Distro) error {
	found := false
	var streams []string
	for _, image := range images {
		if image.Name != ref.Name {
			continue
		}
		streams = append(streams, image.Stream)
		if ref.Stream != "" && image.Stream != ref.Stream {
			continue
		}
		found = true
		chain, err := s.Chain(image.Ref, d, image.Platform)
		if err != nil {
			return err
		}
		for _, one := range chain {
			marked[one.Ref] = true
		}
	}
	if !found {
		return s.unknown(ref, d, streams)
	}
	return nil
}
