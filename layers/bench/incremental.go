package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// loopback is a registry in this process, which counts what comes in. All of
// its repositories share their blobs, which are on disk, and are hashed when
// they come in, as registries do, and not each time that they are asked for.
type loopback struct {
	handler         http.Handler
	host            string
	bytes, requests atomic.Int64
}

func startLoopback(dir string) (*loopback, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &loopback{host: listener.Addr().String(), handler: registry.New(
		registry.WithBlobHandler(newBlobs(dir)), registry.Logger(log.New(io.Discard, "", 0)))}
	go func() { _ = http.Serve(listener, l) }() // until the process ends
	return l, nil
}

func (l *loopback) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	l.requests.Add(1)
	req.Body = &counting{req.Body, &l.bytes}
	l.handler.ServeHTTP(w, req)
}

// blobs are those of a folder. The library's own handler hashes a whole blob
// before it says how large it is, so that a question for a layer of 400 MB took
// a second of the processor that the measured command runs on.
type blobs struct {
	registry.BlobHandler
	dir string
}

func newBlobs(dir string) blobs { return blobs{registry.NewDiskBlobHandler(dir), dir} }

func (b blobs) Put(ctx context.Context, repo string, h v1.Hash, content io.ReadCloser) error {
	return b.BlobHandler.(registry.BlobPutHandler).Put(ctx, repo, h, content)
}

func (b blobs) Stat(_ context.Context, _ string, h v1.Hash) (int64, error) {
	info, err := os.Stat(filepath.Join(b.dir, h.Algorithm, h.Hex))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, registry.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

type counting struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (l *loopback) reset() { l.bytes.Store(0); l.requests.Store(0) }

func (l *loopback) sent() (bytes, requests int64) { return l.bytes.Load(), l.requests.Load() }

// intoRegistry is a push of all Debian images into a registry that has them:
// with a store, a key and recipes of the row's own.
func intoRegistry(ctx context.Context, s settings, dir string) (c contender, recipes string, err error) {
	if _, _, err := copied(ctx, s, dir); err != nil {
		return c, "", err
	}
	recipes = filepath.Join(dir, "recipes")
	if err := do(ctx, dir, nil, "cp", "-r", s.recipes, recipes); err != nil {
		return c, "", err
	}
	l, err := startLoopback(filepath.Join(dir, "registry"))
	if err != nil {
		return c, "", err
	}
	s.recipes = recipes
	c = push(s, dir, "--all", "--to", l.host+"/shudl")
	if err := do(ctx, dir, c.env, c.args...); err != nil {
		return c, "", err
	}
	c.before = func(context.Context) error { l.reset(); return nil }
	c.sent = l.sent
	return c, recipes, nil
}

func registryContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	if s.images == "" || s.store == "" {
		return nil, nil
	}
	c, _, err := intoRegistry(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	sent := c.sent
	c.check = func() error {
		if bytes, _ := sent(); bytes != 0 {
			return fmt.Errorf("a push that changes nothing sends %d bytes", bytes)
		}
		return nil
	}
	return []contender{c}, nil
}

// changing is a push of the images after a file of the recipes changed, another
// change in each round.
func changing(ctx context.Context, s settings, dir, file string, change func(text string, round int) string) ([]contender, error) {
	if s.images == "" || s.store == "" {
		return nil, nil
	}
	c, recipes, err := intoRegistry(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(recipes, filepath.FromSlash(file))
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	round, reset := 0, c.before
	c.before = func(ctx context.Context) error {
		round++
		changed := change(string(text), round)
		if changed == string(text) {
			return fmt.Errorf("%s: nothing to change was found", file)
		}
		if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
			return err
		}
		return reset(ctx)
	}
	return []contender{c}, nil
}

func configContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	return changing(ctx, s, dir, "postgresql/files/usr/local/bin/docker-entrypoint.sh", func(text string, round int) string {
		return fmt.Sprintf("%s\n# round %d\n", strings.TrimRight(text, "\n"), round)
	})
}

// bumpContenders leave a time zone out of the base, another in each round: one
// package of it changes.
func bumpContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	zones := []string{"Casey", "Davis", "Mawson", "Rothera", "Syowa", "Troll", "Vostok"}
	return changing(ctx, s, dir, "base-debian/recipe.yaml", func(text string, round int) string {
		return strings.Replace(text, "    drop:\n", fmt.Sprintf("    drop:\n      - {path: usr/share/zoneinfo/Antarctica/%s, reason: measured}\n",
			zones[round%len(zones)]), 1)
	})
}

// growthImages is the number of generated images.
const growthImages = 1000

// growthContenders push many small images of one base, nothing changed.
func growthContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	if s.alpine == "" {
		return nil, nil
	}
	recipes := filepath.Join(dir, "recipes")
	base := "name: base-alpine\nsummary: A base of files\ndistros: [alpine]\nversion: \"1\"\nlayers: [{name: system, files: files/}]\n"
	if err := write(filepath.Join(recipes, "base-alpine", "recipe.yaml"), base); err != nil {
		return nil, err
	}
	if err := write(filepath.Join(recipes, "base-alpine", "files", "etc", "base"), "base\n"); err != nil {
		return nil, err
	}
	for i := range growthImages {
		name := fmt.Sprintf("service-%04d", i)
		text := fmt.Sprintf("name: %s\nsummary: One of many\nfrom: base\ndistros: [alpine]\nversion: \"1\"\nlayers: [{name: program, files: files/}]\n", name)
		if err := write(filepath.Join(recipes, name, "recipe.yaml"), text); err != nil {
			return nil, err
		}
		if err := write(filepath.Join(recipes, name, "files", "etc", "service"), name+"\n"); err != nil {
			return nil, err
		}
	}
	env := []string{"SHUDL_MIRROR_ALPINE=file:" + s.alpine, "SHUDL_PROGRESS=quiet", "XDG_CONFIG_HOME=" + filepath.Join(dir, "config")}
	common := []string{"--distro", "alpine", "--recipes", recipes, "--platform", "linux/amd64", "--cache", filepath.Join(dir, "store")}
	if err := do(ctx, dir, env, append([]string{s.command, "lock", "--release", "v3.19"}, common...)...); err != nil {
		return nil, err
	}
	c := contender{
		name: "shudl-assemble push", dir: dir, env: env,
		args: append([]string{s.command, "push", "--all", "--locked", "--to", "oci:" + filepath.Join(dir, "images")}, common...),
	}
	if err := do(ctx, dir, c.env, c.args...); err != nil {
		return nil, err
	}
	return []contender{c}, nil
}
