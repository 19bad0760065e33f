package attest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// askedForKey makes this test binary a second process that wants the key.
const askedForKey = "SHUDL_TEST_USER_KEY"

func TestMain(m *testing.M) {
	dir := os.Getenv(askedForKey)
	if dir == "" {
		os.Exit(m.Run())
	}
	said := 0
	key, err := attest.FindKey(context.Background(), attest.KeyOptions{Dir: dir, Local: true, Say: func(string, ...any) { said++ }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(key.ID(), said)
}

func TestManyProcessesMakeOneKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "shudl-assemble")
	const processes = 6
	var commands []*exec.Cmd
	var outputs [processes]strings.Builder
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), askedForKey+"="+dir)
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		commands = append(commands, cmd)
	}
	made := 0
	ids := map[string]bool{}
	for i, cmd := range commands {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, &outputs[i])
		}
		id, said, _ := strings.Cut(strings.TrimSpace(outputs[i].String()), " ")
		ids[id] = true
		if said == "1" {
			made++
		}
	}
	if len(ids) != 1 || made != 1 {
		t.Errorf("%d keys, %d said that they made one", len(ids), made)
	}
	for _, name := range []string{attest.PrivateKeyFile, attest.PublicKeyFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestFindKey(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if _, err := attest.FindKey(t.Context(), attest.KeyOptions{Destination: "ghcr.io/org", Dir: dir, Say: say}); !errors.Is(err, attest.ErrKeyRequired) {
		t.Errorf("error %v, want ErrKeyRequired", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Error("a refused destination left a key")
	}
	first, err := attest.FindKey(t.Context(), attest.KeyOptions{Local: true, Dir: dir, Say: say})
	if err != nil {
		t.Fatal(err)
	}
	second, err := attest.FindKey(t.Context(), attest.KeyOptions{Local: true, Dir: dir, Say: say})
	if err != nil {
		t.Fatal(err)
	}
	if first.ID() != second.ID() || len(lines) != 1 || !strings.Contains(lines[0], first.ID()) {
		t.Errorf("keys %s, %s; said %q", first.ID(), second.ID(), lines)
	}
	named, err := attest.FindKey(t.Context(), attest.KeyOptions{Path: first.Path, Destination: "ghcr.io/org"})
	if err != nil || named.ID() != first.ID() {
		t.Errorf("named key: %v", err)
	}
	if _, err := attest.FindKey(t.Context(), attest.KeyOptions{Path: filepath.Join(dir, "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want not exist", err)
	}
}

// A key that is opened late is known by its public half until it signs.
func TestLateKey(t *testing.T) {
	late := func(dir, password string) *attest.Key {
		t.Helper()
		key, err := attest.FindKey(t.Context(), attest.KeyOptions{Dir: dir, Local: true, Late: true, Password: []byte(password)})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	dir := t.TempDir()
	made := late(dir, "secret")
	loaded, err := attest.LoadKey(made.Path, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := loaded.Sign(t.Context(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	again := late(dir, "secret")
	if got, err := again.Sign(t.Context(), []byte("hello")); err != nil || !bytes.Equal(got, want) || again.ID() != loaded.ID() || again.Path != loaded.Path {
		t.Errorf("key %s of %s: another signature, or %v", again.ID(), again.Path, err)
	}
	other := late(dir, "wrong")
	if err := other.Open(); !errors.Is(err, attest.ErrPassword) || other.ID() != loaded.ID() {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := other.Sign(t.Context(), []byte("hello")); !errors.Is(err, attest.ErrPassword) {
		t.Errorf("wrong password: signed, %v", err)
	}
	stray := t.TempDir()
	late(stray, "")
	pub := filepath.Join(dir, attest.PublicKeyFile)
	data, err := os.ReadFile(filepath.Join(stray, attest.PublicKeyFile))
	if err == nil {
		err = os.WriteFile(pub, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := late(dir, "secret").Open(); err == nil || !strings.Contains(err.Error(), pub) {
		t.Errorf("the public half of another key: %v", err)
	}
	if err := os.Remove(pub); err != nil {
		t.Fatal(err)
	}
	if key := late(dir, "secret"); key.ID() != loaded.ID() || key.Open() != nil {
		t.Error("without its public half the key is not opened")
	}
}
