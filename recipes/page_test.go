package recipes

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	readVariable = regexp.MustCompile(`\b(?:TMPDIR|(?:SHUDL|POSTGRES|PATRONI|MINIO|NESSIE|QUARKUS|TRINO|SPARK|AWS|JAVA|DATA_SOURCE|PG_EXPORTER)_[A-Z0-9_]*[A-Z0-9])\b`)
	requestPath  = regexp.MustCompile(`https?://[^/ ]+(/[^ "]+)`)
	rowVariable  = regexp.MustCompile("`([A-Z][A-Z0-9_]*)`")
)

// pageless are names in entrypoints that are no variables for users, each with
// the reason.
var pageless = map[string]string{
	"PATRONI_POSTGRESQL_DATA_DIR": "the entrypoint sets it to PGDATA",
	"SPARK_CONF_DIR":              "the recipe sets it, spark-env.sh to the folder that it fills",
	"SPARK_DRIVER_POD_IP":         "the driver's address for its executors, by the official image's name",
	"SPARK_HOME":                  "where the image has Spark",
	"TMPDIR":                      "the bases' pages have it",
	"TRINO_CATALOG_DIR":           "the entrypoint sets it to the folder that it fills",
}

// ofPrograms are variables in the tables that programs of the images read by
// themselves, so that no entrypoint and no recipe names them.
var ofPrograms = map[string]string{
	"JAVA_TOOL_OPTIONS":                    "the JVM",
	"MINIO_PROMETHEUS_AUTH_TYPE":           "MinIO",
	"PATRONI_RESTAPI_PASSWORD":             "Patroni",
	"PG_EXPORTER_AUTO_DISCOVER_DATABASES":  "the exporter",
	"PG_EXPORTER_COLLECTION_TIMEOUT":       "the exporter",
	"PG_EXPORTER_DISABLE_SETTINGS_METRICS": "the exporter",
	"QUARKUS_LOG_CONSOLE_LEVEL":            "Quarkus",
	"SPARK_JAVA_OPT_0":                     "the entrypoint, which takes all that begin so",
}

// Each image's page has in its table exactly the variables that its
// entrypoints read, and says its ports, volumes, user and health check.
func TestPages(t *testing.T) {
	set, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Distros() {
		refs, err := set.Select(nil, true, d)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			t.Run(fmt.Sprintf("%s on %s", ref, d), func(t *testing.T) { holdPage(t, set, ref, d) })
		}
	}
}

func holdPage(t *testing.T, set *Set, ref Ref, d Distro) {
	data, err := os.ReadFile(filepath.Join(ref.Name, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	image, err := set.Image(ref, d, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	table := tableVariables(page)
	own := scriptVariables(t, ref.Name)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if !table[name] && pageless[name] == "" {
			t.Errorf("an entrypoint reads %s, and the table has it not", name)
		}
	}
	known := maps.Clone(own)
	for i := image; i != nil; i = parentOf(t, set, i, d) {
		maps.Copy(known, scriptVariables(t, i.Ref.Name))
		for _, v := range i.Config.Env {
			known[v.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if !known[name] && ofPrograms[name] == "" {
			t.Errorf("the table has %s, which no entrypoint reads and no recipe sets", name)
		}
	}
	for _, fault := range formOf(page, image.Config.Healthcheck != nil) {
		t.Error(fault)
	}
	for _, want := range saidBy(image) {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
}

func parentOf(t *testing.T, set *Set, image *Image, d Distro) *Image {
	if image.From == nil {
		return nil
	}
	parent, err := set.Image(*image.From, d, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	return parent
}

// tableVariables are the names in code in the first cells of the page's
// tables.
func tableVariables(page string) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(page) {
		if cells := strings.Split(line, "|"); len(cells) > 2 && cells[0] == "" {
			for _, m := range rowVariable.FindAllStringSubmatch(cells[1], -1) {
				names[m[1]] = true
			}
		}
	}
	return names
}

// scriptVariables are the names in an image's own files, without comments. A
// name that ends in _FILE stands for the one without it, which the table has.
func scriptVariables(t *testing.T, image string) map[string]bool {
	names := map[string]bool{}
	root := filepath.Join(image, "files")
	if _, err := os.Stat(root); os.IsNotExist(err) {
		return names
	}
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			for _, name := range readVariable.FindAllString(line, -1) {
				if name != "SHUDL_CA_FILE" {
					name = strings.TrimSuffix(name, "_FILE")
				}
				names[name] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// saidBy are ports, volumes, the user's numbers and what the health check asks,
// as a page has to say them.
func saidBy(image *Image) []string {
	var words []string
	for _, port := range image.Config.Ports {
		number, _, _ := strings.Cut(port, "/")
		words = append(words, number)
	}
	for _, volume := range image.Config.Volumes {
		words = append(words, "`"+volume+"`")
	}
	if user := image.Config.User; user != "" {
		words = append(words, user)
	}
	if h := image.Config.Healthcheck; h != nil {
		words = append(words, asked(h.Test))
	}
	return words
}

// asked is what a health check asks: the path of its request, else its program
// without the folder.
func asked(test []string) string {
	for _, word := range test {
		if m := requestPath.FindStringSubmatch(word); m != nil {
			return m[1]
		}
	}
	return filepath.Base(test[1]) // after CMD
}
