package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// The command that makes the Secret hands kubectl each password that the
// manifests name, and none among its arguments, which everyone on the machine
// reads in the list of processes. Another kubectl writes down what it is given.
func TestSecretOfTheNotes(t *testing.T) {
	for _, program := range []string{"sh", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	bin := t.TempDir()
	heard := filepath.Join(bin, "heard")
	script := "#!/bin/sh\necho \"$*\" >" + heard + ".words\ncat >" + heard + ".input\n"
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	password := regexp.MustCompile(`^([a-z-]+)=[0-9a-f]{48}$`)
	o := published(t)
	for _, stack := range Stacks() {
		o.Stack = stack
		made, err := Kubernetes(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", line(t, made.Notes, "kubectl -n lakehouse create secret"))
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		words, input := read(t, heard+".words"), read(t, heard+".input")
		if regexp.MustCompile(`[0-9a-f]{48}`).MatchString(words) {
			t.Errorf("%s: a password is in the list of processes: kubectl %s", stack, words)
		}
		var have []string
		for l := range strings.Lines(input) {
			m := password.FindStringSubmatch(strings.TrimSpace(l))
			if m == nil {
				t.Fatalf("%s: %q is no key and password", stack, l)
			}
			have = append(have, m[1])
		}
		if want := wanted(made.Text); !slices.Equal(have, want) {
			t.Errorf("%s: the notes make %q, the manifests name %q", stack, have, want)
		}
	}
}

// wanted are the keys of the Secret that manifests name, in the order of the
// notes: sorted, but Patroni's in the order of its variables.
func wanted(text []byte) []string {
	var keys []string
	for _, m := range regexp.MustCompile(`key: ([a-z-]+-password)`).FindAllSubmatch(text, -1) {
		if key := string(m[1]); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if !slices.Contains(keys, "superuser-password") {
		slices.Sort(keys)
	}
	return keys
}

// What Patroni makes by itself outlives the manifests, and a cluster on fresh
// volumes waits for the leader that it names: the notes have what removes it.
func TestWhatPatroniLeaves(t *testing.T) {
	o := published(t)
	o.Stack, o.Namespace, o.Name = StackHA, "production", "pg"
	made, err := Kubernetes(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	const command = "kubectl -n production delete configmap,pvc -l "
	selector, err := labels.Parse(strings.TrimPrefix(line(t, made.Notes, command), command))
	if err != nil {
		t.Fatal(err)
	}
	var set appsv1.StatefulSet
	for _, doc := range strings.Split(string(made.Text), "---\n") {
		if strings.Contains(doc, "\nkind: StatefulSet\n") {
			if err := yaml.UnmarshalStrict([]byte(doc), &set); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The labels of its selector are those of its claims, and Patroni's pair.
	if set.Spec.Selector == nil || !selector.Matches(labels.Set(set.Spec.Selector.MatchLabels)) {
		t.Errorf("%s selects no claim of %s", selector, set.Name)
	}
	for _, change := range []func(*Options){
		func(o *Options) { o.Store = "endpoints" }, func(o *Options) { o.Stack = StackStandalone }, func(o *Options) { o.CreateNamespace = true },
	} {
		o := o
		change(&o)
		if made, err = Kubernetes(context.Background(), o); err != nil || strings.Contains(made.Notes, "configmap") {
			t.Errorf("%v, or ConfigMaps where there are none: %s", err, made.Notes)
		}
	}
}

// line is the one of the notes that has these words, without its indent.
func line(t *testing.T, notes, words string) string {
	t.Helper()
	for l := range strings.Lines(notes) {
		if strings.Contains(l, words) {
			return strings.TrimSpace(l)
		}
	}
	t.Fatalf("the notes do not have %q:\n%s", words, notes)
	return ""
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
