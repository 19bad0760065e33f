package recipes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The table of images in the README has the ports and the users of the
// recipes.
func TestTableOfImages(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "| ["), "]("); ok && strings.HasPrefix(line, "| [") {
			rows[name] = strings.Split(rest, "|")
		}
	}
	set, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Distros() {
		images, err := set.Images(d, LinuxAMD64)
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range images {
			ref := image.Ref
			cells := rows[ref.Name]
			if len(cells) < 5 {
				t.Errorf("the table has no row of %s", ref)
				continue
			}
			var ports []string
			for _, port := range image.Config.Ports {
				number, _, _ := strings.Cut(port, "/")
				ports = append(ports, number)
			}
			if have, want := strings.TrimSpace(cells[4]), strings.Join(ports, ", "); have != want {
				t.Errorf("%s on %s: the table has the ports %q, the recipe %q", ref, d, have, want)
			}
			user, _, _ := strings.Cut(image.Config.User, ":")
			if !strings.Contains(" "+cells[3]+" ", " "+user+" ") && cells[3] != " postgres " {
				t.Errorf("%s on %s: the table has the user %q, the recipe %s", ref, d, cells[3], user)
			}
		}
	}
}
